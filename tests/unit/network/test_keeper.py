"""What is due when: the pure rule, and a keeper that follows it on a scripted chain."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from network.abi import Event
from network.due import (
    MAX_SETTLED,
    Kind,
    agreed,
    can_freeze_early,
    due_transition,
    settle_batch,
    settleable,
    turn_opens_at_s,
)
from network.history import Outcome, Proposal, Revealed, RoundHistory, RunFold
from network.keeper import Keeper, undisputed
from network.remedies import REMEDIES
from network.run import OpenRound, RunParams, Totals
from network.transactions import Call
from protocol.cid import Cid
from protocol.rounds import InputEntry, Opinion, Phase, Tally, UpdateHeader

ME = "0x" + "11" * 20
ROOT = b"\x01" * 32
CID = Cid(digest=b"\x02" * 32, size=9)
NOW = 1000.0

PARAMS = RunParams(
    **{
        **dict.fromkeys(RunParams.__dataclass_fields__, 1),
        "max_rounds": 10,
        "ring_size": 4,
        "segments": 1,
        "merge_turn_s": 10,
        "merge_timeout_s": 100,
    }
)
TOTALS = Totals(
    roster_stake_gwei=30,
    enrolled_stake_gwei=30,
    dissent_stake_gwei=0,
    last_final=0,
    last_conviction=0,
    halted=False,
    closed=False,
)


def current(phase, *, round_id=1, deadline_s=2000, reveals=0, attempt=1):
    return OpenRound(
        round_id=round_id,
        attempt=attempt,
        phase=phase,
        deadline_s=deadline_s,
        roster_count=3,
        commits=3,
        dissents=0,
        reveals=reveals,
        keeper_gwei=0,
    )


def header():
    return UpdateHeader(
        update_root=ROOT, ssq=1, trace_root=ROOT, class_id=ROOT, update_cid=ROOT, update_size=257
    )


def history(round_id=1, *, reveals=(), attested=None, outcome=Outcome.OPEN, final_at=None):
    found = RoundHistory(
        round_id=round_id,
        attempt=1,
        seed=(5).to_bytes(32, "big"),
        parent_root=ROOT,
        roster=0b111,
        roster_stake_gwei=30,
        opened=None,
    )
    found.reveals = {s: Revealed(seat=s, trainer=ME, header=header()) for s in reveals}
    found.attested = attested or {}
    found.outcome = outcome
    if final_at is not None:
        found.outcome = Outcome.PROPOSED
        found.proposal = Proposal(
            proposer=ME, model_root=ROOT, model=CID, finalizable_at_s=final_at
        )
    if outcome is not Outcome.FAILED:
        entry = InputEntry(trainer=ME, seat=0, weight=65536, update_root=ROOT, header_hash=ROOT)
        found.inputs = ((entry,),)
    return found


def fold(*rounds):
    made = RunFold(params=PARAMS)
    made.rounds = {found.round_id: found for found in rounds}
    made.stakes_gwei = {0: 10, 1: 10, 2: 10}
    return made


def due(phase, *rounds, now_s=NOW, totals=TOTALS, **fields):
    return due_transition(now_s, PARAMS, current(phase, **fields), totals, fold(*rounds))


@pytest.mark.parametrize("phase", [Phase.COMMIT, Phase.REVEAL, Phase.MERGE], ids=lambda p: p.name)
def test_a_phase_is_over_only_after_its_deadline(phase):
    found = replace(history(), inputs=())
    assert due(phase, found, now_s=2000) is None
    assert due(phase, found, now_s=2001).kind is Kind.ADVANCE


def test_a_frozen_round_wants_a_proposal_until_its_deadline():
    assert due(Phase.MERGE, history()).kind is Kind.PROPOSE
    assert due(Phase.MERGE, history(), now_s=2001).kind is Kind.ADVANCE


def test_an_audit_ends_early_when_everything_revealed_is_available():
    full = {0: Opinion(available=0b111), 1: Opinion(available=0b111)}
    assert due(Phase.AUDIT, history(reveals=(0, 1, 2)), reveals=3) is None
    early = due(Phase.AUDIT, history(reveals=(0, 1, 2), attested=full), reveals=3)
    assert early.kind is Kind.FREEZE
    assert due(Phase.AUDIT, history(reveals=(0, 1, 2)), reveals=3, now_s=2001).kind is Kind.FREEZE


def test_an_audit_ends_early_when_everybody_has_spoken():
    found = history(reveals=(0, 1, 2))
    said = {0: Opinion(available=0b1), 1: Opinion(available=0b11, harmful=0b1)}
    assert not can_freeze_early(found, fold(found), said)
    assert can_freeze_early(found, fold(found), {**said, 2: Opinion(available=0)})


def test_an_audit_goes_on_while_an_update_may_still_be_called_harmful():
    found = history(reveals=(0, 1, 2))
    all_fine, one_harms = Opinion(available=0b111), Opinion(available=0b111, harmful=0b1)
    assert not can_freeze_early(found, fold(found), {0: all_fine, 1: one_harms})
    assert can_freeze_early(found, fold(found), {0: one_harms, 1: one_harms})
    assert can_freeze_early(found, fold(found), {0: all_fine, 1: one_harms, 2: all_fine})


def test_what_was_posted_counts_as_available():
    found = history(reveals=(0, 1))
    seen = fold(found)
    seen.apply(
        Event(
            name="AttestationsPosted",
            args=SimpleNamespace(round=1, available=0b11, harmful=0b10, contested=0b100),
            address=ME,
            block_number=1,
            block_hash="",
            transaction_hash="",
            log_index=0,
        )
    )
    assert can_freeze_early(found, seen, {})
    assert agreed(found, seen, {}) == Tally(available=0b11, harmful=0b10, contested=0)


def test_nothing_is_due_while_the_events_lag_behind_the_chain():
    assert due(Phase.AUDIT, history(reveals=(0,)), reveals=2, now_s=3000) is None
    assert due(Phase.COMMIT, now_s=3000) is None
    stale = history(reveals=(0,))
    assert due(Phase.AUDIT, stale, reveals=1, attempt=2, now_s=3000) is None


def test_the_first_round_is_opened_on_an_idle_run():
    opened = due(Phase.IDLE, round_id=0, deadline_s=0)
    assert (opened.kind, opened.round_id, opened.settle) == (Kind.OPEN, 1, ())


def test_opening_settles_what_can_be_settled_in_order():
    rounds = [history(1, final_at=900), history(2, outcome=Outcome.FAILED), history(3, final_at=2)]
    assert due(Phase.IDLE, *rounds, round_id=3).settle == (1, 2, 3)
    rounds[0] = history(1, final_at=1001)
    assert due(Phase.IDLE, *rounds, round_id=3) is None  # the ring is full
    assert due(Phase.IDLE, *rounds[:2], round_id=2).settle == ()


def test_a_round_whose_inputs_are_unknown_is_not_settled():
    found = history(1, final_at=1)
    found.inputs = ()
    assert settleable(NOW, PARAMS, current(Phase.IDLE), TOTALS, fold(found)) == ()


def test_a_merge_is_settled_once_the_next_round_has_confirmed_it():
    rounds = [history(1, final_at=1), history(2)]
    found = fold(*rounds)
    assert settleable(NOW, PARAMS, current(Phase.COMMIT, round_id=2), TOTALS, found) == ()
    assert settleable(NOW, PARAMS, current(Phase.REVEAL, round_id=2), TOTALS, found) == (1,)


def test_a_merge_that_no_round_follows_waits_longer_unless_none_can():
    just, long_ago = history(1, final_at=901), history(1, final_at=900)
    idle = current(Phase.IDLE)
    assert settleable(NOW, PARAMS, idle, TOTALS, fold(just)) == ()
    assert settleable(NOW, PARAMS, idle, TOTALS, fold(long_ago)) == (1,)
    assert settleable(NOW, PARAMS, idle, replace(TOTALS, halted=True), fold(just)) == (1,)
    complete = replace(PARAMS, max_rounds=1)
    assert settleable(NOW, complete, idle, TOTALS, fold(just)) == (1,)


def batch(*rounds, every, round_id, ring_size=8, totals=TOTALS):
    return settle_batch(
        NOW,
        replace(PARAMS, ring_size=ring_size),
        current(Phase.REVEAL, round_id=round_id),
        totals,
        fold(*rounds),
        every=every,
    )


def test_rounds_are_settled_together_unless_the_ring_is_full():
    rounds = [history(n, final_at=1) for n in (1, 2, 3)]
    assert batch(*rounds, every=4, round_id=4) == ()
    assert batch(*rounds, every=3, round_id=4) == (1, 2, 3)
    assert batch(*rounds, every=4, round_id=4, ring_size=6) == ()
    assert batch(*rounds, every=4, round_id=4, ring_size=5) == (1, 2, 3)


def test_a_batch_of_settlements_fits_one_transaction():
    rounds = [history(n, final_at=1) for n in (1, 2, 3)]
    for found in rounds:
        found.included = (1 << 200) - 1
    assert batch(*rounds, every=3, round_id=4) == (1, 2)
    assert MAX_SETTLED < 600


@pytest.mark.parametrize("stop", ["halted", "closed"])
def test_a_stopped_or_complete_run_is_only_settled(stop):
    totals = replace(TOTALS, **{stop: True})
    assert due(Phase.IDLE, round_id=0, totals=totals) is None
    settled = due(Phase.IDLE, history(1, final_at=1), totals=totals)
    assert (settled.kind, settled.settle) == (Kind.FINALIZE, (1,))
    full = due(
        Phase.IDLE, history(10, final_at=1), round_id=10, totals=replace(TOTALS, last_final=9)
    )
    assert full.kind is Kind.FINALIZE


def test_keys_tell_transitions_apart():
    twice = history()
    twice.rejected.append(None)
    keys = {
        due(Phase.MERGE, history()).key,
        due(Phase.MERGE, twice).key,
        due(Phase.MERGE, history(), now_s=2001).key,
        due(Phase.MERGE, history(), deadline_s=1999).key,
        due(Phase.MERGE, history(), attempt=2).key,
        due(Phase.IDLE, history(final_at=1)).key,
        due(Phase.IDLE, history(final_at=1)).without_open().key,
    }
    assert len(keys) == 7


def test_turns_follow_the_seed_and_strangers_come_last():
    listed = ["0x" + f"{n:02x}" * 20 for n in (0x11, 0x22, 0x33)]

    def opens(account, aggregators=listed):
        return turn_opens_at_s(
            PARAMS,
            deadline_s=1100,
            seed=(5).to_bytes(32, "big"),
            aggregators=aggregators,
            account=account,
        )

    assert [opens(one) for one in listed] == [1020, 1000, 1010]
    assert opens("0x" + "44" * 20) == 1030
    assert opens(ME, []) == 1000


class Chain:
    """A run, its history and a sender in one: the state is what the test says."""

    address = ME
    params = PARAMS

    def __init__(self, state, folded, refuse=None):
        self.state, self.fold, self.refuse = state, folded, refuse or {}
        self.sent = []
        self.disputed = ()
        self.tried = {}
        self.head = None

    def current(self):
        return self.state

    def totals(self):
        return TOTALS

    def update(self):
        return self.fold

    def read(self, name, *args):
        return self.tried[args[0]] if name == "openTrials" else []

    def account(self, _address):
        return SimpleNamespace(free_wei=0)

    def round_record(self, number):
        return SimpleNamespace(
            open_disputes=int(number in self.disputed), any_trial=number in self.tried
        )

    def prepare(self, name, *_args, value_wei=0):
        return Call(recipient=ME, data=name.encode(), value_wei=value_wei)

    def freeze(self, **_):
        return self.prepare("freeze")

    def propose_merge(self, **_):
        return self.prepare("proposeMerge")

    def finalize(self, *, round_id, inputs):
        assert inputs
        return self.prepare(f"finalize{round_id}")

    def multicall(self, calls):
        return self.prepare("+".join(call.data.decode() for call in calls))

    def send(self, key, call, *, already_done=None):
        name = call.data.decode()
        if name in self.refuse:
            raise REMEDIES[self.refuse[name]](error_name=self.refuse[name])
        assert already_done is None or not already_done()
        self.sent.append((key, name))

    @property
    def names(self):
        return [name for _, name in self.sent]

    def keeper(self, now=(NOW,), **options):
        return Keeper(self, self, self, self, clock=lambda: now[0], **options)


def test_a_keeper_makes_what_is_due_once_it_was_due_long_enough():
    now = [NOW]
    chain = Chain(current(Phase.COMMIT), fold(history()))
    keeper = chain.keeper(now, delay_s=30)
    assert keeper.step() is None
    now[0] = 2001
    assert keeper.step() is None
    assert 2031 in keeper.wake_at_s(keeper.look())
    now[0] = 2031
    assert keeper.step().kind is Kind.ADVANCE
    assert chain.names == ["advance"]


def test_a_lost_race_is_no_error():
    refuse = {"advance": "WrongPhase"}
    chain = Chain(current(Phase.COMMIT, deadline_s=1), fold(history()), refuse)
    assert chain.keeper().step() is None


def test_rounds_are_settled_though_no_round_can_be_opened():
    refuse = {"finalize1+openRound": "TooFewTrainers"}
    chain = Chain(current(Phase.IDLE), fold(history(1, final_at=1)), refuse)
    chain.keeper().step()
    assert chain.names == ["finalize1"]


def test_a_keeper_opens_without_settling_until_enough_rounds_wait():
    chain = Chain(current(Phase.IDLE), fold(history(1, final_at=1)))
    chain.keeper(settle_every=2).step()
    assert chain.names == ["openRound"]


def test_at_the_end_the_last_rounds_are_settled_together():
    state = current(Phase.IDLE, round_id=2)
    early = Chain(state, fold(history(1, final_at=1), history(2, final_at=NOW + 1)))
    early.keeper(max_rounds=2, settle_every=4).step()
    assert early.names == []
    late = Chain(state, fold(history(1, final_at=1), history(2, final_at=1)))
    late.keeper(max_rounds=2, settle_every=4).step()
    assert late.names == ["finalize1+finalize2"]


def test_a_round_on_trial_waits_until_its_trials_have_ended():
    rounds = [history(n, final_at=1) for n in (1, 2)]
    chain = Chain(current(Phase.IDLE, round_id=2), fold(*rounds))
    chain.tried = {1: 0, 2: 1}
    assert undisputed(chain, (1, 2)) == (1,)
    chain.tried = {2: 0}
    assert undisputed(chain, (1, 2)) == (1, 2)


def test_a_disputed_round_holds_up_only_those_behind_it():
    state = current(Phase.IDLE, round_id=3)
    chain = Chain(state, fold(*(history(n, final_at=1) for n in (1, 2, 3))))
    chain.disputed = (2,)
    chain.keeper(max_rounds=3).step()
    assert chain.names == ["finalize1"]


def test_a_waiting_run_is_left_alone():
    chain = Chain(current(Phase.IDLE, round_id=0), fold(), {"openRound": "TooFewTrainers"})
    assert chain.keeper().step() is None
    assert chain.names == []


def test_a_keeper_of_so_many_rounds_opens_no_more():
    chain = Chain(current(Phase.IDLE), fold(history(1, final_at=1)))
    chain.keeper(max_rounds=1).step()
    assert chain.names == ["finalize1"]


def test_a_proposal_is_made_with_a_bond_and_a_merge_only():
    chain = Chain(current(Phase.MERGE, deadline_s=1100), fold(history()))
    assert chain.keeper().step() is None
    chain.keeper(merge=lambda found: (ROOT, CID)).step()
    assert chain.names == ["depositBond", "proposeMerge"]


def test_a_keeper_freezes_with_every_revealed_update():
    found = history(reveals=(2, 0))
    chain = Chain(current(Phase.AUDIT, deadline_s=1, reveals=2), fold(found))
    seen = {}
    chain.freeze = lambda **given: seen.update(given) or chain.prepare("freeze")
    chain.keeper().step()
    assert [update[0] for update in seen["updates"]] == [0, 2]
    assert seen["groups"] == []
