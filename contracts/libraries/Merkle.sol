// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Positional Merkle trees over SHA-256; docs/protocol.md section 3.
library Merkle {
    /// @notice Padding of the leaf level: H(0x02).
    bytes32 internal constant EMPTY = 0xdbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986;

    /// @notice H(0x00 | leaf).
    function leafNode(bytes calldata leaf) internal view returns (bytes32 node) {
        // The copy lies beyond the free memory and stays unallocated: a proof of many leaves needs no more memory.
        assembly ("memory-safe") {
            let ptr := mload(0x40)
            mstore8(ptr, 0)
            calldatacopy(add(ptr, 1), leaf.offset, leaf.length)
            if iszero(staticcall(gas(), 2, ptr, add(leaf.length, 1), 0, 0x20)) { revert(0, 0) }
            node := mload(0)
        }
    }

    /// @notice H(0x00 | leaf) of a leaf that was computed.
    function leafNodeOf(bytes memory leaf) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), leaf));
    }

    /// @notice H(0x01 | left | right).
    function innerNode(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @notice Whether `node` is the leaf node of place `index` in a tree of `depth` levels.
    /// @param siblings From the bottom up. Any list gets an answer.
    function verify(bytes32 root, uint256 index, bytes32 node, bytes32[] calldata siblings, uint256 depth)
        internal
        view
        returns (bool)
    {
        if (siblings.length != depth || index >> depth != 0) return false;
        // Each level hashes in the same 65 bytes; bit t of the index says whether level t is a right child.
        assembly ("memory-safe") {
            let ptr := mload(0x40)
            let next := siblings.offset
            let end := add(next, shl(5, depth))
            mstore8(ptr, 1)
            for {} lt(next, end) { next := add(next, 0x20) } {
                let right := shl(5, and(index, 1))
                mstore(add(add(ptr, 1), right), node)
                mstore(add(add(ptr, 0x21), sub(0, right)), calldataload(next))
                if iszero(staticcall(gas(), 2, ptr, 65, 0, 0x20)) { revert(0, 0) }
                node := mload(0)
                index := shr(1, index)
            }
        }
        return node == root;
    }
}
