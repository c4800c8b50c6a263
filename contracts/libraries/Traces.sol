// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Merkle} from "./Merkle.sol";

/// @title Traces of a training: state digests, then the update's root; docs/protocol.md sections 3 and 9.
library Traces {
    /// @notice s_0 .. s_H with H <= 64.
    uint256 internal constant MAX_DIGESTS = 65;

    /// @notice Root of the tree over the digests and, as its last leaf, the update's root.
    function root(bytes32[] calldata digests, bytes32 updateRoot) internal pure returns (bytes32) {
        uint256 n = digests.length + 1;
        // One place more, for the padding of a level.
        bytes32[] memory nodes = new bytes32[](n + 1);
        for (uint256 i = 0; i < n; ++i) {
            nodes[i] = sha256(abi.encodePacked(bytes1(0x00), at(digests, updateRoot, i)));
        }
        bytes32 empty = Merkle.EMPTY;
        for (; n > 1; n = (n + 1) / 2) {
            nodes[n] = empty;
            for (uint256 i = 0; i < n; i += 2) {
                nodes[i / 2] = Merkle.innerNode(nodes[i], nodes[i + 1]);
            }
            empty = Merkle.innerNode(empty, empty);
        }
        return nodes[0];
    }

    /// @notice The first place at which two traces differ, behind the longer one if they do nowhere.
    function firstDifference(bytes32[] calldata a, bytes32 aUpdate, bytes32[] calldata b, bytes32 bUpdate)
        internal
        pure
        returns (uint256 place)
    {
        uint256 longer = a.length > b.length ? a.length : b.length;
        while (place <= longer && at(a, aUpdate, place) == at(b, bUpdate, place)) ++place;
    }

    /// @notice What a trace has at a place: a digest, the update's root, and zeros behind it.
    function at(bytes32[] calldata digests, bytes32 updateRoot, uint256 place) internal pure returns (bytes32) {
        if (place < digests.length) return digests[place];
        return place == digests.length ? updateRoot : bytes32(0);
    }
}
