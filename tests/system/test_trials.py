"""False updates, false accusations, silent jurors and kills, before the real training court.

The beacon is fixed and weights are equal, so that seats decide who is drawn: of four trainers seat
1 audits seats 0 and 2, seat 2 audits seat 1; of five seat 4 audits seats 0 to 2.
"""

import signal

import pytest
from support.trial_world import TrialWorld, trial_world

from network.trials.contract import Finding, TrialState

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

STAKE_GWEI = 10**9
HALF = STAKE_GWEI // 2


def end_all(world: TrialWorld) -> None:
    for name in world.processes:
        assert world.wait(name) == 0, world.log(name)


def stakes(world: TrialWorld) -> dict[str, int]:
    return {name: world.stake_of(name) for name in world.processes}


def test_a_false_update_is_accused_parted_judged_and_convicted(tmp_path):
    """By the auditor that was drawn; it costs half the stake and the pay, and nobody else's."""
    with trial_world(tmp_path, trainers=4) as world:
        world.seat({"liar": "liar", "accuser": "honest", "two": "honest", "three": "honest"})
        ended = world.ended()
        end_all(world)
        honest = ("accuser", "two", "three")
        assert (ended.accused, ended.accuser) == (
            world.addresses["liar"],
            world.addresses["accuser"],
        )
        assert (ended.ended, ended.index) == (TrialState.CONVICTED, 3)
        assert ended.juries[0].tickets == {world.addresses["two"]: 8, world.addresses["three"]: 7}
        assert stakes(world) == {"liar": HALF, **dict.fromkeys(honest, STAKE_GWEI)}
        assert {"audited", "accusing", "answering"} <= set(world.said("accuser"))
        assert "defending" in world.said("liar")
        for name in ("two", "three"):
            steps = {"juror_seated", "vote_sealed", "vote_opened", "trial_ended", "paid"}
            assert steps <= set(world.said(name)), world.log(name)
            assert "training_court_claimed" in world.said(name)
        fold = world.history.update()
        assert fold.rounds[1].convicted == 0b0001
        assert fold.rounds[1].rewards_wei.keys() == {world.addresses[name] for name in honest}
        findings = world.trials.update().findings
        assert findings[(1, 0)].finding is Finding.DIFFERENT
        assert findings[(1, 2)].finding is Finding.SAME


def test_a_false_accusation_costs_its_bonds_and_the_accused_nothing(tmp_path):
    """Its appeal too: who believes its own false replay pays for a second jury."""
    with trial_world(tmp_path, trainers=4) as world:
        world.seat({"zero": "honest", "one": "honest", "liar": "false-accuser", "three": "honest"})
        ended = world.ended()
        end_all(world)
        assert (ended.accused, ended.accuser) == (world.addresses["one"], world.addresses["liar"])
        assert ended.ended is TrialState.ACQUITTED
        assert ended.winner == world.addresses["one"]
        assert ended.appellant == world.addresses["liar"]
        assert {level: sum(j.tickets.values()) for level, j in ended.juries.items()} == {
            0: 15,
            1: 63,
        }
        assert stakes(world) == dict.fromkeys(world.processes, STAKE_GWEI)
        assert world.history.update().rounds[1].convicted == 0
        assert "training_court_claimed" not in world.said("liar"), "nothing came back"
        assert "training_court_claimed" in world.said("one")


def test_a_silent_juror_is_fined_and_the_trial_ends_without_it(tmp_path):
    """Two of three jurors with 11 of 15 tickets are enough."""
    roles = {"liar": "liar", "one": "honest", "silent": "silent", "three": "honest"}
    with trial_world(tmp_path, trainers=5) as world:
        world.seat({**roles, "accuser": "honest"})
        ended = world.ended()
        jury = ended.juries[0]
        silent = world.addresses["silent"]
        assert jury.tickets[silent] == 4
        world.wait_for(lambda fold: silent in fold.trials[1].juries[0].fined)
        end_all(world)
        assert ended.ended is TrialState.CONVICTED
        assert silent not in jury.opened
        fee_gwei = world.run.params.no_reveal_fee_gwei
        assert stakes(world) == {
            "liar": HALF,
            "one": STAKE_GWEI,
            "silent": STAKE_GWEI - fee_gwei,
            "three": STAKE_GWEI,
            "accuser": STAKE_GWEI,
        }


@pytest.mark.nightly
def test_accuser_accused_and_juror_may_be_killed_between_their_moves(tmp_path):
    """Restarted, each makes the move that it was about to make, once, and the outcome stands."""
    roles = {"liar": "liar", "accuser": "honest", "juror": "honest", "three": "honest"}
    times = {"moveS": 15, "juryS": 30, "disputeS": 40}
    with trial_world(tmp_path, trainers=4, **times) as world:
        world.seat(roles, accuser="accusing", liar="defending", juror="juror_seated")
        for name, then in (
            ("accuser", "answering"),
            ("liar", "never"),
            ("accuser", "never"),
            ("juror", "vote_sealed"),
            ("juror", "never"),
        ):
            assert world.wait(name) == -signal.SIGKILL, world.log(name)
            world.start(name, roles[name], then)
        ended = world.ended(timeout_s=150)
        end_all(world)
        assert ended.ended is TrialState.CONVICTED
        assert len(ended.juries[0].opened) == 2
        assert ended.juries[0].fined == set()
        assert world.trials.update().trials.keys() == {1}, "it accused once"
        assert stakes(world) == {
            "liar": HALF,
            **dict.fromkeys(("accuser", "juror", "three"), STAKE_GWEI),
        }


def test_whoever_holds_a_key_may_audit_and_accuse(tmp_path):
    """No trainer audits here; a stranger replays, accuses and gets its bond back."""
    roles = {"liar": "liar", "one": "juror", "two": "juror", "three": "juror"}
    with trial_world(tmp_path, trainers=4, disputeS=30) as world:
        world.seat(roles)
        world.start("stranger", "auditor")
        ended = world.ended()
        assert ended.accuser == world.addresses["stranger"]
        assert ended.ended is TrialState.CONVICTED
        for name in roles:
            assert world.wait(name) == 0, world.log(name)
        assert world.wait("stranger") == 1, "an update differs"
        found = {
            one["seat"]: one["finding"]
            for one in world.events("stranger")
            if one["event"] == "audited"
        }
        assert found == {0: "different", 1: "same", 2: "same", 3: "same"}
        assert "training_court_claimed" in world.said("stranger")
        assert world.trials.update().findings == {}, "it was not drawn: it posts nothing"


@pytest.mark.nightly
def test_draws_of_a_real_block_seat_auditors_and_jurors(tmp_path):
    """Nobody knows them before; the court checks the block's own header."""
    roles = {"liar": "liar", "one": "honest", "two": "honest", "three": "honest"}
    flags = ("--block-time", "1")
    times = {"moveS": 15, "juryS": 30, "disputeS": 60}
    beacon = "PrevrandaoBeacon"
    with trial_world(tmp_path, trainers=4, anvil_flags=flags, beacon=beacon, **times) as world:
        world.seat(roles)
        ended = world.ended(timeout_s=150)
        for name in roles:
            assert world.wait(name, 120) == 0, world.log(name)
        assert ended.accused == world.addresses["liar"]
        assert ended.ended is TrialState.CONVICTED
        assert sum(ended.juries[0].tickets.values()) == 15
        assert stakes(world) == {"liar": HALF, **dict.fromkeys(("one", "two", "three"), STAKE_GWEI)}
        audited = [one for name in roles for one in world.events(name) if one["event"] == "audited"]
        assert audited
        assert not any(one["predictable"] for one in audited)
