// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {ChunkProof, Dispute, DisputeState, IMergeCourt} from "../../contracts/interfaces/IMergeCourt.sol";
import {MergeRule} from "../../contracts/libraries/ExactMerge.sol";
import {Round, RoundStatus} from "../../contracts/types/Types.sol";
import {CourtScene} from "./CourtScene.sol";

/// @title Disputes of several moves, on a tree of nine levels, so that two choices lead to a chunk.
contract CourtGamesTest is CourtScene {
    uint256 private constant MOVE_S = 600;
    uint256 private constant LONGEST_S = 16 * MOVE_S;
    address private constant STRANGER = address(0xa11ce);

    /// @dev What a game is about: the chunk that is wrong, if one is, and the nodes from it up to the root.
    bool private _wrong;
    uint256 private _wrongChunk;
    bytes32[] private _path;
    /// @dev The state before the last move.
    DisputeState private _waited;

    function setUp() public {
        uint32[] memory ends = new uint32[](1);
        ends[0] = 260;
        _build(ends, 2, MergeRule({lr: 256, mu: 0, nesterov: false, momentum: false}));
    }

    /// @dev A tree game by players who err, wait and fall silent: who is right wins, unless it errs or falls silent.
    function testTreeGame(uint256 seed) public {
        _chooseTruth(seed);
        uint256 began = block.timestamp;
        uint256 id = _court.challengeTree{value: 1 ether}(address(_run), ROUND);
        bool played = true;
        for (uint256 move = 0; played && _inProgress(id); ++move) {
            played = _move(id, _word(seed, "move", move));
        }
        if (!played) _runOut(id);
        _true("within its clocks", block.timestamp <= began + LONGEST_S);
        Dispute memory d = _court.disputes(id);
        _equal("state", uint256(d.state), uint256(_expected(d, played)));
        bool upheld = d.state == DisputeState.Upheld;
        _equal("convicted", _run.mergesConvicted() + _run.rejectedConvicted(), upheld ? 1 : 0);
        _equal("hold", _run.holds(), 0);
        _equal("bonds", _court.creditOf(upheld ? address(this) : PROPOSER), address(_court).balance);
        _true("paid", address(_court).balance >= 1 ether);
    }

    /// @dev What was disputed is gone in the middle of a game: the bonds go back, nobody is convicted.
    function testMootGame(uint256 seed) public {
        _chooseTruth(seed);
        uint256 id = _court.challengeTree{value: 1 ether}(address(_run), ROUND);
        uint256 moves = (seed >> 8) % 5;
        for (uint256 move = 0; move < moves; ++move) {
            _play(id, _word(seed, "move", move));
        }
        Round memory gone = Round(0, _root(RIGHT), PROPOSER, 0, 0, RoundStatus.Open, false, false, 0);
        _run.setRound(ROUND, gone);
        if (seed % 2 == 0) _court.endDispute(id);
        else _play(id, _word(seed, "last", 0));
        _equal("state", uint256(_court.disputes(id).state), uint256(DisputeState.Moot));
        _equal("bonds", _court.creditOf(address(this)), address(_court).balance);
        _nobodyConvicted();
    }

    /// @dev Anything thrown at any entry, while disputes of all kinds wait: refused, and nothing is decided.
    function testNoise(uint256 seed, bytes calldata noise) public {
        uint256 chunk = (seed >> 8) % 260;
        _waitingDisputes(chunk);
        uint256 balance = address(_court).balance;
        bytes memory data;
        if (seed % 3 == 0) data = bytes.concat(_start(seed >> 16), noise);
        else if (seed % 3 == 1) data = bytes.concat(_start(seed >> 16), _words(seed, (seed >> 48) % 60));
        else data = _typedNoise(seed >> 16, noise);
        (bool ok,) = _ask(data, 0, seed % 3 == 2);
        _true("refused", !ok);
        _nobodyConvicted();
        _equal("balance", address(_court).balance, balance);
        _equal("children", uint256(_court.disputes(1).state), uint256(DisputeState.Children));
        _equal("choice", uint256(_court.disputes(2).state), uint256(DisputeState.Choice));
        _equal("chunk", uint256(_court.disputes(3).state), uint256(DisputeState.Chunk));
        _equal("leaf", uint256(_court.disputes(4).state), uint256(DisputeState.Leaf));
    }

    /// @dev Less than the bond is refused, whatever the base fee.
    function testBonds(uint64 baseFeeWei, uint256 short) public {
        VM.fee(baseFeeWei);
        uint256 needed = _court.bondWei(DisputeState.Children, 0);
        short = 1 + short % needed;
        (bool ok, bytes memory answer) =
            _ask(abi.encodeCall(_court.challengeTree, (address(_run), ROUND)), needed - short, true);
        _true("refused", !ok);
        _refuses(answer, abi.encodeWithSelector(ICourt.BondTooSmall.selector, needed - short, needed));
    }

    // --- a game

    function _chooseTruth(uint256 seed) private {
        _wrong = (seed >> 248) % 2 == 0;
        _wrongChunk = (seed >> 200) % 512;
        bytes32 node = _wrong ? bytes32(seed | 1) : _nodes[RIGHT][0][_wrongChunk];
        _path = _pathOf(_wrongChunk, node, _siblings(RIGHT, _wrongChunk));
        _propose(_path[9]);
    }

    /// @return played False if the mover stays silent.
    function _move(uint256 id, uint256 seed) private returns (bool played) {
        if (seed % 10 == 0) return false;
        if (seed % 16 == 1) {
            (address proposer,) = _run.rejected(_court.disputes(id).proposal);
            if (proposer == address(0)) _run.reject(ROUND, 1);
        }
        // Any time that the clock leaves, with the last second among them.
        uint256 leftS = _court.disputes(id).deadline - block.timestamp;
        if ((seed >> 8) % 3 != 0) VM.warp(block.timestamp + ((seed >> 8) % 3 == 1 ? leftS : (seed >> 16) % leftS));
        if ((seed >> 32) % 2 == 0) _err(id, seed >> 40);
        _play(id, seed);
        return true;
    }

    /// @dev The mover's clock runs out; not a second earlier can anybody end the dispute, and no move comes after.
    function _runOut(uint256 id) private {
        Dispute memory d = _court.disputes(id);
        VM.warp(d.deadline);
        (bool ok, bytes memory answer) = _ask(abi.encodeCall(_court.endDispute, (id)), 0, true);
        _refuses(answer, abi.encodeWithSelector(ICourt.ClockStillRuns.selector, id, d.deadline));
        VM.warp(d.deadline + 1);
        bytes32[] memory none = new bytes32[](0);
        ChunkProof memory proof;
        bytes memory late = abi.encodeCall(_court.showChildren, (id, none));
        if (d.state == DisputeState.Choice) late = abi.encodeCall(_court.chooseChild, (id, 0, 0, none));
        if (d.state == DisputeState.Chunk) late = abi.encodeCall(_court.openChunk, (id, 0, none, proof));
        (ok, answer) = _ask(late, 0, true);
        _refuses(answer, abi.encodeWithSelector(ICourt.ClockRanOut.selector, id, d.deadline));
        VM.prank(STRANGER);
        _court.endDispute(id);
    }

    function _expected(Dispute memory d, bool played) private view returns (DisputeState) {
        if (!played) return _waited == DisputeState.Choice ? DisputeState.Rejected : DisputeState.Upheld;
        return _wrong && d.index == _wrongChunk ? DisputeState.Upheld : DisputeState.Rejected;
    }

    /// @dev The move that is due: the side of the proposer tells the truth, the challenger chooses well or badly.
    function _play(uint256 id, uint256 seed) private {
        Dispute memory d = _court.disputes(id);
        uint256 step = d.level < 8 ? d.level : 8;
        if (d.state == DisputeState.Children) {
            VM.prank(STRANGER);
            _court.showChildren(id, _children(d.level, d.index));
        } else if (d.state == DisputeState.Choice) {
            uint256 below = d.level - step;
            uint256 child = (_wrongChunk >> below) % (1 << step);
            if ((seed >> 48) % 4 == 0) child = (seed >> 56) % (1 << step);
            bytes32 node = _nodeAt(below, (uint256(d.index) << step) + child);
            bytes32[] memory siblings = _siblingsWithin(below, step, (uint256(d.index) << step) + child);
            _court.chooseChild{value: 1 ether}(id, uint32(child), node, siblings);
        } else if (d.state == DisputeState.Chunk) {
            VM.prank(STRANGER);
            _court.openChunk(id, _root(PARENT), _inputsHashes(), _proofOf(d.index));
        }
    }

    /// @dev A move that is none: it changes nothing.
    function _err(uint256 id, uint256 seed) private {
        Dispute memory d = _court.disputes(id);
        uint256 step = d.level < 8 ? d.level : 8;
        bytes memory data;
        bytes4 expected = IMergeCourt.WrongMove.selector;
        if (d.state == DisputeState.Children) {
            data = abi.encodeCall(_court.showChildren, (id, _mutatedList(_children(d.level, d.index), seed)));
            expected = IMergeCourt.WrongChildren.selector;
        } else if (d.state == DisputeState.Choice) {
            bytes32[] memory siblings = _siblingsWithin(d.level - step, step, uint256(d.index) << step);
            data = abi.encodeCall(_court.chooseChild, (id, uint32(seed), bytes32(seed), siblings));
            expected = IMergeCourt.WrongNode.selector;
        } else if (d.state == DisputeState.Chunk && seed % 2 == 0) {
            ChunkProof memory proof = _proofOf((d.index + 1 + seed % 259) % 260);
            data = abi.encodeCall(_court.openChunk, (id, _root(PARENT), _inputsHashes(), proof));
            expected = IMergeCourt.WrongNode.selector;
        } else if (d.state == DisputeState.Chunk) {
            // A parent of the opener's own making, to whose root the proof leads.
            ChunkProof memory proof = _proofOf(d.index % 260);
            proof.oldLeaf = _stream(seed, "parent", 1024);
            bytes32 node = sha256(bytes.concat(hex"00", proof.oldLeaf));
            bytes32[] memory path = _pathOf(proof.chunk, node, proof.oldSiblings);
            data = abi.encodeCall(_court.openChunk, (id, path[path.length - 1], _inputsHashes(), proof));
            expected = IMergeCourt.WrongBeginning.selector;
        }
        if ((seed >> 32) % 16 == 0) {
            (data, expected) = (abi.encodeCall(_court.answerLeaf, (id, "")), IMergeCourt.WrongMove.selector);
        }
        (bool ok, bytes memory answer) = _ask(data, 0, true);
        _true("no move", !ok);
        _equal("error", uint32(bytes4(answer)), uint32(expected));
        _equal("state", uint256(_court.disputes(id).state), uint256(d.state));
    }

    function _inProgress(uint256 id) private returns (bool) {
        DisputeState state = _court.disputes(id).state;
        if (state < DisputeState.Upheld) _waited = state;
        return state < DisputeState.Upheld;
    }

    // --- the proposal's tree

    function _nodeAt(uint256 level, uint256 index) private view returns (bytes32) {
        return index == _wrongChunk >> level ? _path[level] : _nodes[RIGHT][level][index];
    }

    function _children(uint256 level, uint256 index) private view returns (bytes32[] memory children) {
        uint256 step = level < 8 ? level : 8;
        children = new bytes32[](1 << step);
        for (uint256 i = 0; i < children.length; ++i) {
            children[i] = _nodeAt(level - step, (index << step) + i);
        }
    }

    function _siblingsWithin(uint256 level, uint256 step, uint256 index) private view returns (bytes32[] memory list) {
        list = new bytes32[](step);
        for (uint256 i = 0; i < step; ++i) {
            list[i] = _nodeAt(level + i, (index >> i) ^ 1);
        }
    }

    // --- noise

    /// @dev Dispute 1 waits for children, 2 for a choice, 3 for a chunk, 4 for a leaf.
    function _waitingDisputes(uint256 chunk) private {
        (_wrong, _wrongChunk) = (false, chunk);
        delete _path;
        for (uint256 level = 0; level < 10; ++level) {
            _path.push(_nodes[RIGHT][level][chunk >> level]);
        }
        for (uint256 id = 1; id < 4; ++id) {
            _court.challengeTree{value: 1 ether}(address(_run), ROUND);
            for (uint256 move = 0; move < (id == 3 ? 4 : id - 1); ++move) {
                _play(id, 1 << 48);
            }
        }
        _court.challengeLeaf{value: 1 ether}(address(_run), ROUND, uint32(chunk), _inputsOf(0), 1);
    }

    /// @dev An entry and what it speaks of. Who names a run that burns gas pays for that alone, so none is named.
    function _start(uint256 seed) private view returns (bytes memory) {
        bytes4[12] memory all = [
            _court.showChildren.selector,
            _court.chooseChild.selector,
            _court.openChunk.selector,
            _court.answerLeaf.selector,
            _court.endDispute.selector,
            _court.proveMerge.selector,
            _court.feed.selector,
            _court.proveNorm.selector,
            _court.challengeTree.selector,
            _court.challengeLeaf.selector,
            _court.claim.selector,
            bytes4(uint32(seed >> 8))
        ];
        uint256 place = seed % 12;
        if (place < 5) return abi.encodePacked(all[place], (seed >> 8) % 6);
        return abi.encodePacked(all[place], uint256(uint160((seed >> 8) % 4 == 0 ? STRANGER : address(_run))));
    }

    /// @dev Words as a decoder meets them: places, lengths, addresses, and the largest numbers.
    function _words(uint256 seed, uint256 count) private pure returns (bytes memory out) {
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = _word(seed, "word", i);
            uint256 kind = word % 5;
            if (kind == 0) word = ((word >> 8) % 64) * 32;
            if (kind == 1) word = (word >> 8) % 300;
            if (kind == 2) word = ROUND;
            if (kind == 3) word = type(uint256).max >> ((word >> 8) % 256);
            out = bytes.concat(out, bytes32(word));
        }
    }

    /// @dev Calls that decode, with any bytes for what they carry.
    function _typedNoise(uint256 seed, bytes memory noise) private view returns (bytes memory) {
        uint256 id = (seed >> 8) % 6;
        bytes32[] memory list = _mutatedList(_children(9, 0), seed);
        uint256 kind = seed % 7;
        if (kind == 0) return abi.encodeCall(_court.showChildren, (id, list));
        if (kind == 1) return abi.encodeCall(_court.chooseChild, (id, uint32(seed), bytes32(seed), list));
        bytes memory opening = bytes.concat(noise, _stream(seed, "opening", seed % 900));
        if (kind == 2) return abi.encodeCall(_court.answerLeaf, (id, opening));
        if (kind == 3) return abi.encodeCall(_court.endDispute, (id));
        ChunkProof memory proof = _proofOf(seed % 300);
        if (seed % 2 == 0) proof.inputs = noise;
        else proof.openings = new bytes[](seed % 50);
        if (kind == 4) return abi.encodeCall(_court.feed, (address(_run), uint32(seed), proof));
        if (kind == 5) return abi.encodeCall(_court.openChunk, (id, bytes32(seed), list, proof));
        return abi.encodeCall(_court.proveMerge, (address(_run), ROUND, proof, bytes32(seed), list));
    }
}
