"""The trainer's commands on a real chain: each does what it says, and fails with a remedy."""

import json

import pytest
from click.testing import CliRunner

from network.keys import unlock_keystore
from network.rpc import Rpc
from trainer.cli import main

pytestmark = pytest.mark.system

STAKE_GWEI = 10**9


@pytest.fixture
def command(real_run):
    """Calls `commonweight-trainer` as one account; gives (exit status, what it said)."""

    def call(*words, flags=None):
        run = [] if "--run" in words else ["--run", real_run.address]
        given = real_run.flags("trainer") if flags is None else flags
        result = CliRunner().invoke(main, [*given, *words, *run])
        return result.exit_code, json.loads(result.stdout.splitlines()[-1])

    return call


def test_money_goes_into_the_vault_and_home_again(command):
    assert command("stake", str(STAKE_GWEI))[0] == 0
    status = command("status")[1]
    assert status["vault_free_wei"] == str(STAKE_GWEI * 10**9)
    assert (status["phase"], status["seat"], status["round"]) == ("idle", None, 0)
    assert command("withdraw", "--wei", "7")[1]["amount_wei"] == "7"
    left = STAKE_GWEI * 10**9 - 7
    assert command("withdraw")[1]["amount_wei"] == str(left)
    assert command("status")[1]["vault_free_wei"] == "0"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("leave",), "NotEnrolled"),
        (("unstake",), "NotEnrolled"),
        (("claim",), "NothingToClaim"),
        (("withdraw", "--wei", "1"), "InsufficientFreeStake"),
        (("status", "--run", "0x12"), "InvalidSetting"),
        (("status", "--run", "0x" + "12" * 20), "NotAContract"),
    ],
)
def test_what_cannot_be_done_ends_with_a_name_and_a_remedy(command, words, error):
    status, said = command(*words)
    assert (status, said["error"]) == (1, error)
    assert said["remedy"]


def test_why_says_that_a_round_was_never_opened(command):
    status, said = command("why", "9")
    assert status == 0
    assert said["earned_wei"] == "0"
    assert said["explanation"]
    assert said["advice"]


def test_the_doctor_finds_a_sound_machine_sound(command):
    status, said = command("doctor", "--device", "cpu")
    assert {check["check"]: check["good"] for check in said["checks"]} == dict.fromkeys(
        (
            *("key", "rpc", "clock", "balance", "run code", "seat"),
            *("disk", "store", "specification", "determinism"),
        ),
        True,
    )
    assert (status, said["good"]) == (0, True)


def test_the_doctor_names_a_chain_that_is_down_and_still_checks_the_rest(command, real_run):
    flags = ["http://127.0.0.1:9" if f == real_run.anvil.url else f for f in real_run.flags("poor")]
    status, said = command("doctor", "--device", "nonsense", flags=flags)
    found = {check["check"]: check for check in said["checks"]}
    assert (status, said["good"]) == (1, False)
    assert [found[name]["good"] for name in ("key", "disk", "store")] == [True] * 3
    for name in ("rpc", "clock", "balance", "determinism"):
        assert not found[name]["good"]
        assert found[name]["remedy"]


def test_the_doctor_asks_for_money(command, real_run):
    flags = real_run.flags("poor")
    passphrase = (real_run.folder / "passphrase").read_text()
    signer = unlock_keystore(real_run.folder / "poor.json", passphrase)
    rpc = Rpc([real_run.anvil.url], chain_id=real_run.anvil.chain_id)
    rpc.call("anvil_setBalance", signer.address, "0x1")
    rpc.close()
    _, said = command("doctor", "--device", "cpu", flags=flags)
    poor = next(check for check in said["checks"] if check["check"] == "balance")
    assert not poor["good"]
    assert "send" in poor["remedy"].lower() or "fund" in poor["remedy"].lower()
