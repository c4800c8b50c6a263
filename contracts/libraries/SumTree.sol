// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DenseInt8} from "./DenseInt8.sol";
import {Merkle} from "./Merkle.sol";

/// @title Merkle trees whose nodes also sum the squares below them; docs/protocol.md section 3.
/// @notice Two ways to open a leaf. `verify` adds up the sums itself: it fails where the trainer lied about one. `open`
/// takes the sums that the trainer's digests name: nobody can block a proof by lying, and a lie shows.
library SumTree {
    /// @notice Bytes of a level in a proof for `verify`: the sibling's digest and ssq.
    uint256 internal constant SIBLING_BYTES = 44;
    /// @notice Bytes of a level in a proof for `open`: the sibling's digest and ssq, then the ssq that the trainer gave
    /// the node itself.
    uint256 internal constant CLAIM_BYTES = 56;

    /// @notice Leaf node and ssq of an update leaf.
    function leafNode(bytes calldata leaf) internal view returns (bytes32 node, uint256 ssq) {
        return (Merkle.leafNode(leaf), DenseInt8.ssq(leaf));
    }

    /// @notice H(0x01 | left | right | ssq_l:uint96 | ssq_r:uint96), and its ssq.
    function innerNode(bytes32 left, uint96 leftSsq, bytes32 right, uint96 rightSsq)
        internal
        pure
        returns (bytes32 node, uint256 ssq)
    {
        node = sha256(abi.encodePacked(bytes1(0x01), left, right, leftSsq, rightSsq));
        ssq = uint256(leftSsq) + rightSsq;
    }

    /// @notice Whether the leaf node with its true `ssq` has place `index` under the digest `root`, and if so the ssq
    /// of the whole tree, which the caller compares with the one committed.
    /// @param siblings SIBLING_BYTES a level, from the bottom up. Any bytes get an answer.
    function verify(bytes32 root, uint256 index, bytes32 node, uint256 ssq, bytes calldata siblings, uint256 depth)
        internal
        view
        returns (bool ok, uint256 rootSsq)
    {
        if (siblings.length != depth * SIBLING_BYTES || index >> depth != 0) return (false, 0);
        ok = true;
        for (uint256 level = 0; level < depth; ++level) {
            // A sum of 2^96 has no encoding, so no digest holds it.
            if (ssq >> 96 != 0) return (false, 0);
            (bytes32 sibling, uint256 siblingSsq) = _entry(siblings, level * SIBLING_BYTES);
            node = _hash((index >> level) & 1, node, ssq, sibling, siblingSsq);
            ssq += siblingSsq;
        }
        return node == root ? (true, ssq) : (false, 0);
    }

    /// @notice Whether the leaf node has place `index` under the digest `root`, with the sums that the digests name.
    /// @param claims CLAIM_BYTES a level, from the bottom up. Any bytes get an answer.
    /// @return ok Whether the leaf is the trainer's.
    /// @return honest Whether the named sums are those of the leaf and of the nodes on its path. Without meaning if not
    /// `ok`.
    /// @return rootSsq The sum of the root's children, or `ssq` if the leaf is the root.
    function open(bytes32 root, uint256 index, bytes32 node, uint256 ssq, bytes calldata claims, uint256 depth)
        internal
        view
        returns (bool ok, bool honest, uint256 rootSsq)
    {
        if (claims.length != depth * CLAIM_BYTES || index >> depth != 0) return (false, false, 0);
        honest = true;
        for (uint256 level = 0; level < depth; ++level) {
            uint256 offset = level * CLAIM_BYTES;
            (bytes32 sibling, uint256 siblingSsq) = _entry(claims, offset);
            uint256 claimed = uint96(bytes12(claims[offset + SIBLING_BYTES:]));
            if (claimed != ssq) honest = false;
            node = _hash((index >> level) & 1, node, claimed, sibling, siblingSsq);
            ssq = claimed + siblingSsq;
        }
        return (node == root, honest, ssq);
    }

    function _entry(bytes calldata list, uint256 offset) private pure returns (bytes32 digest, uint256 ssq) {
        assembly ("memory-safe") {
            digest := calldataload(add(list.offset, offset))
            ssq := shr(160, calldataload(add(list.offset, add(offset, 0x20))))
        }
    }

    /// @dev Parent of a node; `right` is 1 if the node is the right child. Hashes in unallocated memory.
    function _hash(uint256 right, bytes32 node, uint256 ssq, bytes32 sibling, uint256 siblingSsq)
        private
        view
        returns (bytes32 parent)
    {
        assembly ("memory-safe") {
            let ptr := mload(0x40)
            mstore8(ptr, 1)
            switch right
            case 0 {
                mstore(add(ptr, 1), node)
                mstore(add(ptr, 33), sibling)
                mstore(add(ptr, 65), or(shl(160, ssq), shl(64, siblingSsq)))
            }
            default {
                mstore(add(ptr, 1), sibling)
                mstore(add(ptr, 33), node)
                mstore(add(ptr, 65), or(shl(160, siblingSsq), shl(64, ssq)))
            }
            if iszero(staticcall(gas(), 2, ptr, 89, 0, 0x20)) { revert(0, 0) }
            parent := mload(0)
        }
    }
}
