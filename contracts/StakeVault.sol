// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFeeReceiver, IStakeVault} from "./interfaces/IStakeVault.sol";
import {IRunFactory} from "./interfaces/IRunFactory.sol";

/// @title StakeVault
/// @notice Invariants V1..V4 of docs/invariants.md: the balance equals free + locked + unbonding + burned; a run
/// touches only stake that its trainer put behind it; unbonding stake is slashable until released; no call loops.
contract StakeVault is IStakeVault {
    struct Unbonding {
        uint128 amountWei;
        uint64 releaseAt;
    }

    /// @notice The factory whose runs may lock stake: the contract that deployed this vault.
    IRunFactory public immutable FACTORY;
    // The name is the interface's.
    // solhint-disable immutable-vars-naming
    /// @inheritdoc IStakeVault
    uint256 public immutable unbondingS;
    // solhint-enable immutable-vars-naming

    /// @inheritdoc IStakeVault
    uint256 public burnedWei;
    /// @inheritdoc IStakeVault
    mapping(address owner => uint256 amountWei) public freeOf;
    /// @inheritdoc IStakeVault
    mapping(address run => mapping(address trainer => uint256 amountWei)) public lockedOf;
    /// @inheritdoc IStakeVault
    mapping(address run => mapping(address trainer => Unbonding entry)) public unbondingOf;

    constructor(uint256 unbondingS_) {
        FACTORY = IRunFactory(msg.sender);
        unbondingS = unbondingS_;
    }

    modifier onlyRun() {
        if (!FACTORY.isRun(msg.sender)) revert NotARun(msg.sender);
        _;
    }

    /// @inheritdoc IStakeVault
    function deposit() external payable {
        // Check
        if (msg.value == 0) revert NothingToMove();
        // Effect
        freeOf[msg.sender] += msg.value;
        emit Deposited(msg.sender, msg.value);
    }

    /// @inheritdoc IStakeVault
    function withdraw(uint256 amountWei) external {
        // Check and effect
        if (amountWei == 0) revert NothingToMove();
        _takeFree(msg.sender, amountWei);
        emit Withdrawn(msg.sender, amountWei);
        // Interaction
        // slither-disable-next-line low-level-calls: owners may be contracts; the result is checked
        (bool sent,) = msg.sender.call{value: amountWei}("");
        if (!sent) revert TransferFailed(msg.sender, amountWei);
    }

    /// @inheritdoc IStakeVault
    function lock(address trainer, uint256 amountWei) external onlyRun {
        // Check and effect
        _takeFree(trainer, amountWei);
        lockedOf[msg.sender][trainer] += amountWei;
        emit Locked(msg.sender, trainer, amountWei);
    }

    /// @inheritdoc IStakeVault
    function unlock(address trainer, uint256 amountWei) external onlyRun {
        // Check and effect
        _takeLocked(trainer, amountWei);
        Unbonding storage entry = unbondingOf[msg.sender][trainer];
        // A second exit makes the first wait longer, never shorter.
        uint64 releaseAt = uint64(block.timestamp + unbondingS);
        entry.amountWei += uint128(amountWei);
        entry.releaseAt = releaseAt;
        emit UnbondingStarted(msg.sender, trainer, amountWei, releaseAt);
    }

    /// @inheritdoc IStakeVault
    function release(address run, address trainer) external {
        // Check
        Unbonding memory entry = unbondingOf[run][trainer];
        // slither-disable-next-line incorrect-equality: nothing unbonding, not a balance
        if (entry.amountWei == 0) revert NothingToMove();
        if (block.timestamp < entry.releaseAt) revert StillUnbonding(run, trainer, entry.releaseAt);
        // Effect
        delete unbondingOf[run][trainer];
        freeOf[trainer] += entry.amountWei;
        emit Unbonded(run, trainer, entry.amountWei);
    }

    /// @inheritdoc IStakeVault
    function slash(address trainer, uint256 lockedWei, uint256 unbondingWei, address beneficiary) external onlyRun {
        // Check and effect
        _takeLocked(trainer, lockedWei);
        Unbonding storage entry = unbondingOf[msg.sender][trainer];
        if (entry.amountWei < unbondingWei) {
            revert InsufficientLockedStake(msg.sender, trainer, entry.amountWei, unbondingWei);
        }
        entry.amountWei -= uint128(unbondingWei);
        // Half is burned, so that convicting oneself loses.
        uint256 takenWei = lockedWei + unbondingWei;
        uint256 paidWei = takenWei / 2;
        freeOf[beneficiary] += paidWei;
        burnedWei += takenWei - paidWei;
        emit Slashed(msg.sender, trainer, beneficiary, paidWei, takenWei - paidWei);
    }

    /// @inheritdoc IStakeVault
    // slither-disable-next-line arbitrary-send-eth: a run, made by the factory, gets what its own trainer has locked
    function collectFee(address trainer, uint256 amountWei) external onlyRun {
        // Check and effect
        _takeLocked(trainer, amountWei);
        emit FeeCollected(msg.sender, trainer, amountWei);
        // Interaction: the run's own code, made by the factory
        IFeeReceiver(msg.sender).receiveFee{value: amountWei}();
    }

    function _takeFree(address owner, uint256 amountWei) private {
        uint256 freeWei = freeOf[owner];
        if (freeWei < amountWei) revert InsufficientFreeStake(owner, freeWei, amountWei);
        freeOf[owner] = freeWei - amountWei;
    }

    function _takeLocked(address trainer, uint256 amountWei) private {
        uint256 lockedWei = lockedOf[msg.sender][trainer];
        if (lockedWei < amountWei) revert InsufficientLockedStake(msg.sender, trainer, lockedWei, amountWei);
        lockedOf[msg.sender][trainer] = lockedWei - amountWei;
    }
}
