"""Settings: flags before the environment before the file, and nothing that is not understood."""

import json
from pathlib import Path

import pytest

from network.deployment import find_deployment
from network.keys import TEST_KEY_VARIABLE
from network.settings import Settings, load_settings, open_signer, open_store
from network.store import FallbackStore, LocalStore
from protocol.errors import InvalidSetting

FACTORY = "0x" + "ab" * 20


def load(flags=None, *, config=None, **environment):
    return load_settings(flags or {}, config=config, environment=environment)


def test_nothing_given_means_a_chain_on_this_machine():
    settings = load()
    assert settings.rpc == ("http://127.0.0.1:8545",)
    assert settings.chain_id == 31337


def test_flags_go_before_the_environment_before_the_file(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('chain_id = 1\nrpc = "http://file"\nws = ["ws://file"]\n[trainer]\nx = 1\n')
    settings = load(
        {"rpc": ("http://flag",), "ws": (), "chain_id": None},
        config=file,
        COMMONWEIGHT_RPC="http://a, http://b",
        COMMONWEIGHT_CHAIN_ID="5",
    )
    assert settings.rpc == ("http://flag",)
    assert settings.ws == ("ws://file",)
    assert settings.chain_id == 5
    assert settings.tables == {"trainer": {"x": 1}}


def test_lists_in_the_environment_have_commas_and_the_file_may_be_named_there(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('data_dir = "/somewhere"\n')
    settings = load(COMMONWEIGHT_RPC="http://a, http://b", COMMONWEIGHT_CONFIG=str(file))
    assert settings.rpc == ("http://a", "http://b")
    assert settings.data_dir == Path("/somewhere")


@pytest.mark.parametrize(
    "text",
    ["rcp = 1", "chain_id = true", "chain_id = 0", "rpc = 3", "poll_s = -1", "factory = 'x'", "="],
)
def test_what_is_not_understood_is_refused_by_name(tmp_path, text):
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(InvalidSetting) as caught:
        load(config=file)
    assert caught.value.name in text or caught.value.name == "config"


def test_a_missing_file_and_a_bad_number_are_refused():
    with pytest.raises(InvalidSetting):
        load(config=Path("/nonexistent/c.toml"))
    with pytest.raises(InvalidSetting):
        load(COMMONWEIGHT_CHAIN_ID="one")


def test_several_stores_stand_in_for_each_other(tmp_path):
    one, two = f"local:{tmp_path}/1", f"local:{tmp_path}/2"
    assert isinstance(open_store(Settings(store=(one,))), LocalStore)
    assert isinstance(open_store(Settings(store=(one, two))), FallbackStore)
    for bad in ("s3:bucket", "local:", "kubo:nowhere", "kubo:http://[", tmp_path.name):
        with pytest.raises(InvalidSetting):
            open_store(Settings(store=(bad,)))


def test_a_key_must_be_named():
    with pytest.raises(InvalidSetting):
        open_signer(Settings(), environment={})
    key = {TEST_KEY_VARIABLE: "0x" + "11" * 32}
    assert open_signer(Settings(), environment=key).address.startswith("0x")


def test_a_deployment_is_read_and_a_named_factory_comes_first(tmp_path):
    contracts = {
        "RunFactory": {"address": FACTORY, "block": 7},
        "FixedBeacon": {"address": FACTORY},
    }
    (tmp_path / "31337.json").write_text(json.dumps({"contracts": contracts}))
    found = find_deployment(Settings(), folder=tmp_path)
    assert found.factory.lower() == FACTORY
    assert found.first_block == 7
    other = load({"factory": "0x" + "cd" * 20})
    assert find_deployment(other, folder=tmp_path).factory == other.factory
    with pytest.raises(InvalidSetting):
        find_deployment(Settings(chain_id=1), folder=tmp_path)
    (tmp_path / "1.json").write_text("{}")
    with pytest.raises(InvalidSetting):
        find_deployment(Settings(chain_id=1), folder=tmp_path)
