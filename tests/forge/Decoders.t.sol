// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DenseInt8, WeightedSum} from "../../contracts/libraries/DenseInt8.sol";
import {ExactMerge, MergeRule} from "../../contracts/libraries/ExactMerge.sol";
import {Inputs} from "../../contracts/libraries/Inputs.sol";
import {SumTree} from "../../contracts/libraries/SumTree.sol";
import {Support} from "./Support.sol";

/// @title The decoders on any bytes: an answer, or the error that names what is wrong.
contract DecodersTest is Support {
    WeightedSum private _sum;

    function testInputsRoundTrip(uint256 seed, uint16 size) public view {
        bytes memory list = _stream(seed, "list", size % 700);
        bytes memory packed;
        for (uint256 i = 0; i < list.length / 88; ++i) {
            packed = bytes.concat(packed, Inputs.pack(this.entryAt(list, i)));
        }
        assembly ("memory-safe") {
            mstore(list, mload(packed))
        }
        _equal("list", uint256(keccak256(packed)), uint256(keccak256(list)));
    }

    function testInputsBeyondTheEnd(uint256 seed, uint16 size, uint256 place) public view {
        bytes memory list = _stream(seed, "list", size % 700);
        uint256 count = list.length / 88;
        place = place % 4 == 0 ? place : place % (count + 3);
        (bool ok, bytes memory answer) = address(this).staticcall(abi.encodeCall(this.entryAt, (list, place)));
        if (place < count) _true("entry", ok);
        else _reverts(ok, answer, abi.encodeWithSelector(Inputs.NoSuchInput.selector, place, count));
    }

    /// @dev An update leaf has 257 bytes and decodes, whatever they are; other sizes are named.
    function testUpdateLeaf(bytes calldata leaf, uint256 seed, uint256 weight) public view {
        bytes memory chosen = seed % 2 == 0 ? _stream(seed, "leaf", 257) : bytes(leaf);
        weight = weight % 3 == 0 ? weight : weight % 65_537;
        (bool ok, bytes memory answer) = address(this).staticcall(abi.encodeCall(this.added, (chosen, weight)));
        if (chosen.length != 257) {
            _reverts(ok, answer, abi.encodeWithSelector(DenseInt8.WrongUpdateLeaf.selector, chosen.length));
        } else if (weight > 65_536) {
            _reverts(ok, answer, abi.encodeWithSelector(DenseInt8.WeightsTooLarge.selector, weight));
        } else {
            _true("added", ok);
        }
        (ok, answer) = address(this).staticcall(abi.encodeCall(this.ssq, (chosen)));
        if (chosen.length == 257) _true("below 2^53", ok && abi.decode(answer, (uint256)) < 1 << 53);
        else _reverts(ok, answer, abi.encodeWithSelector(DenseInt8.WrongUpdateLeaf.selector, chosen.length));
    }

    function testModelLeaf(bytes calldata leaf, bool momentum, bool right, bool empty) public view {
        uint256 size = momentum ? 2048 : 1024;
        bytes memory chosen = right ? _stream(leaf.length, "model", size) : bytes(leaf);
        (bool ok, bytes memory answer) =
            address(this).staticcall(abi.encodeCall(this.merged, (chosen, momentum, empty)));
        if (chosen.length == size) _equal("size", ok ? abi.decode(answer, (bytes)).length : 0, size);
        else _reverts(ok, answer, abi.encodeWithSelector(ExactMerge.WrongModelLeaf.selector, chosen.length));
    }

    /// @dev A trainer may name any sums: its leaf opens all the same, and each lie on the path shows.
    function testLyingSums(uint256 seed, uint8 depth, uint256 lies, uint256 index) public view {
        depth = depth % 9;
        index = index % (1 << depth);
        bytes memory leaf = _updateLeaf(seed, 0);
        bytes32 node = sha256(bytes.concat(hex"00", leaf));
        uint256 named = this.ssq(leaf);
        bool honest = true;
        bytes memory claims;
        bytes memory siblings;
        for (uint256 level = 0; level < depth; ++level) {
            bytes32 sibling = bytes32(_word(seed, "sibling", level));
            uint96 beside = uint96(_word(seed, "ssq", level) >> (160 + level));
            uint96 own = uint96(named);
            if ((lies >> level) & 1 == 1) own = uint96(_word(seed, "lie", level));
            if (own != named) honest = false;
            claims = abi.encodePacked(claims, sibling, beside, own);
            siblings = abi.encodePacked(siblings, sibling, beside);
            bool isRight = (index >> level) & 1 == 1;
            node = isRight
                ? sha256(abi.encodePacked(bytes1(0x01), sibling, node, beside, own))
                : sha256(abi.encodePacked(bytes1(0x01), node, sibling, own, beside));
            named = uint256(own) + beside;
        }
        (bool ok, bool said, uint256 rootSsq) = this.open(node, index, leaf, claims, depth);
        _true("opens", ok);
        _equal("honest", said ? 1 : 0, honest ? 1 : 0);
        _equal("root ssq", rootSsq, named);
        (ok, rootSsq) = this.verify(node, index, leaf, siblings, depth);
        _equal("verifies", ok ? 1 : 0, honest ? 1 : 0);
        if (ok) _equal("verified ssq", rootSsq, named);
    }

    // --- the libraries, behind calls so that their reverts can be read

    function entryAt(bytes calldata list, uint256 place) external pure returns (Inputs.Entry memory) {
        return Inputs.entryAt(list, place);
    }

    function ssq(bytes calldata leaf) external pure returns (uint256) {
        return DenseInt8.ssq(leaf);
    }

    function added(bytes calldata leaf, uint256 weight) external view returns (WeightedSum memory sum) {
        sum = _sum;
        DenseInt8.add(sum, leaf, weight);
    }

    function merged(bytes calldata leaf, bool momentum, bool empty) external view returns (bytes memory) {
        WeightedSum memory sum = _sum;
        if (!empty) sum.updates = 1;
        return ExactMerge.merge(sum, leaf, MergeRule({lr: 256, mu: 230, nesterov: false, momentum: momentum}));
    }

    function open(bytes32 root, uint256 index, bytes calldata leaf, bytes calldata claims, uint256 depth)
        external
        view
        returns (bool, bool, uint256)
    {
        (bytes32 node, uint256 sum) = SumTree.leafNode(leaf);
        return SumTree.open(root, index, node, sum, claims, depth);
    }

    function verify(bytes32 root, uint256 index, bytes calldata leaf, bytes calldata siblings, uint256 depth)
        external
        view
        returns (bool, uint256)
    {
        (bytes32 node, uint256 sum) = SumTree.leafNode(leaf);
        return SumTree.verify(root, index, node, sum, siblings, depth);
    }

    function _reverts(bool ok, bytes memory answer, bytes memory expected) private pure {
        _true("reverts", !ok);
        _equal("error", uint256(keccak256(answer)), uint256(keccak256(expected)));
    }
}
