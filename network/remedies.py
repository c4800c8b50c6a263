"""What to do when a contract refuses: one exception for each custom error of the contracts.

A test holds this table complete. `ContractRefused.WrongPhase` and its siblings can be caught by
name through `REMEDIES["WrongPhase"]`.
"""

from protocol.errors import TransactionReverted

_TABLE = {
    # who and when
    "WrongPhase": ("the round is in another phase", "read the round's phase and try again"),
    "PhaseOver": ("the phase's deadline has passed", "wait for the next round"),
    "PhaseNotOver": ("the phase has not ended yet", "wait until its deadline"),
    "WrongAttempt": ("the round was opened anew", "read the open round and submit for its attempt"),
    "WrongRound": ("the round is not in the state the call needs", "settle earlier rounds first"),
    "NotSeated": ("the seat is not in this round's roster", "enroll, or wait for the next round"),
    "AlreadyEnrolled": (
        "this account has a seat already",
        "use one key for each trainer; stop the other process if it uses this key",
    ),
    "Unauthorized": ("another account must make this call", "use the key of that account"),
    "RunStopped": ("the run was halted or closed", "ask its guardian, or join another run"),
    "RunComplete": ("all rounds of the run were opened", "claim what you earned and leave"),
    "InvalidParameter": ("a run parameter is out of bounds", "correct the named parameter"),
    # roster
    "RunFull": ("every seat is taken", "wait until a trainer leaves, or join another run"),
    "StakeTooSmall": ("the stake is below the run's minimum", "stake more"),
    "TooFewTrainers": ("too few trainers are enrolled", "wait until more have enrolled"),
    "AlreadyLeaving": ("this seat is leaving already", "wait for the round to end, then release"),
    "StillInRoster": ("the seat still takes part", "leave first, then wait for the round's end"),
    "StillLiable": (
        "rounds that the seat took part in are not settled",
        "wait until they are final; anyone may finalize them",
    ),
    # submissions
    "WrongParentRoot": (
        "the commitment names another parent model than the chain",
        "recompute the merge; dissent if you are sure that the chain's root is wrong",
    ),
    "AlreadySubmitted": ("this seat has submitted in this attempt", "nothing is to be done"),
    "BadSignature": ("a signature is not by the seat's trainer", "sign again with the seat's key"),
    "CommitmentMismatch": (
        "the header does not open the commitment",
        "reveal what the journal holds for this attempt",
    ),
    "NormAboveBound": (
        "the update is larger than the run's norm bound",
        "lower the learning rate or clip the update",
    ),
    "EmptyBatch": ("the batch changes nothing", "send at least one valid entry"),
    # audit and merge
    "DuplicateAttestation": ("a seat attested twice in one batch", "keep one signature a seat"),
    "WrongUpdates": (
        "the updates are not all the revealed ones in seat order",
        "take them from the round's Revealed events",
    ),
    "NotYourTurn": ("another aggregator's turn is running", "wait for your turn"),
    "InsufficientFunds": (
        "the run's account or pool does not hold enough",
        "deposit a bond, or fund the run",
    ),
    "InputsMismatch": (
        "the inputs are not those that were frozen",
        "rebuild them from the round's events",
    ),
    "DisputeWindowOpen": ("the dispute window is still open", "wait until it closes"),
    "DisputeOpen": ("a dispute of this round is open", "wait for the court"),
    "NotAccepted": (
        "the next round has not confirmed this merge",
        "open the next round and wait until its commit phase ends",
    ),
    "NotRejected": (
        "no rejected proposal of that name waits for the court",
        "look at the dispute again: it may be over",
    ),
    "AlreadyConvicted": ("this update was convicted already", "nothing is to be done"),
    "AggregatorsFull": ("the list of aggregators is full", "propose after the last turn instead"),
    "AlreadyAggregator": ("this account is listed already", "nothing is to be done"),
    "NotAggregator": ("this account is not listed", "register as aggregator first"),
    "NothingToDissent": (
        "there is no pending merge with another root",
        "commit, or wait for the next proposal",
    ),
    # the merge court
    "NotPending": (
        "the proposal is no longer pending, or another one is",
        "look again: it was convicted, rejected or settled",
    ),
    "ChunkIsRight": ("the chunk is as the merge rule wants it", "report this as a bug"),
    "WrongInputs": (
        "the inputs are not those that were frozen",
        "rebuild them from the round's events",
    ),
    "WrongAccumulator": (
        "the sum is not the one that this account's last part left",
        "feed the proof again from its beginning",
    ),
    "WrongOpenings": (
        "the proof has not one opening for each included update",
        "rebuild it from the round's events",
    ),
    "WrongUpdateOpening": (
        "an opening does not lead to its update's root",
        "fetch the update again; ask for its leaf if it can not be had",
    ),
    "WrongBeginning": (
        "parent and inputs are not those that the dispute began with",
        "take them from the round as it was when the dispute began",
    ),
    "WrongUpdateLeaf": ("an update leaf has not 257 bytes", "report this as a bug"),
    "WrongModelLeaf": ("a model leaf has the wrong size", "report this as a bug"),
    "WeightsTooLarge": ("the weights add up to more than one", "report this as a bug"),
    "NoSuchInput": ("no included update has that place", "report this as a bug"),
    "WrongOldLeaf": (
        "the old leaf does not lead to the parent's root",
        "fetch the parent model again",
    ),
    "WrongNode": (
        "a node does not lead to the proposed root, or to the node in dispute",
        "fetch the proposed model again, or follow the dispute from its events",
    ),
    "NormIsRight": ("the update's norm is as its header says", "report this as a bug"),
    "WrongHeader": (
        "header and root are not those that were revealed or frozen",
        "take them from the round's Revealed events",
    ),
    "NoSuchChunk": ("the model has no such chunk", "report this as a bug"),
    "NoSuchUpdate": ("no included update has that place or seat", "report this as a bug"),
    "WindowClosed": (
        "the dispute window is over",
        "bring a proof of a wrong chunk: it counts until the round is final",
    ),
    "BondTooSmall": ("the move's bond is larger by now", "send it again with the present bond"),
    "WrongMove": (
        "the dispute waits for another move, or is over",
        "look at the dispute again",
    ),
    "ClockRanOut": ("the time for this move is over", "end the dispute"),
    "ClockStillRuns": ("the other side still has time", "wait until its deadline"),
    "NotChallenger": ("only the challenger chooses", "use the key of the challenger"),
    "WrongChildren": (
        "the children do not hash to the node in dispute",
        "compute the merge again",
    ),
    # the training court
    "NotFrozen": (
        "the round's updates are not frozen, or are final",
        "accuse between the freeze and the round's end",
    ),
    "AlreadyGuilty": ("a court convicted the update already", "nothing is to be done"),
    "NothingDisputed": (
        "both traces are the same",
        "accuse only with a trace of one's own that differs",
    ),
    "WrongTrace": (
        "the digests do not lead to the root that was committed to",
        "show what the journal holds of that training",
    ),
    "WrongState": ("the trial waits for another move, or is over", "look at the trial again"),
    "NotAccuser": ("only the accuser answers", "use the key of the accuser"),
    "WrongHeaders": (
        "there is not one header for each included update",
        "take them from the round's Revealed events",
    ),
    "BlockStillKnown": (
        "the block that draws the jury is known, or still to come",
        "seat the jury with that block's header",
    ),
    "BlockNotKnown": (
        "the block that draws is still to come, or forgotten",
        "wait for the next block; draw a jury by another one if the chain forgot it",
    ),
    "WrongHeaderOf": (
        "the header is not that block's",
        "read the block again; on a chain with other header fields, update this program",
    ),
    "NotJuror": ("the account has no ticket in the jury", "only drawn jurors vote"),
    "AlreadyVoted": ("this juror has voted already", "nothing is to be done"),
    "WrongSeal": (
        "the vote does not open what was sealed",
        "open with the salt that the casebook holds",
    ),
    "NothingToPay": (
        "the juror did not vote as the trial ended, or was paid",
        "nothing is to be done",
    ),
    "NothingToFine": ("there is nobody to fine, or it was done", "nothing is to be done"),
    "NotDrawn": ("the update is not audited by this account", "post findings of own draws alone"),
    "AlreadyFound": ("a finding about the update is posted", "nothing is to be done"),
    "WrongSignature": (
        "the drawn auditor did not sign this finding",
        "sign again with the auditor's key",
    ),
    "NotSponsor": ("only the sponsor takes back what is left for audits", "use the sponsor's key"),
    "NotClosed": ("the run goes on", "close the run first"),
    # money
    "NothingToClaim": ("there is nothing to claim", "wait until a round is final"),
    "NothingToMove": ("there is nothing to move", "deposit, or unlock stake first"),
    "TransferFailed": ("the receiver refused the ether", "claim to an account that accepts ether"),
    "InsufficientFreeStake": ("the vault holds too little free stake", "deposit more stake"),
    "InsufficientLockedStake": ("less stake is locked than asked for", "report this as a bug"),
    "StillUnbonding": ("the stake is still unbonding", "wait until its release time"),
    "NotARun": ("the caller is no run of this factory", "use the vault's own factory"),
    "UnbondingTooShort": (
        "the vault unbonds before disputes end",
        "shorten the dispute window or deploy a vault with a longer unbonding time",
    ),
    "DeploymentFailed": ("the run could not be created", "give the transaction more gas"),
    # of the libraries
    "AddressEmptyCode": ("a contract without code was called", "check the deployment"),
    "ReentrancyGuardReentrantCall": ("the court was called again by a run", "leave that run"),
    "FailedCall": ("an inner call failed without a reason", "simulate the inner calls one by one"),
    "InvalidShortString": ("a short string is malformed", "report this as a bug"),
    "StringTooLong": ("a string is too long", "report this as a bug"),
}


def _refusal(name: str, problem: str, advice: str) -> type[TransactionReverted]:
    said = {
        "problem": f"the contract refused with {{error_name}}{{error_args}}: {problem}",
        "advice": advice,
        "__doc__": f"The contract's {name}: {problem}.",
        "__annotations__": {},
        "__module__": __name__,
    }
    return type(name, (TransactionReverted,), said)


REMEDIES = {name: _refusal(name, *said) for name, said in _TABLE.items()}
"""The exception of each custom error, by its name in Solidity."""

# Each is an attribute of this module too, so that it survives a process boundary (pickle asks).
globals().update(REMEDIES)
