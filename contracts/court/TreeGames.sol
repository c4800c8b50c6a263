// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {ChunkProof, Dispute, DisputeState, IMergeCourt} from "../interfaces/IMergeCourt.sol";
import {Merkle} from "../libraries/Merkle.sol";
import {RunParams} from "../types/Types.sol";
import {Disputes} from "./Disputes.sol";

/// @title A proposer that shows no model is led down its tree to a chunk, which is then computed.
/// @notice A challenger that knows the right tree always finds a child that differs, down to a wrong chunk: it can not
/// lose against a wrong root, nor win against a right one whose data somebody has.
abstract contract TreeGames is Disputes {
    /// @dev Levels that one move goes down: 256 children.
    uint256 private constant STEP_LEVELS = 8;

    /// @inheritdoc IMergeCourt
    function challengeTree(address run, uint32 round) external payable nonReentrant returns (uint256 id) {
        // Check
        RunParams memory p = IJudgedRun(run).params();
        uint256 depth = _depthOf(p.chunks);
        DisputeState answer = depth == 0 ? DisputeState.Chunk : DisputeState.Children;
        Dispute memory d = _newDispute(run, round, p, answer);
        d.level = uint8(depth);
        d.inputs = _inputsOf(run, round, p.segments);
        // Effect and interaction
        id = _open(d);
        emit TreeChallenged(id, run, round, msg.sender, d.node);
    }

    /// @inheritdoc IMergeCourt
    function showChildren(uint256 id, bytes32[] calldata children) external nonReentrant {
        // Check
        Dispute storage d = _due(id, DisputeState.Children);
        if (children.length != 1 << _stepOf(d.level) || _fold(children) != d.node) revert WrongChildren(id);
        // Effect
        if (_standing(d) == Standing.Gone) {
            _endMoot(id, d);
            return;
        }
        emit ChildrenShown(id, d.node, children);
        _passTurn(d, DisputeState.Choice);
    }

    /// @inheritdoc IMergeCourt
    function chooseChild(uint256 id, uint32 child, bytes32 node, bytes32[] calldata siblings)
        external
        payable
        nonReentrant
    {
        // Check
        Dispute storage d = _due(id, DisputeState.Choice);
        if (msg.sender != d.challenger) revert NotChallenger(id, d.challenger);
        uint256 step = _stepOf(d.level);
        if (!Merkle.verify(d.node, child, node, siblings, step)) revert WrongNode(child);
        uint256 level = d.level - step;
        DisputeState answer = level == 0 ? DisputeState.Chunk : DisputeState.Children;
        // Effect
        d.bondWei += _takeBond(answer, level == 0 ? IJudgedRun(d.run).current().rosterCount : 0);
        if (_standing(d) == Standing.Gone) {
            _endMoot(id, d);
            return;
        }
        (d.level, d.index, d.node) = (uint8(level), uint32((uint256(d.index) << step) | child), node);
        emit ChildChosen(id, d.level, d.index, node);
        _passTurn(d, answer);
    }

    /// @inheritdoc IMergeCourt
    function openChunk(uint256 id, bytes32 parentRoot, bytes32[] calldata inputsHashes, ChunkProof calldata proof)
        external
        nonReentrant
    {
        // Check
        Dispute storage d = _due(id, DisputeState.Chunk);
        Standing standing = _standing(d);
        if (standing == Standing.Gone) {
            _endMoot(id, d);
            return;
        }
        if (keccak256(abi.encode(parentRoot, inputsHashes)) != d.inputs) revert WrongBeginning(id);
        if (proof.chunk != d.index) revert WrongNode(proof.chunk);
        RunParams memory p = IJudgedRun(d.run).params();
        bytes32 node = Merkle.EMPTY;
        if (proof.chunk < p.chunks) {
            bytes32 inputsHash = inputsHashes[_placeOf(p.segmentEnds, proof.chunk).segment];
            node = _rightNode(d.run, d.round, p, inputsHash, parentRoot, proof);
        }
        // Effect and interaction
        if (node == d.node) {
            _reject(id, d, standing, d.proposer);
        } else {
            emit WrongMergeProven(d.run, d.round, d.challenger, proof.chunk, d.node, node);
            _upholdTree(id, d, standing);
        }
    }

    /// @dev The proposal is wrong, or nobody could show that it is right.
    function _upholdTree(uint256 id, Dispute storage d, Standing standing) internal {
        _end(id, d, DisputeState.Upheld, d.challenger);
        // Interaction
        if (standing == Standing.Pending) IJudgedRun(d.run).convictMerge(d.round, d.challenger);
        else IJudgedRun(d.run).convictRejected(d.proposal, d.challenger);
    }

    /// @dev What the merge is made of, as it is when a dispute begins: a rejection must not change it.
    function _inputsOf(address run, uint32 round, uint256 segments) private view returns (bytes32) {
        bytes32[] memory inputsHashes = new bytes32[](segments);
        for (uint256 segment = 0; segment < segments; ++segment) {
            // slither-disable-next-line calls-loop: a run has 255 segments at most
            inputsHashes[segment] = IJudgedRun(run).inputsHash(round, uint8(segment));
        }
        return keccak256(abi.encode(IJudgedRun(run).getRound(round - 1).modelRoot, inputsHashes));
    }

    function _stepOf(uint256 level) private pure returns (uint256) {
        return level < STEP_LEVELS ? level : STEP_LEVELS;
    }

    /// @dev Root of a full tree over nodes, a power of two of them.
    function _fold(bytes32[] calldata nodes) private view returns (bytes32 root) {
        // Pair i is hashed where it lies, into place i: the byte before it, of a node already read, becomes the prefix.
        // All in unallocated memory.
        assembly ("memory-safe") {
            let base := add(mload(0x40), 0x20)
            let size := shl(5, nodes.length)
            calldatacopy(base, nodes.offset, size)
            for {} gt(size, 0x20) { size := shr(1, size) } {
                for { let i := 0 } lt(i, size) { i := add(i, 0x40) } {
                    let pair := sub(add(base, i), 1)
                    mstore8(pair, 1)
                    if iszero(staticcall(gas(), 2, pair, 65, add(base, shr(1, i)), 0x20)) { revert(0, 0) }
                }
            }
            root := mload(base)
        }
    }
}
