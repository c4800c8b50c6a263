// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {IRunBase} from "./interfaces/IRunBase.sol";
import {IRunFactory} from "./interfaces/IRunFactory.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {StakeVault} from "./StakeVault.sol";
import {RunParams} from "./types/Types.sol";

/// @title RunFactory
/// @notice Every run is the same creation code with other constructor arguments. The code lies in data contracts,
/// since factory and run together exceed the size limit of one contract (EIP-170).
// slither-disable-next-line locked-ether: createRun sends on all that it got, in assembly
contract RunFactory is IRunFactory {
    /// @dev What a data contract holds at most: EIP-170's 24,576 bytes less SSTORE2's one byte.
    uint256 private constant HALF = 24_575;

    /// @dev A dispute takes at most so many times `moveS`; docs/protocol.md section 8.
    uint256 private constant LONGEST_DISPUTE_MOVES = 16;

    // The names are the interface's.
    // solhint-disable immutable-vars-naming
    /// @inheritdoc IRunFactory
    IStakeVault public immutable vault;
    /// @inheritdoc IRunFactory
    address public immutable mergeCourt;
    /// @inheritdoc IRunFactory
    address public immutable trainingCourt;
    /// @inheritdoc IRunFactory
    address public immutable office;
    /// @inheritdoc IRunFactory
    bytes32 public immutable runCodeHash;
    // solhint-enable immutable-vars-naming
    address private immutable CODE_1;
    address private immutable CODE_2;

    /// @inheritdoc IRunFactory
    mapping(address run => bool made) public isRun;

    /// @param runCode Creation code of TrainingRun, without constructor arguments.
    /// @param office_ The deployed RunOffice.
    /// @param unbondingS Unbonding time of the vault in seconds.
    /// @param mergeCourt_ Court that may convict merges, or zero.
    /// @param trainingCourt_ Court that may convict updates, or zero.
    constructor(
        bytes memory runCode,
        address office_,
        uint256 unbondingS,
        address mergeCourt_,
        address trainingCourt_
    ) {
        vault = new StakeVault(unbondingS);
        // slither-disable-next-line missing-zero-check: zero means none
        mergeCourt = mergeCourt_;
        // slither-disable-next-line missing-zero-check: zero means none
        trainingCourt = trainingCourt_;
        // Runs delegate to it: without code there, every call of theirs would succeed and do nothing.
        if (office_.code.length == 0) revert IRunBase.InvalidParameter("office");
        office = office_;
        runCodeHash = sha256(runCode);
        uint256 size = runCode.length;
        uint256 first = size < HALF ? size : HALF;
        bytes memory tail = new bytes(size - first);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = runCode[first + i];
        }
        assembly ("memory-safe") {
            mstore(runCode, first)
        }
        CODE_1 = SSTORE2.write(runCode);
        CODE_2 = tail.length == 0 ? address(0) : SSTORE2.write(tail);
    }

    /// @inheritdoc IRunFactory
    function createRun(RunParams calldata params, uint96 keeperWei) external payable returns (address run) {
        // Check: stake must stay slashable for as long as a dispute of its last round can start and end.
        uint256 needed = 2 * uint256(params.disputeS) + LONGEST_DISPUTE_MOVES * params.moveS;
        if (vault.unbondingS() < needed) revert UnbondingTooShort(vault.unbondingS(), needed);
        // Interaction: the run's constructor calls nobody
        bytes memory head = SSTORE2.read(CODE_1);
        bytes memory tail = CODE_2 == address(0) ? bytes("") : SSTORE2.read(CODE_2);
        bytes memory code = bytes.concat(head, tail, abi.encode(msg.sender, params, keeperWei));
        assembly ("memory-safe") {
            run := create(callvalue(), add(code, 0x20), mload(code))
            if and(iszero(run), gt(returndatasize(), 0)) {
                let ptr := mload(0x40)
                returndatacopy(ptr, 0, returndatasize())
                revert(ptr, returndatasize())
            }
        }
        if (run == address(0)) revert DeploymentFailed();
        // Effect
        isRun[run] = true;
        emit RunCreated(run, msg.sender, params.specCid, params);
    }
}
