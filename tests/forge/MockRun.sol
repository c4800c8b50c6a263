// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Current, Rejected, Round, RoundStatus, RunParams, Seat, Submission} from "../../contracts/types/Types.sol";

/// @title What the court reads and calls of a run; it counts the calls instead of carrying them out.
// solhint-disable-next-line max-states-count
contract MockRun {
    Current public current;
    uint256 public roster;
    Seat[256] public seats;
    Submission[256] public submissions;
    mapping(uint32 round => uint256 set) public convicted;
    mapping(bytes32 proposal => Rejected record) public rejected;

    uint256 public mergesConvicted;
    uint256 public rejectedConvicted;
    uint256 public mergesFailed;
    uint256 public updatesConvicted;
    uint256 public holds;
    address public beneficiary;
    address public trainer;

    RunParams private _params;
    mapping(uint32 round => Round record) private _rounds;
    mapping(uint32 round => mapping(uint8 segment => bytes32 hash)) private _inputsHashes;

    // --- the scene

    function setParams(RunParams calldata p) external {
        _params = p;
    }

    function setRound(uint32 round, Round calldata record) external {
        _rounds[round] = record;
    }

    function setInputsHash(uint32 round, uint8 segment, bytes32 hash) external {
        _inputsHashes[round][segment] = hash;
    }

    function setCurrent(Current calldata c, uint256 roster_) external {
        (current, roster) = (c, roster_);
    }

    function setSeat(uint256 seat, Seat calldata s, Submission calldata submission) external {
        (seats[seat], submissions[seat]) = (s, submission);
    }

    /// @dev The trainers reject the proposal while disputes go on.
    function reject(uint32 round, uint16 disputes) external {
        rejected[proposalId(round)] = Rejected(_rounds[round].proposer, disputes);
        _rounds[round].status = RoundStatus.Open;
        holds = 0;
    }

    // --- what the court reads

    function params() external view returns (RunParams memory) {
        return _params;
    }

    function getRound(uint32 round) external view returns (Round memory) {
        return _rounds[round];
    }

    function inputsHash(uint32 round, uint8 segment) external view returns (bytes32) {
        return _inputsHashes[round][segment];
    }

    function proposalId(uint32 round) public view returns (bytes32) {
        Round memory r = _rounds[round];
        if (r.status != RoundStatus.Proposed) return 0;
        return keccak256(abi.encode(round, r.seed, r.modelRoot, r.proposer, r.finalizableAt));
    }

    // --- what the court does

    function convictMerge(uint32 round, address beneficiary_) external {
        ++mergesConvicted;
        beneficiary = beneficiary_;
        _rounds[round].status = RoundStatus.Open;
        holds = 0;
    }

    function convictRejected(bytes32 proposal, address beneficiary_) external {
        ++rejectedConvicted;
        beneficiary = beneficiary_;
        delete rejected[proposal];
    }

    function convictUpdate(uint32 round, uint8 seat, address trainer_, address beneficiary_) external {
        ++updatesConvicted;
        convicted[round] |= 1 << seat;
        (trainer, beneficiary) = (trainer_, beneficiary_);
    }

    function failMerge(uint32 round) external {
        ++mergesFailed;
        _rounds[round].status = RoundStatus.Failed;
    }

    function holdFinality(uint32) external {
        ++holds;
    }

    function releaseFinality(uint32) external {
        --holds;
    }

    function releaseRejected(bytes32 proposal) external {
        if (--rejected[proposal].disputes == 0) delete rejected[proposal];
    }
}
