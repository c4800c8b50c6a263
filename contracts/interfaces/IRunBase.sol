// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {FailureReason, Phase, Round, RoundStatus} from "../types/Types.sol";

/// @title Errors, events and records of a run.
interface IRunBase {
    // --- errors: configuration
    /// @notice A run parameter is out of bounds; `name` is its name.
    error InvalidParameter(bytes32 name);

    // --- errors: who and when
    /// @notice The call belongs to another phase.
    error WrongPhase(Phase expected, Phase actual);
    /// @notice The phase ended; someone may call `advance`.
    error PhaseOver(uint256 deadline);
    /// @notice The phase has not ended, and not everybody it waits for has acted.
    error PhaseNotOver(uint256 deadline);
    /// @notice The call speaks of another attempt than the open one.
    error WrongAttempt(uint32 expected, uint32 given);
    /// @notice The call speaks of a round that is not what it needs to be.
    error WrongRound(uint32 round, RoundStatus status);
    /// @notice The seat is not the account's, or not in the roster.
    error NotSeated(uint8 seat, address account);
    /// @notice The account has a seat already.
    error AlreadyEnrolled(address account, uint8 seat);
    /// @notice Only `expected` may call.
    error Unauthorized(address caller, address expected);
    /// @notice Guardian or sponsor stopped the run.
    error RunStopped();
    /// @notice All rounds have been opened.
    error RunComplete(uint32 maxRounds);

    // --- errors: roster
    error RunFull(uint16 maxTrainers);
    error StakeTooSmall(uint256 stakeGwei, uint256 minStakeGwei);
    error TooFewTrainers(uint256 enrolled, uint256 needed);
    error AlreadyLeaving(uint8 seat);
    /// @notice The seat takes part in the open round, or never left.
    error StillInRoster(uint8 seat);
    /// @notice Rounds up to this one, in which the seat took part, are not settled; anyone may finalize them.
    error StillLiable(uint8 seat, uint32 round);

    // --- errors: submissions
    /// @notice The commitment names another parent root than the chain's; recompute the merge or dissent.
    error WrongParentRoot(bytes32 expected, bytes32 given);
    error AlreadySubmitted(uint8 seat);
    error BadSignature(uint8 seat);
    /// @notice The revealed header does not open the commitment.
    error CommitmentMismatch(uint8 seat);
    error NormAboveBound(uint256 ssq, uint256 bound);
    error EmptyBatch();

    // --- errors: audit and merge
    error DuplicateAttestation(uint8 seat);
    error WrongUpdates(uint256 given, uint256 revealed);
    error NotYourTurn(uint256 opensAt);
    error InsufficientFunds(uint256 freeWei, uint256 neededWei);
    error InputsMismatch(uint8 segment);
    error DisputeWindowOpen(uint256 finalizableAt);
    error DisputeOpen(uint256 disputes);
    /// @notice The next round's commitments have not confirmed this merge yet.
    error NotAccepted(uint32 round);
    /// @notice No rejected proposal of that name waits for the court.
    error NotRejected(bytes32 proposal);
    error AlreadyConvicted(uint32 round, uint8 seat);
    error AggregatorsFull(uint256 limit);
    error AlreadyAggregator(address account);
    error NotAggregator(address account);
    error NothingToClaim();
    error TransferFailed(address to, uint256 amountWei);
    error NothingToDissent();

    // --- events: roster
    event Enrolled(address indexed trainer, uint8 indexed seat, uint256 stakeGwei);
    event Leaving(address indexed trainer, uint8 indexed seat, bool evicted);
    event Released(address indexed trainer, uint8 indexed seat, uint256 stakeGwei);
    event FeeCharged(uint32 indexed round, address indexed trainer, uint256 feeGwei, bool absent);
    event AggregatorRegistered(address indexed aggregator);
    event AggregatorRemoved(address indexed aggregator);

    // --- events: rounds
    event RoundOpened(
        uint32 indexed round,
        uint32 indexed attempt,
        bytes32 seed,
        bytes32 parentRoot,
        uint256 roster,
        uint256 rosterStakeGwei,
        uint256 deadline
    );
    event PhaseStarted(uint32 indexed round, Phase indexed phase, uint256 deadline);
    event Committed(uint32 indexed round, address indexed trainer, uint8 seat, bytes32 commitment);
    event Dissented(uint32 indexed round, address indexed trainer, uint8 seat, bytes32 parentRoot);
    event Revealed(
        uint32 indexed round,
        address indexed trainer,
        uint8 seat,
        bytes32 updateRoot,
        uint96 ssq,
        bytes32 traceRoot,
        bytes32 classId,
        bytes32 updateCid,
        uint64 updateSize
    );
    event Attested(uint32 indexed round, address indexed trainer, uint256 available, uint256 harmful);
    /// @param contested Updates that attestations still to come could make harmful, after all that was posted.
    event AttestationsPosted(
        uint32 indexed round, address indexed keeper, uint256 available, uint256 harmful, uint256 contested
    );
    event UpdatesFrozen(uint32 indexed round, uint256 included, uint256 available, bytes32[] inputsHashes);
    /// @notice Included updates that two thirds of the stake call harmful: they earn nothing in this round.
    event UpdatesUnpaid(uint32 indexed round, uint256 seats);
    event MergeProposed(
        uint32 indexed round,
        address indexed proposer,
        bytes32 modelRoot,
        bytes32 modelCid,
        uint64 modelSize,
        uint256 finalizableAt
    );
    event RoundFailed(uint32 indexed round, FailureReason reason);
    event RoundVoided(uint32 indexed round, FailureReason reason);
    event MergeReopened(uint32 indexed round, address indexed proposer, FailureReason reason);
    event RoundFinalized(uint32 indexed round, uint256 paidWei);
    event RewardCredited(uint32 indexed round, address indexed trainer, uint256 amountWei);
    event UpdateConvicted(
        uint32 indexed round, address indexed trainer, address indexed beneficiary, uint256 slashedWei
    );
    event MergeConvicted(
        uint32 indexed round, address indexed proposer, address indexed beneficiary, uint256 paidWei, uint256 burnedWei
    );
    /// @notice The bond of a proposal that was rejected before its conviction.
    event RejectedConvicted(
        bytes32 indexed proposal,
        address indexed proposer,
        address indexed beneficiary,
        uint256 paidWei,
        uint256 burnedWei
    );

    // --- events: money and control
    event Funded(address indexed from, uint256 rewardWei, uint256 keeperWei);
    event BondDeposited(address indexed account, uint256 amountWei);
    event KeeperRefunded(address indexed keeper, uint256 amountWei);
    event Claimed(address indexed account, uint256 amountWei);
    event Halted(bool halted);
    event RolledBack(uint32 indexed toRound, uint32 fromRound);
    event Closed(uint256 returnedWei);

    // --- views
    /// @notice Who opened and funded the run.
    function sponsor() external view returns (address);
    /// @notice The lasting record of a round; reverts if the ring no longer holds it.
    function getRound(uint32 round) external view returns (Round memory);
    /// @notice Identity of the round's pending proposal, zero if it has none: keccak256(abi.encode(round, seed,
    /// modelRoot, proposer, finalizableAt)).
    function proposalId(uint32 round) external view returns (bytes32);
    /// @notice A proposal whose bond stays locked after its rejection, until so many disputes ended.
    function rejected(bytes32 proposal) external view returns (address proposer, uint16 disputes);
    /// @notice Identity of the updates of a round whose inputs are frozen: the seed that dealt them. Zero if they are
    /// not frozen, void or forgotten.
    function frozenSeed(uint32 round) external view returns (bytes32);
    /// @notice Trials of a round's updates that keep it from becoming final.
    function openTrials(uint32 round) external view returns (uint256);
    /// @notice Hash of the frozen inputs of a round's segment.
    function inputsHash(uint32 round, uint8 segment) external view returns (bytes32);
}
