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
        uint256 tooLarge;
        // Assembly, here and in `open`, because a proof of 16 updates of a large model climbs 300 levels. Each hashes
        // in the same 89 bytes of unallocated memory; bit t of the index says whether level t is a right child: then
        // the node and its sum stand behind the sibling's.
        assembly ("memory-safe") {
            let ptr := mload(0x40)
            mstore8(ptr, 1)
            let next := siblings.offset
            let end := add(next, siblings.length)
            for {} lt(next, end) { next := add(next, SIBLING_BYTES) } {
                // A sum of 2^96 has no encoding, so no digest holds it.
                tooLarge := or(tooLarge, shr(96, ssq))
                let right := and(index, 1)
                let siblingSsq := shr(160, calldataload(add(next, 0x20)))
                mstore(add(add(ptr, 1), shl(5, right)), node)
                mstore(sub(add(ptr, 33), shl(5, right)), calldataload(next))
                right := mul(96, right)
                mstore(add(ptr, 65), or(shl(sub(160, right), ssq), shl(add(64, right), siblingSsq)))
                if iszero(staticcall(gas(), 2, ptr, 89, 0, 0x20)) { revert(0, 0) }
                node := mload(0)
                ssq := add(ssq, siblingSsq)
                index := shr(1, index)
            }
        }
        return tooLarge == 0 && node == root ? (true, ssq) : (false, 0);
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
        uint256 lies;
        assembly ("memory-safe") {
            let ptr := mload(0x40)
            mstore8(ptr, 1)
            let next := claims.offset
            let end := add(next, claims.length)
            for {} lt(next, end) { next := add(next, CLAIM_BYTES) } {
                let right := and(index, 1)
                // The sibling's sum and the node's own, 96 bits each.
                let sums := calldataload(add(next, 0x20))
                let siblingSsq := shr(160, sums)
                sums := and(shr(64, sums), 0xffffffffffffffffffffffff)
                lies := or(lies, xor(sums, ssq))
                mstore(add(add(ptr, 1), shl(5, right)), node)
                mstore(sub(add(ptr, 33), shl(5, right)), calldataload(next))
                right := mul(96, right)
                mstore(add(ptr, 65), or(shl(sub(160, right), sums), shl(add(64, right), siblingSsq)))
                if iszero(staticcall(gas(), 2, ptr, 89, 0, 0x20)) { revert(0, 0) }
                node := mload(0)
                ssq := add(sums, siblingSsq)
                index := shr(1, index)
            }
        }
        return (node == root, lies == 0, ssq);
    }
}
