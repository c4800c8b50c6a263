// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {IRunBase} from "../interfaces/IRunBase.sol";
import {
    Account,
    Current,
    FailureReason,
    HotParams,
    Phase,
    Posted,
    Rejected,
    Round,
    RoundStatus,
    RunParams,
    Seat,
    Submission,
    Totals
} from "../types/Types.sol";

/// @title Parameters, storage and phase bookkeeping that the parts of a run share.
// All state of a run is declared here, so that both halves of its code agree on where it lies.
// solhint-disable-next-line max-states-count
abstract contract RunBase is IRunBase {
    uint256 internal constant GWEI = 1e9;
    // slither-disable-next-line unused-state: the run's other half uses it
    uint256 internal constant MAX_SEATS = 256;
    uint256 internal constant WEIGHT_ONE = 65_536;

    // RunOffice has no constructor: it works on the storage of a TrainingRun, which sets and writes all of this.
    // slither-disable-start uninitialized-state,constable-states,immutable-states
    /// @inheritdoc IRunBase
    address public sponsor;
    /// @notice Where the stakes are.
    IStakeVault public vault;
    /// @notice The courts; zero address if there is none.
    address public mergeCourt;
    address public trainingCourt;
    /// @notice Parameters; the constructor alone writes them.
    RunParams internal _params;
    /// @dev Copies of what every round needs, packed; the constructor alone writes them.
    HotParams internal _hot;

    /// @notice The open round.
    Current public current;
    /// @notice Totals that rarely change.
    Totals public totals;
    /// @notice Rewards not yet credited.
    uint256 public rewardPoolWei;
    /// @notice Bonds of convicted proposers that nobody gets.
    uint256 public burnedWei;
    /// @notice Occupied seats, seats that give up their place, and the seats of the open round.
    uint256 public seatsUsed;
    uint256 public leaving;
    uint256 public roster;
    Seat[256] public seats;
    Submission[256] public submissions;
    mapping(address trainer => uint256 seatPlusOne) public seatPlusOneOf;
    mapping(address account => Account balances) public accounts;
    /// @notice What `postAttestations` recorded, by attempt.
    mapping(uint32 attempt => Posted record) public posted;
    /// @notice Updates that a court excluded before freeze, and seats left without stake, by attempt.
    mapping(uint32 attempt => uint256 seats_) public excluded;
    /// @notice Convicted updates, by round.
    mapping(uint32 round => uint256 seats_) public convicted;
    /// @notice Included updates that two thirds of the stake called harmful, by round.
    mapping(uint32 round => uint256 seats_) public unpaid;
    mapping(uint256 slot => Round record) internal _rounds;
    mapping(uint256 slot => mapping(uint256 segment => bytes32 hash)) internal _inputsHashes;
    /// @notice Trials of a round's updates that go on, by round.
    mapping(uint32 round => uint256 trials) public openTrials;
    /// @notice Proposals that were rejected while the court had disputes about them.
    mapping(bytes32 proposal => Rejected record) public rejected;
    /// @dev At most 16, so loops over it are bounded. Each has one bond locked for being listed.
    address[] internal _aggregators;
    // slither-disable-end uninitialized-state,constable-states,immutable-states

    /// @inheritdoc IRunBase
    function getRound(uint32 round) external view returns (Round memory record) {
        record = _record(round);
        // A round that has no proposal yet shows its seed, not what the ring held before it.
        // slither-disable-next-line incorrect-equality: round numbers are counted
        if (round == current.round && current.phase != Phase.Idle) {
            // slither-disable-next-line incorrect-equality: phases are an enum
            record = Round({
                seed: record.seed,
                modelRoot: 0,
                proposer: address(0),
                finalizableAt: 0,
                openDisputes: 0,
                status: RoundStatus.Open,
                anyUnpaid: false,
                anyTrial: false,
                frozenAt: current.phase == Phase.Merge ? record.frozenAt : 0
            });
        }
    }

    /// @inheritdoc IRunBase
    function proposalId(uint32 round) external view returns (bytes32) {
        // Of a round that is void or forgotten there is none either; the court asks for those, too.
        uint32 newest = current.round;
        Round storage record = _rounds[round % _hot.ringSize];
        if (round > newest || newest - round >= _hot.ringSize || record.status != RoundStatus.Proposed) return 0;
        return _proposalId(round, record);
    }

    /// @inheritdoc IRunBase
    function frozenSeed(uint32 round) external view returns (bytes32) {
        Current memory c = current;
        if (round > c.round || c.round - round >= _hot.ringSize) return 0;
        Round storage record = _rounds[round % _hot.ringSize];
        // slither-disable-next-line incorrect-equality: round numbers are counted
        if (round == c.round && c.phase != Phase.Idle) return c.phase == Phase.Merge ? record.seed : bytes32(0);
        return record.status == RoundStatus.None ? bytes32(0) : record.seed;
    }

    /// @inheritdoc IRunBase
    function inputsHash(uint32 round, uint8 segment) external view returns (bytes32) {
        _record(round);
        return _inputsHashes[round % _hot.ringSize][segment];
    }

    /// @dev A root may be proposed twice; the time and the round's seed tell one proposal from the next.
    function _proposalId(uint32 round, Round storage record) internal view returns (bytes32) {
        return
            keccak256(abi.encode(round, record.seed, record.modelRoot, record.proposer, record.finalizableAt));
    }

    /// @dev The record of a round that the ring still holds.
    function _record(uint32 round) internal view returns (Round storage) {
        uint32 newest = current.round;
        Round storage record = _rounds[round % _hot.ringSize];
        if (round > newest || newest - round >= _hot.ringSize) revert WrongRound(round, RoundStatus.None);
        return record;
    }

    /// @dev The open attempt in the expected phase, before its deadline.
    function _open(Phase phase, uint32 attempt) internal view returns (Current memory c) {
        c = current;
        if (c.phase != phase) revert WrongPhase(phase, c.phase);
        if (c.attempt != attempt) revert WrongAttempt(c.attempt, attempt);
        if (block.timestamp > c.deadline) revert PhaseOver(c.deadline);
    }

    /// @dev Enter a phase. The caller writes `c` back to storage.
    function _enter(Current memory c, Phase phase, uint256 durationS) internal {
        c.phase = phase;
        c.deadline = uint40(block.timestamp + durationS);
        emit PhaseStarted(c.round, phase, c.deadline);
    }

    /// @dev The round ends without a merge: its model is its parent's. The caller writes `c` back to storage.
    function _fail(Current memory c, FailureReason reason) internal {
        c.phase = Phase.Idle;
        Round storage record = _rounds[c.round % _hot.ringSize];
        record.modelRoot = _rounds[(c.round - 1) % _hot.ringSize].modelRoot;
        record.status = RoundStatus.Failed;
        emit RoundFailed(c.round, reason);
    }

    /// @dev Back to the merge of an earlier round: rounds after it are void, its proposer's bond is the caller's
    /// matter. The caller writes `c` back to storage.
    function _reopenMerge(Current memory c, uint32 round, FailureReason reason) internal {
        _voidAfter(c, round, reason);
        Round storage record = _rounds[round % _hot.ringSize];
        emit MergeReopened(round, record.proposer, reason);
        record.proposer = address(0);
        record.status = RoundStatus.Open;
        record.openDisputes = 0;
        _enter(c, Phase.Merge, _hot.mergeTimeoutS);
    }

    /// @dev Back to `round`: those after it stand on a root no longer accepted. Bounded by the ring.
    function _voidAfter(Current memory c, uint32 round, FailureReason reason) internal {
        for (; c.round > round; --c.round) {
            _voidRound(c.round, reason);
        }
    }

    /// @dev A round that stands on a root no longer accepted.
    function _voidRound(uint32 round, FailureReason reason) internal {
        Round storage record = _rounds[round % _hot.ringSize];
        if (record.status == RoundStatus.Proposed) _unlockBond(record.proposer);
        record.status = RoundStatus.None;
        record.openDisputes = 0;
        if (record.anyUnpaid) (record.anyUnpaid, convicted[round], unpaid[round]) = (false, 0, 0);
        emit RoundVoided(round, reason);
    }

    function _lockBond(address account) internal {
        uint256 bondWei = _hot.proposerBondGwei * GWEI;
        Account memory a = accounts[account];
        if (a.freeWei < bondWei) revert InsufficientFunds(a.freeWei, bondWei);
        a.freeWei -= uint128(bondWei);
        a.lockedWei += uint128(bondWei);
        accounts[account] = a;
    }

    function _unlockBond(address account) internal {
        uint256 bondWei = _hot.proposerBondGwei * GWEI;
        Account memory a = accounts[account];
        a.freeWei += uint128(bondWei);
        a.lockedWei -= uint128(bondWei);
        accounts[account] = a;
    }

    function _credit(address account, uint256 amountWei) internal {
        accounts[account].freeWei += uint128(amountWei);
    }

    /// @dev Split the sent ETH. The keeper budget counts whole gwei; the rest is reward.
    // slither-disable-next-line divide-before-multiply: the keeper budget counts whole gwei, the rest is reward
    function _fund(uint96 keeperWei) internal {
        // Check
        if (keeperWei > msg.value) revert InsufficientFunds(msg.value, keeperWei);
        // Effect
        uint256 keeperGwei = keeperWei / GWEI;
        current.keeperGwei += uint56(keeperGwei);
        rewardPoolWei += msg.value - keeperGwei * GWEI;
        emit Funded(msg.sender, msg.value - keeperGwei * GWEI, keeperGwei * GWEI);
    }
}
