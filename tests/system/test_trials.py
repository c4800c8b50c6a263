"""False updates, false accusations, silent jurors and kills, before the real training court."""

import pytest
from support.trial_world import trial_world

from network.trials.contract import TrialState

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

STAKE_GWEI = 10**9
HONEST = ("one", "two", "three", "four")


def test_a_false_update_is_convicted_by_three_jurors(tmp_path):
    """Accused by the auditor that was drawn, parted at the first false digest, slashed by half."""
    with trial_world(tmp_path) as world:
        world.start("liar", "liar")
        for name in HONEST:
            world.start(name)
        ended = world.ended()
        accuser = next(name for name in HONEST if world.addresses[name] == ended.accuser)
        jurors = {world.addresses[name] for name in HONEST} - {ended.accuser}
        for name in ("liar", *HONEST):
            assert world.wait(name) == 0, world.log(name)
        assert ended.accused == world.addresses["liar"]
        assert ended.ended is TrialState.CONVICTED
        assert ended.index == 3
        assert ended.juries[0].tickets.keys() <= jurors
        assert sum(ended.juries[0].tickets.values()) == 15
        assert world.stake_of("liar") == STAKE_GWEI // 2
        assert all(world.stake_of(name) == STAKE_GWEI for name in HONEST)
        assert {"audited", "accusing", "answering"} <= set(world.said(accuser))
        assert "defending" in world.said("liar")
        for name in HONEST:
            if world.addresses[name] in ended.juries[0].tickets:
                assert {"juror_seated", "vote_sealed", "vote_opened", "paid"} <= set(
                    world.said(name)
                ), world.log(name)
        fold = world.history.update()
        assert fold.rounds[1].convicted == 1 << world.seat_of("liar")
        assert ended.accused not in fold.rounds[1].rewards_wei
        assert len(fold.rounds[1].rewards_wei) == len(HONEST)
