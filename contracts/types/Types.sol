// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Phases of the open round; see docs/protocol.md section 4.
enum Phase {
    Idle,
    Commit,
    Reveal,
    Audit,
    Merge
}

/// @notice What became of a round.
enum RoundStatus {
    None,
    Open,
    Proposed,
    Final,
    Failed
}

/// @notice Why a round failed or was voided.
enum FailureReason {
    TooFewCommits,
    TooFewReveals,
    TooFewUpdates,
    MergeTimeout,
    ParentRejected,
    Convicted,
    RolledBack,
    Unavailable
}

/// @notice How far a seat got in an attempt.
enum Progress {
    None,
    Committed,
    Revealed,
    Dissented
}

/// @notice Immutable parameters of a run. Times are seconds of block time, stakes are gwei.
struct RunParams {
    bytes32 specCid;
    bytes32 genesisRoot;
    bytes32 genesisCid;
    uint64 specSize;
    uint64 genesisSize;
    uint32 chunks;
    uint16 lr;
    uint16 mu;
    bool nesterov;
    bool momentum;
    uint8 segments;
    uint96 normBound;
    uint32 maxRounds;
    uint16 minTrainers;
    uint16 maxTrainers;
    uint16 ringSize;
    uint56 minStakeGwei;
    uint56 stakeCapGwei;
    uint56 proposerBondGwei;
    uint56 absenceFeeGwei;
    uint56 noRevealFeeGwei;
    uint8 absenceGrace;
    uint8 evictAfter;
    uint16 slashBps;
    uint96 rewardPerRoundWei;
    uint32 commitS;
    uint32 revealS;
    uint32 auditS;
    uint32 mergeTurnS;
    uint32 mergeTimeoutS;
    uint32 disputeS;
    address guardian;
    address beacon;
    /// @dev What each move of a dispute has at least.
    uint32 moveS;
    /// @dev What jurors have to do a disputed step again.
    uint32 juryS;
    /// @dev Share of the updates that are audited, in 1/10,000.
    uint16 auditBps;
    /// @dev To the auditor for each of them, out of what was given for audits.
    uint96 auditRewardWei;
    /// @dev Behind the last chunk of each segment.
    uint32[] segmentEnds;
}

/// @notice The parameters that every round needs, packed into two storage slots.
struct HotParams {
    uint32 maxRounds;
    uint32 commitS;
    uint32 revealS;
    uint32 auditS;
    uint32 mergeTimeoutS;
    uint32 disputeS;
    uint16 minTrainers;
    uint16 ringSize;
    uint8 segments;
    uint96 normBound;
    uint96 rewardPerRoundWei;
    uint56 proposerBondGwei;
}

/// @notice A trainer's place in a run.
struct Seat {
    address trainer;
    uint56 stakeGwei;
    uint8 absences;
    /// @dev Of a seat that leaves: the last round that it can have taken part in.
    uint32 lastRound;
}

/// @notice The open round; one storage slot.
struct Current {
    uint32 round;
    uint32 attempt;
    Phase phase;
    uint40 deadline;
    uint16 rosterCount;
    uint16 commits;
    uint16 dissents;
    uint16 reveals;
    uint56 keeperGwei;
    bool anyPosted;
    bool anyExcluded;
}

/// @notice Totals that rarely change; one storage slot.
struct Totals {
    uint56 rosterStakeGwei;
    uint56 enrolledStakeGwei;
    uint56 dissentStakeGwei;
    uint32 lastFinal;
    uint32 lastConviction;
    bool halted;
    bool closed;
    bool rosterChanged;
}

/// @notice What a seat last submitted; one storage slot that each attempt overwrites.
struct Submission {
    uint32 attempt;
    Progress progress;
    bytes27 digest;
}

/// @notice A round's lasting record, kept in a ring of `ringSize` entries.
struct Round {
    bytes32 seed;
    bytes32 modelRoot;
    address proposer;
    uint40 finalizableAt;
    uint16 openDisputes;
    RoundStatus status;
    /// @dev Some updates are not paid: see `convicted` and `unpaid`.
    bool anyUnpaid;
    bool anyTrial;
    /// @dev Low bits of the number of the block that froze the inputs.
    uint16 frozenAt;
}

/// @notice A proposal that trainers rejected while disputes about it go on: its proposer's bond stays locked.
struct Rejected {
    address proposer;
    uint16 disputes;
}

/// @notice Money a run owes an account: free to claim, or locked as a bond.
struct Account {
    uint128 freeWei;
    uint128 lockedWei;
}

/// @notice A trainer's signed commitment, for a relay to post.
struct SignedCommitment {
    uint8 seat;
    bytes32 commitment;
    bytes32 r;
    bytes32 vs;
}

/// @notice An update header and the salt that opens its commitment.
struct Reveal {
    uint8 seat;
    bytes32 updateRoot;
    uint96 ssq;
    bytes32 traceRoot;
    bytes32 classId;
    bytes32 updateCid;
    uint64 updateSize;
    bytes32 salt;
}

/// @notice One signature under an attestation; r = vs = 0 names an attestation made by `attest`.
struct SeatSignature {
    uint8 seat;
    bytes32 r;
    bytes32 vs;
}

/// @notice All signatures under one opinion: which updates are available, and which do the model harm.
struct AttestationGroup {
    uint256 available;
    uint256 harmful;
    SeatSignature[] signatures;
}

/// @notice What posted attestations add up to: updates that two thirds of the roster's stake call available, and
/// harmful, and those that attestations still to come could make harmful.
struct Posted {
    uint256 available;
    uint256 harmful;
    uint256 contested;
}

/// @notice What `freeze` needs of a revealed update besides its stored digest.
struct RevealedUpdate {
    uint8 seat;
    bytes32 updateRoot;
    bytes32 headerHash;
}
