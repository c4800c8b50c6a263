// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {AuditDraw} from "../libraries/AuditDraw.sol";
import {BlockHeaders} from "../libraries/BlockHeaders.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {DenseInt8, WeightedSum} from "../libraries/DenseInt8.sol";
import {ExactMerge, MergeRule} from "../libraries/ExactMerge.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Merkle} from "../libraries/Merkle.sol";
import {Seats} from "../libraries/Seats.sol";
import {Shuffle} from "../libraries/Shuffle.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {Traces} from "../libraries/Traces.sol";
import {Reveal} from "../types/Types.sol";

/// @title VectorHarness
/// @notice Shows the libraries to tests/vectors and to the fuzzer. For tests only: no script deploys it.
contract VectorHarness is EIP712 {
    constructor() EIP712("Commonweight", "1") {}

    // --- assignment
    function shuffle(uint256 index, uint256 count, bytes32 seed) external pure returns (uint256) {
        return Shuffle.shuffle(index, count, seed);
    }

    function segmentOf(bytes32 seed, uint256 rank, uint256 segments) external pure returns (uint256) {
        return Shuffle.segmentOf(seed, rank, segments);
    }

    function rankOf(uint256 roster, uint256 seat) external pure returns (uint256) {
        return Seats.rank(roster, seat);
    }

    // --- commitments and messages
    function headerHash(Reveal calldata r) external pure returns (bytes32) {
        return Commitments.headerHash(r);
    }

    function commitment(Reveal calldata r, address run, uint32 round, uint32 attempt, address trainer)
        external
        view
        returns (bytes32)
    {
        return Commitments.commitment(r, run, round, attempt, trainer);
    }

    function revealDigest(bytes32 updateRoot, bytes32 headerHash_) external pure returns (bytes27) {
        return Commitments.revealDigest(updateRoot, headerHash_);
    }

    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function commitmentStruct(uint32 round, uint32 attempt, bytes32 parentRoot, bytes32 commitment_)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(Commitments.COMMITMENT_TYPEHASH, round, attempt, parentRoot, commitment_));
    }

    function attestationStruct(uint32 round, uint32 attempt, uint256 available, uint256 harmful)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(Commitments.ATTESTATION_TYPEHASH, round, attempt, available, harmful));
    }

    function signerOf(bytes32 structHash, bytes32 r, bytes32 vs)
        external
        view
        returns (bytes32 digest, address signer)
    {
        digest = _hashTypedDataV4(structHash);
        (signer,,) = ECDSA.tryRecover(digest, r, vs);
    }

    // --- inputs
    function packInputs(Inputs.Entry[] calldata entries) external pure returns (bytes memory list, bytes32 hash) {
        for (uint256 i = 0; i < entries.length; ++i) {
            list = bytes.concat(list, Inputs.pack(entries[i]));
        }
        hash = sha256(list);
    }

    function unpackInputs(bytes calldata list) external pure returns (Inputs.Entry[] memory entries) {
        entries = new Inputs.Entry[](Inputs.count(list));
        for (uint256 i = 0; i < entries.length; ++i) {
            entries[i] = Inputs.entryAt(list, i);
        }
    }

    // --- audits and trials
    function isAudited(bytes32 randomness, uint8 seat, uint256 auditBps) external pure returns (bool) {
        return AuditDraw.isAudited(randomness, seat, auditBps);
    }

    function auditorOf(bytes32 randomness, Inputs.Entry[] calldata roll, uint256 place)
        external
        pure
        returns (bool found, uint256 auditor)
    {
        return AuditDraw.auditorOf(randomness, roll, place);
    }

    function jury(bytes32 draw, uint256 id, uint8 level) external pure returns (bytes32) {
        return AuditDraw.jury(draw, id, level);
    }

    function jurors(bytes32 randomness, Inputs.Entry[] calldata roll, uint8 tickets)
        external
        pure
        returns (uint256[] memory places)
    {
        places = new uint256[](tickets);
        for (uint8 ticket = 0; ticket < tickets; ++ticket) {
            places[ticket] = AuditDraw.juror(randomness, roll, AuditDraw.weigh(roll), ticket);
        }
    }

    function blockOf(uint16 lowBits, uint256 newest) external pure returns (uint256) {
        return AuditDraw.blockOf(lowBits, newest);
    }

    function randomnessOf(uint256 blockNumber, bytes calldata header) external view returns (bytes32) {
        return BlockHeaders.randomness(blockNumber, header);
    }

    function findingStruct(address run, uint32 round, uint8 seat, bytes32 updateRoot, uint8 finding)
        external
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(AuditDraw.FINDING_TYPEHASH, run, round, seat, updateRoot, finding));
    }

    function traceRoot(bytes32[] calldata digests, bytes32 updateRoot) external pure returns (bytes32) {
        return Traces.root(digests, updateRoot);
    }

    function firstDifference(bytes32[] calldata a, bytes32 aUpdate, bytes32[] calldata b, bytes32 bUpdate)
        external
        pure
        returns (uint256)
    {
        return Traces.firstDifference(a, aUpdate, b, bUpdate);
    }

    // --- trees
    function empty() external pure returns (bytes32) {
        return Merkle.EMPTY;
    }

    function leafNode(bytes calldata leaf) external view returns (bytes32) {
        return Merkle.leafNode(leaf);
    }

    function leafNodeOf(bytes calldata leaf) external pure returns (bytes32) {
        return Merkle.leafNodeOf(leaf);
    }

    function innerNode(bytes32 left, bytes32 right) external pure returns (bytes32) {
        return Merkle.innerNode(left, right);
    }

    function verify(bytes32 root, uint256 index, bytes calldata leaf, bytes32[] calldata siblings, uint256 depth)
        external
        view
        returns (bool)
    {
        return Merkle.verify(root, index, Merkle.leafNode(leaf), siblings, depth);
    }

    function sumLeafNode(bytes calldata leaf) external view returns (bytes32, uint256) {
        return SumTree.leafNode(leaf);
    }

    function sumInnerNode(bytes32 left, uint96 leftSsq, bytes32 right, uint96 rightSsq)
        external
        pure
        returns (bytes32, uint256)
    {
        return SumTree.innerNode(left, leftSsq, right, rightSsq);
    }

    function verifySum(bytes32 root, uint256 index, bytes calldata leaf, bytes calldata siblings, uint256 depth)
        external
        view
        returns (bool ok, uint256 rootSsq)
    {
        (bytes32 node, uint256 ssq) = SumTree.leafNode(leaf);
        return SumTree.verify(root, index, node, ssq, siblings, depth);
    }

    function openSum(bytes32 root, uint256 index, bytes calldata leaf, bytes calldata claims, uint256 depth)
        external
        view
        returns (bool ok, bool honest, uint256 rootSsq)
    {
        (bytes32 node, uint256 ssq) = SumTree.leafNode(leaf);
        return SumTree.open(root, index, node, ssq, claims, depth);
    }

    // --- leaves and the merge
    function decode(bytes calldata leaf) external pure returns (uint256 e, int256[256] memory q) {
        e = DenseInt8.exponent(leaf);
        for (uint256 i = 0; i < DenseInt8.ELEMENTS; ++i) {
            q[i] = DenseInt8.quantum(leaf, i);
        }
    }

    function merge(bytes[] calldata leaves, uint256[] calldata weights, bytes calldata oldLeaf, MergeRule calldata rule)
        external
        view
        returns (bytes memory leaf, uint256 addGas, uint256 mergeGas)
    {
        WeightedSum memory sum;
        addGas = gasleft();
        for (uint256 i = 0; i < leaves.length; ++i) {
            DenseInt8.add(sum, leaves[i], weights[i]);
        }
        mergeGas = gasleft();
        addGas -= mergeGas;
        leaf = ExactMerge.merge(sum, oldLeaf, rule);
        mergeGas -= gasleft();
    }
}
