// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IMergeCourt} from "../../contracts/interfaces/IMergeCourt.sol";
import {DenseInt8} from "../../contracts/libraries/DenseInt8.sol";
import {ExactMerge} from "../../contracts/libraries/ExactMerge.sol";
import {Inputs} from "../../contracts/libraries/Inputs.sol";
import {Scene} from "./Scene.sol";
import {IVm} from "./IVm.sol";

/// @title How the fuzz tests speak to the court: every refusal has a name, and no call costs more than its bytes allow.
abstract contract CourtScene is Scene {
    /// @dev Most of it is for updates, at some 250 gas a byte; decoding anything else is far cheaper.
    uint256 private constant GAS_BASE = 600_000;
    uint256 private constant GAS_PER_BYTE = 1_000;

    IVm internal constant VM = IVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error UnknownRevert(bytes answer);

    // The court pays its claims to this contract.
    receive() external payable {}

    /// @param known Whether the call is well formed, so that an empty revert, as of the ABI's decoder, is a fault.
    function _ask(bytes memory data, uint256 value, bool known) internal returns (bool ok, bytes memory answer) {
        uint256 start = gasleft();
        (ok, answer) = address(_court).call{value: value}(data);
        uint256 used = start - gasleft();
        if (used > GAS_BASE + GAS_PER_BYTE * data.length) _equal("gas", used, data.length);
        if (!ok && !(answer.length == 0 ? !known : _isNamed(bytes4(answer)))) revert UnknownRevert(answer);
    }

    /// @dev Nobody was found wrong so far.
    function _nobodyConvicted() internal view {
        _equal("merges", _run.mergesConvicted() + _run.rejectedConvicted() + _run.mergesFailed(), 0);
        _equal("updates", _run.updatesConvicted(), 0);
    }

    /// @dev The nodes from a leaf up to the root, when the leaf's is `node`.
    function _pathOf(uint256 chunk, bytes32 node, bytes32[] memory siblings)
        internal
        pure
        returns (bytes32[] memory path)
    {
        path = new bytes32[](siblings.length + 1);
        path[0] = node;
        for (uint256 level = 0; level < siblings.length; ++level) {
            path[level + 1] = (chunk >> level) & 1 == 1
                ? sha256(abi.encodePacked(bytes1(0x01), siblings[level], path[level]))
                : sha256(abi.encodePacked(bytes1(0x01), path[level], siblings[level]));
        }
    }

    /// @dev A bit changed, or the end cut off, or something behind it.
    function _mutated(bytes memory data, uint256 seed) internal pure returns (bytes memory out) {
        out = bytes.concat(data);
        uint256 kind = seed % 4;
        if (kind == 3 || data.length == 0) return bytes.concat(data, _stream(seed, "more", 1 + (seed >> 2) % 90));
        uint256 place = (seed >> 10) % data.length;
        if (kind < 2) {
            out[place] ^= bytes1(uint8(1 << ((seed >> 2) & 7)));
        } else {
            assembly ("memory-safe") {
                mstore(out, place)
            }
        }
    }

    /// @dev An opening that is none any more. One level's long form without its last sum is the short form.
    function _spoiled(bytes memory opening, uint256 seed) internal pure returns (bytes memory out) {
        out = _mutated(opening, seed);
        if (out.length + 12 == opening.length) out[0] ^= 0x01;
    }

    function _mutatedList(bytes32[] memory list, uint256 seed) internal pure returns (bytes32[] memory out) {
        if (list.length == 0 || seed % 3 == 0) return new bytes32[](seed % 300);
        out = list;
        if (seed % 3 == 1) {
            out[(seed >> 8) % list.length] ^= bytes32(1 << ((seed >> 16) & 255));
        } else {
            assembly ("memory-safe") {
                mstore(out, sub(mload(out), 1))
            }
        }
    }

    function _refuses(bytes memory answer, bytes memory expected) internal pure {
        _equal("error", uint256(keccak256(answer)), uint256(keccak256(expected)));
    }

    function _isNamed(bytes4 e) private pure returns (bool) {
        return _isProofError(e) || _isMoveError(e);
    }

    function _isProofError(bytes4 e) private pure returns (bool) {
        return e == IMergeCourt.NotPending.selector || e == IMergeCourt.ChunkIsRight.selector
            || e == ICourt.WrongInputs.selector || e == IMergeCourt.WrongAccumulator.selector
            || e == IMergeCourt.WrongOpenings.selector || e == IMergeCourt.WrongUpdateOpening.selector
            || e == IMergeCourt.WrongOldLeaf.selector || e == IMergeCourt.WrongNode.selector
            || e == IMergeCourt.NormIsRight.selector || e == ICourt.WrongHeader.selector
            || e == IMergeCourt.NoSuchChunk.selector || e == ICourt.NoSuchUpdate.selector
            || e == DenseInt8.WrongUpdateLeaf.selector || e == DenseInt8.WeightsTooLarge.selector
            || e == ExactMerge.WrongModelLeaf.selector || e == Inputs.NoSuchInput.selector;
    }

    function _isMoveError(bytes4 e) private pure returns (bool) {
        return e == ICourt.WindowClosed.selector || e == ICourt.BondTooSmall.selector
            || e == IMergeCourt.WrongMove.selector || e == ICourt.ClockRanOut.selector
            || e == ICourt.ClockStillRuns.selector || e == IMergeCourt.NotChallenger.selector
            || e == IMergeCourt.WrongChildren.selector || e == IMergeCourt.WrongBeginning.selector
            || e == ICourt.NothingToClaim.selector;
    }
}
