// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The randomness of an earlier block, proven by its header.
/// @notice A header is the RLP list of the yellow paper, of which field 13 is prevrandao (EIP-4399). Its hash is the
/// block's, so that only the true header gets as far as being read.
library BlockHeaders {
    /// @dev EIP-2935: hashes of the last 8,191 blocks; the opcode knows 256.
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    uint256 private constant RANDOMNESS_FIELD = 13;
    /// @notice No header is longer: 32 bytes of extra data and the fields of all forks to come.
    uint256 internal constant MAX_BYTES = 2_048;

    /// @notice The block is still to come, or so old that the chain forgot its hash.
    error BlockNotKnown(uint256 blockNumber);
    /// @notice The header is not the block's.
    error WrongHeaderOf(uint256 blockNumber);

    /// @notice prevrandao of a block that is no older than 8,191 blocks, or 256 where the chain lacks EIP-2935.
    function randomness(uint256 blockNumber, bytes calldata header) internal view returns (bytes32) {
        bytes32 expected = hashOf(blockNumber);
        if (expected == 0) revert BlockNotKnown(blockNumber);
        if (header.length > MAX_BYTES || keccak256(header) != expected) revert WrongHeaderOf(blockNumber);
        uint256 place = _skipPrefix(header, 0);
        for (uint256 i = 0; i < RANDOMNESS_FIELD; ++i) {
            place = _skipItem(header, place);
        }
        // A string of 32 bytes has one byte before it.
        return bytes32(header[place + 1:place + 33]);
    }

    /// @notice The hash of an earlier block, or zero.
    function hashOf(uint256 blockNumber) internal view returns (bytes32 found) {
        if (blockNumber >= block.number) return 0;
        found = blockhash(blockNumber);
        if (found != 0) return found;
        // slither-disable-next-line low-level-calls: a system contract without an interface; its answer is checked
        (bool ok, bytes memory answer) = HISTORY.staticcall(abi.encode(blockNumber));
        if (ok && answer.length == 32) found = abi.decode(answer, (bytes32));
    }

    /// @dev Where the content of the list or string at a place begins.
    function _skipPrefix(bytes calldata header, uint256 place) private pure returns (uint256) {
        uint256 first = uint8(header[place]);
        if (first < 0x80) return place;
        if (first <= 0xb7 || (first >= 0xc0 && first <= 0xf7)) return place + 1;
        return place + 1 + (first > 0xf7 ? first - 0xf7 : first - 0xb7);
    }

    /// @dev Where the item behind the one at a place begins. Header fields are strings.
    function _skipItem(bytes calldata header, uint256 place) private pure returns (uint256) {
        uint256 first = uint8(header[place]);
        if (first < 0x80) return place + 1;
        if (first <= 0xb7) return place + 1 + (first - 0x80);
        uint256 size = 0;
        for (uint256 i = 0; i < first - 0xb7; ++i) {
            size = (size << 8) | uint8(header[place + 1 + i]);
        }
        return place + 1 + (first - 0xb7) + size;
    }
}
