// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AttestationGroup, Reveal, RevealedUpdate, SignedCommitment} from "../types/Types.sol";
import {IRunBase} from "./IRunBase.sol";

/// @title What trainers submit and attest in a round.
interface IRunSubmissions is IRunBase {
    /// @notice Commit to an update trained from `parentRoot`.
    function commit(uint32 attempt, uint8 seat, bytes32 parentRoot, bytes32 commitment) external;
    /// @notice Post commitments that trainers signed.
    function commitBatch(uint32 attempt, bytes32 parentRoot, SignedCommitment[] calldata batch) external;
    /// @notice Say that the last merge is wrong: the sender computed `ownRoot`.
    function dissent(uint32 attempt, uint8 seat, bytes32 ownRoot) external;
    /// @notice Open commitments. The salt authorises: anyone may relay.
    function revealBatch(uint32 attempt, Reveal[] calldata batch) external;
    /// @notice Attest on chain, for whom no relay serves.
    function attest(uint32 attempt, uint8 seat, uint256 available, uint256 harmful) external;
    /// @notice Record what a two-thirds majority of the stake attested. Keeper refunded.
    function postAttestations(uint32 attempt, AttestationGroup[] calldata groups) external;
    /// @notice Fix the included updates, their weights and the inputs hashes. Updates that two thirds of the stake call
    /// harmful are included all the same, but not paid. Keeper refunded.
    /// @param groups Attestations not posted before; may be empty.
    /// @param updates Every revealed update, in ascending seat order.
    function freeze(uint32 attempt, AttestationGroup[] calldata groups, RevealedUpdate[] calldata updates) external;
    /// @notice Reveal and freeze at once, when the commitments' headers and everybody's attestations are at hand.
    /// Keeper refunded.
    /// @param groups Attestations that find every update available and leave open of none whether it does harm.
    /// @param batch Every committed seat's reveal, in ascending seat order.
    function freezeWithReveals(uint32 attempt, AttestationGroup[] calldata groups, Reveal[] calldata batch) external;
}
