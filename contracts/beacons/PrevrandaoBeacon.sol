// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {BlockHeaders} from "../libraries/BlockHeaders.sol";

/// @title Seeds from the beacon chain's randomness (EIP-4399).
/// @notice The proposer of the opening block can withhold it and so draw again once per slot it holds; with a share
/// b of the validators an outcome of probability p becomes at most p * (1 + b).
contract PrevrandaoBeacon is IBeacon {
    /// @inheritdoc IBeacon
    function seed(address run, uint32 round, uint32 attempt) external view returns (bytes32) {
        return sha256(abi.encode(block.prevrandao, run, round, attempt));
    }

    /// @inheritdoc IBeacon
    function draw(address run, uint32 round, uint256 blockNumber, bytes calldata header)
        external
        view
        returns (bytes32)
    {
        return sha256(abi.encode(BlockHeaders.randomness(blockNumber, header), run, round));
    }

    /// @inheritdoc IBeacon
    function predictable() external pure returns (bool) {
        return false;
    }
}
