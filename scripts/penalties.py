"""Who lost money, by whose proof and before which court.

From events of the run, its vault and its courts alone, as anybody could compute it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from network.abi import Event
from network.artifacts import abi_of
from network.events import EventReader
from network.history import Proposal, proposal_id
from network.keeper import GWEI
from network.rpc import Rpc
from network.run import CLIENT_ABI, ZERO_ADDRESS
from network.trials.contract import Trial, TrialState
from protocol.cid import Cid
from protocol.types import Address, BlockNumber, Digest


class Cause(StrEnum):
    """What a penalty was for."""

    MERGE = "wrong merge"
    UPDATE = "bad update"
    TRAINING = "not trained as assigned"
    DISPUTE = "lost dispute"
    TRIAL = "lost trial"
    ABSENCE = "absent"
    SILENCE = "not revealed"
    JUROR = "juror silent or wrong"
    AUDITOR = "auditor wrong"

    @property
    def court(self) -> str:
        """Who took it: the run itself, or which court."""
        if self in (Cause.ABSENCE, Cause.SILENCE):
            return "run"
        merge = self in (Cause.MERGE, Cause.UPDATE, Cause.DISPUTE)
        return "MergeCourt" if merge else "TrainingCourt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """Money that one account lost: `paid_wei` to the winner, `burned_wei` to nobody.

    A fee is paid to the run's keeper budget and has no winner. `round_id` is None where the chain
    names none.
    """

    cause: Cause
    round_id: int | None
    loser: Address
    winner: Address | None
    paid_wei: int
    burned_wei: int
    transaction: str

    @property
    def lost_wei(self) -> int:
        """What the loser is short of."""
        return self.paid_wei + self.burned_wei


def read_events(rpc: Rpc, addresses: Sequence[Address], *, first_block: int) -> list[Event]:
    """Every event of a run, its vault and its court, in order."""
    reader = EventReader(rpc, abi_of(*CLIENT_ABI), addresses)
    return [event for batch in reader.read(BlockNumber(first_block)) for event in batch.events]


def proposals(events: Iterable[Event]) -> dict[Digest, tuple[int, Event]]:
    """Round and event of every proposal ever made, by its name on chain."""
    seeds: dict[int, Digest] = {}
    made: dict[Digest, tuple[int, Event]] = {}
    for event in events:
        a = event.args
        if event.name == "RoundOpened":
            seeds[a.round] = a.seed
        elif event.name == "MergeProposed":
            proposal = Proposal(
                proposer=a.proposer,
                model_root=a.modelRoot,
                model=Cid(digest=a.modelCid, size=a.modelSize),
                finalizable_at_s=a.finalizableAt,
            )
            made[proposal_id(a.round, seeds[a.round], proposal)] = (a.round, event)
    return made


def penalties(events: Sequence[Event], trials: Mapping[int, Trial] | None = None) -> list[Penalty]:
    """Everything that anybody lost, in order; `events` are the run's, its vault's and courts'.

    `trials` are what the training court stores of each trial, by number.
    """
    named = proposals(events)
    fined = {  # the run does not say why it fines
        (event.transaction_hash, getattr(event.args, name)): cause
        for event in events
        for kind, name, cause in _FINES
        if event.name == kind
    }
    tried = {event.transaction_hash for event in events if event.name == "TrialEnded"}
    convicted = {  # the vault does not know for which round it slashes
        (event.transaction_hash, event.args.trainer): event.args.round
        for event in events
        if event.name == "UpdateConvicted"
    }
    challengers: dict[int, tuple[Address, int]] = {}
    found: list[Penalty] = []
    for event in events:
        a = event.args
        if event.name in ("TreeChallenged", "LeafChallenged"):
            challengers[a.id] = (a.challenger, a.round)
            continue
        if event.name == "TrialEnded" and trials is not None:
            found += trial_penalties(events, event, trials[a.id])
            continue
        made = _penalty(event, named, convicted, challengers)
        if made is not None and made.lost_wei:
            if made.cause is Cause.UPDATE and event.transaction_hash in tried:
                made = replace(made, cause=Cause.TRAINING)
            cause = fined.get((event.transaction_hash, made.loser))
            found.append(made if cause is None else replace(made, cause=cause))
    return found


_FINES = (
    ("JurorFined", "juror", Cause.JUROR),
    ("AuditorFined", "auditor", Cause.AUDITOR),
)


def trial_penalties(events: Iterable[Event], end: Event, trial: Trial) -> list[Penalty]:
    """Where the bonds of a trial went that ended with the event `end`; nowhere if it was moot.

    The losers' bonds pay the jurors who voted right, and the rest goes to the winner.
    """
    jurors: list[tuple[Address | None, int]] = [
        (event.args.juror, event.args.amountWei)
        for event in events
        if event.name == "JurorPaid" and event.args.id == end.args.id
    ]
    jurors.append((None, trial.jurors_wei))  # not fetched yet
    losses = _trial_losses(end.args.state, trial, sum(wei for _, wei in jurors))
    winner = None if end.args.winner == ZERO_ADDRESS else end.args.winner
    rest_wei = sum(wei for _, wei in losses) - sum(wei for _, wei in jurors)
    return [
        Penalty(
            cause=Cause.TRIAL,
            round_id=trial.round_id,
            loser=loser,
            winner=gainer,
            paid_wei=wei,
            burned_wei=0,
            transaction=end.transaction_hash,
        )
        for loser, gainer, wei in _flows(losses, [*jurors, (winner, rest_wei)])
    ]


def _trial_losses(state: int, trial: Trial, jurors_wei: int) -> list[tuple[Address, int]]:
    """Who is short of what after a trial, the appellant first."""
    appealed_in_vain = trial.level == 1 and state == trial.verdict
    appeal_wei = trial.appeal_bond_wei if appealed_in_vain else 0
    if state == TrialState.HUNG:
        appeal_wei = min(appeal_wei, jurors_wei)
        half_wei = (jurors_wei - appeal_wei) // 2
        defender_wei, accuser_wei = half_wei, jurors_wei - appeal_wei - half_wei
    else:
        defender_wei = trial.defender_bond_wei if state == TrialState.CONVICTED else 0
        accuser_wei = trial.accuser_bond_wei if state == TrialState.ACQUITTED else 0
    sides = ((trial.appellant, appeal_wei), (trial.defender, defender_wei))
    return [(who, wei) for who, wei in (*sides, (trial.accuser, accuser_wei)) if wei]


def _flows(
    losses: Iterable[tuple[Address, int]], gains: Iterable[tuple[Address | None, int]]
) -> Iterator[tuple[Address, Address | None, int]]:
    """From whom to whom: losses cover gains in order."""
    left = dict(enumerate(losses))
    for gainer, gained_wei in gains:
        need_wei = gained_wei
        for place, (loser, wei) in left.items():
            paid_wei = min(need_wei, wei)
            left[place] = (loser, wei - paid_wei)
            need_wei -= paid_wei
            if paid_wei:
                yield loser, gainer, paid_wei


def _penalty(
    event: Event,
    named: Mapping[Digest, tuple[int, Event]],
    convicted: Mapping[tuple[str, Address], int],
    challengers: Mapping[int, tuple[Address, int]],
) -> Penalty | None:
    a, tx = event.args, event.transaction_hash
    if event.name in ("MergeConvicted", "RejectedConvicted"):
        number = a.round if event.name == "MergeConvicted" else named[a.proposal][0]
        return Penalty(
            cause=Cause.MERGE,
            round_id=number,
            loser=a.proposer,
            winner=a.beneficiary,
            paid_wei=a.paidWei,
            burned_wei=a.burnedWei,
            transaction=tx,
        )
    if event.name == "Slashed":
        return Penalty(
            cause=Cause.UPDATE,
            round_id=convicted.get((tx, a.trainer)),
            loser=a.trainer,
            winner=a.beneficiary,
            paid_wei=a.paidWei,
            burned_wei=a.burnedWei,
            transaction=tx,
        )
    if event.name == "FeeCharged":
        return Penalty(
            cause=Cause.ABSENCE if a.absent else Cause.SILENCE,
            round_id=a.round,
            loser=a.trainer,
            winner=None,
            paid_wei=a.feeGwei * GWEI,
            burned_wei=0,
            transaction=tx,
        )
    if event.name == "DisputeEnded" and a.id in challengers:
        challenger, number = challengers[a.id]
        if a.beneficiary not in (challenger, ZERO_ADDRESS):
            return Penalty(
                cause=Cause.DISPUTE,
                round_id=number,
                loser=challenger,
                winner=a.beneficiary,
                paid_wei=a.bondsWei,
                burned_wei=0,
                transaction=tx,
            )
    return None
