// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The preimage of an inputs hash: 88 bytes an included update; docs/protocol.md section 4.
library Inputs {
    /// @notice trainer:20 | seat:1 | weight:3 | updateRoot:32 | headerHash:32.
    uint256 internal constant ENTRY_BYTES = 88;

    struct Entry {
        address trainer;
        uint8 seat;
        uint24 weight;
        bytes32 updateRoot;
        bytes32 headerHash;
    }

    error NoSuchInput(uint256 place, uint256 count);

    /// @notice How many updates the list holds.
    function count(bytes calldata list) internal pure returns (uint256) {
        return list.length / ENTRY_BYTES;
    }

    /// @notice The update at a place of the list.
    function entryAt(bytes calldata list, uint256 place) internal pure returns (Entry memory entry) {
        if (place >= count(list)) revert NoSuchInput(place, count(list));
        bytes calldata raw = list[place * ENTRY_BYTES:(place + 1) * ENTRY_BYTES];
        entry.trainer = address(bytes20(raw[:20]));
        entry.seat = uint8(raw[20]);
        entry.weight = uint24(bytes3(raw[21:24]));
        entry.updateRoot = bytes32(raw[24:56]);
        entry.headerHash = bytes32(raw[56:]);
    }

    /// @notice Weight of the update that `entry` begins with, without reading all of it.
    function weightOf(bytes calldata entry) internal pure returns (uint256) {
        return uint24(bytes3(entry[21:24]));
    }

    /// @notice Root of the update that `entry` begins with.
    function updateRootOf(bytes calldata entry) internal pure returns (bytes32) {
        return bytes32(entry[24:56]);
    }

    /// @notice The list's bytes for one update.
    function pack(Entry memory entry) internal pure returns (bytes memory) {
        return abi.encodePacked(entry.trainer, entry.seat, entry.weight, entry.updateRoot, entry.headerHash);
    }
}
