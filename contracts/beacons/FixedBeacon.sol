// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "../interfaces/IBeacon.sol";

/// @title Seeds known to all in advance, so that a local run can be repeated bit for bit. Never for value.
contract FixedBeacon is IBeacon {
    bytes32 public immutable BASE;

    constructor(bytes32 base) {
        BASE = base;
    }

    /// @inheritdoc IBeacon
    function seed(address, uint32 round, uint32) external view returns (bytes32) {
        return sha256(abi.encode(BASE, round));
    }

    /// @inheritdoc IBeacon
    function draw(address, uint32 round, uint256, bytes calldata) external view returns (bytes32) {
        return sha256(abi.encode(BASE, round, "draw"));
    }

    /// @inheritdoc IBeacon
    function predictable() external pure returns (bool) {
        return true;
    }
}
