// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ChunkProof, DisputeState, IMergeCourt, NormProof} from "../../contracts/interfaces/IMergeCourt.sol";
import {DenseInt8, WeightedSum} from "../../contracts/libraries/DenseInt8.sol";
import {MergeRule} from "../../contracts/libraries/ExactMerge.sol";
import {Merkle} from "../../contracts/libraries/Merkle.sol";
import {Phase} from "../../contracts/types/Types.sol";
import {CourtScene} from "./CourtScene.sol";

/// @title Proofs of one transaction: a right merge and a true norm stand whatever is thrown at them, a wrong one falls.
contract CourtProofsTest is CourtScene {
    /// @dev A chunk proof and where the proposal has the chunk.
    struct Attack {
        ChunkProof proof;
        bytes32 node;
        bytes32[] siblings;
    }

    function setUp() public {
        uint32[] memory ends = new uint32[](2);
        (ends[0], ends[1]) = (3, 5);
        _build(ends, 5, MergeRule({lr: 200, mu: 230, nesterov: true, momentum: true}));
    }

    function testRightMergeStands(uint256 seed) public {
        Attack memory a = _rightAttack(seed % 8);
        uint256 mutations = (seed >> 8) % 4;
        for (uint256 i = 0; i < mutations; ++i) {
            _mutate(a, _word(seed, "mutation", i));
        }
        (bool ok, bytes memory answer) = _ask(_encoded(a), 0, true);
        _true("stands", !ok);
        if (mutations == 0) _refuses(answer, abi.encodeWithSelector(IMergeCourt.ChunkIsRight.selector, seed % 8));
        _nobodyConvicted();
    }

    /// @dev The same with the bytes of the call changed anywhere.
    function testRightMergeStandsAgainstBytes(uint256 seed) public {
        bytes memory data = _encoded(_rightAttack(seed % 8));
        uint256 flips = 1 + (seed >> 8) % 4;
        for (uint256 i = 0; i < flips; ++i) {
            uint256 word = _word(seed, "flip", i);
            // Half of them in the words that hold offsets and lengths.
            uint256 place = 4 + (word >> 16) % (word % 2 == 0 ? 400 : data.length - 4);
            data[place] = bytes1(uint8(word >> 8));
        }
        (bool ok,) = _ask(data, 0, false);
        // What was changed may be the padding of a word.
        _true("stands", !ok);
        _nobodyConvicted();
    }

    function testWrongMergeFalls(uint256 seed) public {
        uint256 chunk = seed % 5;
        bytes32 wrong = _wrongNode(chunk, seed >> 8);
        Attack memory a = _rightAttack(chunk);
        a.node = wrong;
        bytes32[] memory path = _pathOf(chunk, wrong, a.siblings);
        _propose(path[path.length - 1]);
        // Its other chunks are right, however they are proven.
        uint256 other = (chunk + 1 + (seed >> 16) % 7) % 8;
        Attack memory b = _rightAttack(other);
        for (uint256 level = 0; level < b.siblings.length; ++level) {
            if ((other >> level) ^ 1 == chunk >> level) b.siblings[level] = path[level];
        }
        if (seed >> 255 == 1) _mutate(b, _word(seed, "other", 0));
        (bool ok, bytes memory answer) = _ask(_encoded(b), 0, true);
        _true("its other chunks stand", !ok);
        if (seed >> 255 == 0) _refuses(answer, abi.encodeWithSelector(IMergeCourt.ChunkIsRight.selector, other));
        _nobodyConvicted();
        // The wrong one does not, once.
        (ok,) = _ask(_encoded(a), 0, true);
        _true("falls", ok);
        _equal("convicted", _run.mergesConvicted(), 1);
        _equal("beneficiary", uint160(_run.beneficiary()), uint160(address(this)));
        (ok, answer) = _ask(_encoded(a), 0, true);
        _refuses(answer, abi.encodeWithSelector(IMergeCourt.NotPending.selector, _run, ROUND));
    }

    /// @dev A place behind the last chunk that does not hold EMPTY.
    function testWrongPaddingFalls(uint256 seed) public {
        uint256 chunk = 5 + seed % 3;
        Attack memory a = _rightAttack(chunk);
        // The fuzzer knows the constant that belongs there.
        a.node = bytes32(seed) == Merkle.EMPTY ? bytes32(0) : bytes32(seed);
        bytes32[] memory path = _pathOf(chunk, a.node, a.siblings);
        _propose(path[path.length - 1]);
        (bool ok,) = _ask(_encoded(a), 0, true);
        _true("falls", ok);
        _equal("convicted", _run.mergesConvicted(), 1);
    }

    /// @dev Fed in parts, the proof says the same; no other accumulator is taken.
    function testFedProof(uint256 seed) public {
        uint256 chunk = seed % 5;
        Attack memory a = _rightAttack(chunk);
        bool wrong = (seed >> 8) % 2 == 0;
        if (wrong) {
            a.node = _wrongNode(chunk, seed >> 9);
            bytes32[] memory path = _pathOf(chunk, a.node, a.siblings);
            _propose(path[path.length - 1]);
        }
        uint256 first = 1 + (seed >> 16) % a.proof.openings.length;
        (ChunkProof memory part, WeightedSum memory sum) = _part(a.proof, first);
        bool spoiled = (seed >> 24) % 4 == 0;
        if (spoiled) part.openings[0] = _spoiled(part.openings[0], seed >> 32);
        (bool fed, bytes memory answer) = _ask(abi.encodeCall(_court.feed, (address(_run), ROUND, part)), 0, true);
        _equal("feeds", fed ? 1 : 0, spoiled ? 0 : 1);
        bytes memory accumulator = abi.encode(sum);
        bool forged = (seed >> 40) % 4 == 0;
        if (forged) accumulator = _mutated(accumulator, seed >> 48);
        a.proof.accumulator = accumulator;
        a.proof.openings = _tail(a.proof.openings, first);
        bool ok;
        (ok, answer) = _ask(_encoded(a), 0, true);
        _equal("convicts", ok ? 1 : 0, wrong && fed && !forged ? 1 : 0);
        if (ok) return;
        _nobodyConvicted();
        bytes4 expected = fed && !forged ? IMergeCourt.ChunkIsRight.selector : IMergeCourt.WrongAccumulator.selector;
        if (accumulator.length == 0) expected = IMergeCourt.WrongOpenings.selector;
        _equal("error", uint32(bytes4(answer)), uint32(expected));
    }

    /// @dev A true norm stands, a lie falls, from the frozen inputs or from a reveal.
    function testNorms(uint256 seed) public {
        uint256 k = seed % 5;
        bool revealed = (seed >> 8) % 2 == 0;
        _setPhase(revealed ? Phase(2 + (seed >> 9) % 2) : Phase.Idle);
        NormProof memory proof = _normProof(k, revealed, seed >> 16);
        // The lie is at the second leaf. Without one its place may be any.
        bool lies = _updates[k].lies && proof.index == 1;
        bool mutant = (seed >> 24) % 2 == 0;
        if (mutant) _mutateNorm(proof, seed >> 32);
        (bool ok, bytes memory answer) =
            _ask(abi.encodeCall(_court.proveNorm, (address(_run), ROUND, proof)), 0, true);
        if (mutant) {
            _true("stands", !ok || _updates[k].lies);
        } else {
            _equal("falls", ok ? 1 : 0, lies ? 1 : 0);
            if (!ok) _refuses(answer, abi.encodeWithSelector(IMergeCourt.NormIsRight.selector, k));
        }
        if (!ok) return _nobodyConvicted();
        _equal("convicted", _run.convicted(ROUND), 1 << k);
        _equal("trainer", uint160(_run.trainer()), uint160(_trainer(k)));
    }

    /// @dev A header that names another sum than the tree.
    function testLyingHeader(uint256 seed, uint96 ssq) public {
        uint256 k = seed % 5;
        if (ssq == _updates[k].header.ssq) ++ssq;
        _updates[k].header.ssq = ssq;
        uint256 segment = _updates[k].segment;
        _run.setInputsHash(ROUND, uint8(segment), sha256(_inputsOf(segment)));
        NormProof memory proof = _normProof(k, false, seed >> 8);
        (bool ok,) = _ask(abi.encodeCall(_court.proveNorm, (address(_run), ROUND, proof)), 0, true);
        _true("falls", ok);
        _equal("convicted", _run.convicted(ROUND), 1 << k);
    }

    /// @dev Whoever shows the leaf gets the bond. A leaf under lying sums convicts its author.
    function testLeafGame(uint256 seed) public {
        uint256 chunk = seed % 5;
        (uint256 segment, uint256 index) = _placeOf(chunk);
        uint256[] memory members = _membersOf(segment);
        uint256 place = (seed >> 8) % members.length;
        uint256 k = members[place];
        bytes memory inputs = _inputsOf(segment);
        uint256 bond = _court.bondWei(DisputeState.Leaf, 0);
        uint256 id = _court.challengeLeaf{value: bond}(address(_run), ROUND, uint32(chunk), inputs, place);
        bool lies = _updates[k].lies && index == 1;
        bytes memory opening = _opening(k, index, lies || (seed >> 16) % 2 == 0);
        bytes memory spoiled = _spoiled(opening, seed >> 24);
        (bool ok, bytes memory answer) = _ask(abi.encodeCall(_court.answerLeaf, (id, spoiled)), 0, true);
        _true("another leaf is no answer", !ok);
        _refuses(answer, abi.encodeWithSelector(IMergeCourt.WrongUpdateOpening.selector, k));
        VM.prank(address(0xa11ce));
        _court.answerLeaf(id, opening);
        _equal("update convicted", _run.updatesConvicted(), lies ? 1 : 0);
        _equal("bond", _court.creditOf(lies ? address(this) : address(0xa11ce)), bond);
        _equal("hold", _run.holds(), 0);
        _equal("merge", _run.mergesConvicted() + _run.mergesFailed(), 0);
    }

    // --- attacks

    function _rightAttack(uint256 chunk) private view returns (Attack memory a) {
        return Attack(_proofOf(chunk), _nodes[RIGHT][0][chunk], _siblings(RIGHT, chunk));
    }

    function _encoded(Attack memory a) private view returns (bytes memory) {
        return abi.encodeCall(_court.proveMerge, (address(_run), ROUND, a.proof, a.node, a.siblings));
    }

    /// @dev One thing about it is another than before, though perhaps not one that is read.
    function _mutate(Attack memory a, uint256 seed) private view {
        ChunkProof memory p = a.proof;
        uint256 kind = seed % 16;
        uint256 i = p.openings.length == 0 ? 0 : (seed >> 8) % p.openings.length;
        seed >>= 16;
        if (kind == 0) p.chunk = uint32(seed % 2 == 0 ? seed >> 8 : (seed >> 8) % 9);
        else if (kind == 1) p.inputs = _mutated(p.inputs, seed);
        else if (kind == 2) p.inputs = _otherInputs(p.inputs, seed);
        else if (kind < 6 && p.openings.length != 0) p.openings[i] = _mutated(p.openings[i], seed);
        else if (kind == 6 && p.openings.length != 0) p.openings[i] = p.openings[seed % p.openings.length];
        else if (kind == 7) p.openings = _tail(p.openings, p.openings.length == 0 ? 0 : 1);
        else if (kind == 8 && p.openings.length != 0) p.openings[i] = _opening(seed % 5, 1, seed >> 8 == 0);
        else if (kind < 11) p.oldLeaf = _mutated(p.oldLeaf, seed);
        else if (kind == 11) p.oldSiblings = _mutatedList(p.oldSiblings, seed);
        else if (kind == 12) (p.oldLeaf, p.oldSiblings) = (this.oldLeaf(seed % 5), _siblings(PARENT, seed % 5));
        else if (kind == 13) a.node = bytes32(uint256(a.node) ^ (1 << (seed & 255)));
        else if (kind == 14) a.siblings = _mutatedList(a.siblings, seed);
        else if (kind == 15) p.accumulator = _stream(seed, "accumulator", (seed & 1) == 0 ? 2144 : seed & 63);
    }

    /// @dev Those of another segment, twice the same, or with another weight, which would give another merge.
    function _otherInputs(bytes memory inputs, uint256 seed) private view returns (bytes memory out) {
        if (seed % 4 == 0) return _inputsOf((seed >> 8) % 2);
        if (seed % 4 == 1 || inputs.length < 88) return bytes.concat(inputs, inputs);
        out = bytes.concat(inputs);
        out[22 + 88 * ((seed >> 16) % (inputs.length / 88))] ^= bytes1(uint8(1 << ((seed >> 8) & 7)));
    }

    /// @dev A leaf that the merge rule does not want, in the ways that aggregators go wrong or cheat.
    function _wrongNode(uint256 chunk, uint256 seed) private view returns (bytes32 node) {
        uint256 kind = seed % 6;
        bytes memory leaf;
        MergeRule memory rule = _rule;
        if (kind == 0) leaf = this.oldLeaf(chunk);
        if (kind == 1) leaf = _leafWith((chunk + 1 + (seed >> 8) % 4) % 5, rule);
        if (kind == 2) (rule.mu, leaf) = (rule.mu - 1, "");
        if (kind == 3) (rule.lr, leaf) = (rule.lr + 1, "");
        if (kind == 4) (rule.nesterov, leaf) = (false, "");
        if (leaf.length == 0) leaf = _leafWith(chunk, rule);
        if (kind == 5) leaf[(seed >> 16) % leaf.length] ^= bytes1(uint8(1 << ((seed >> 8) & 7)));
        node = sha256(bytes.concat(hex"00", leaf));
        _true("a wrong leaf", node != _nodes[RIGHT][0][chunk]);
    }

    function _normProof(uint256 k, bool revealed, uint256 seed) private view returns (NormProof memory proof) {
        // The round's seed happens to put seat k on segment k mod 2, as the scene does.
        uint256 segment = _updates[k].segment;
        uint256 size = _sizeOf(segment);
        proof.segment = uint8(segment);
        if (!revealed) proof.inputs = _inputsOf(segment);
        (proof.seat, proof.updateRoot, proof.header) = (uint8(k), _updates[k].root, _updates[k].header);
        proof.index = uint32(seed % size);
        proof.opening = _opening(k, proof.index, true);
    }

    function _mutateNorm(NormProof memory p, uint256 seed) private view {
        uint256 kind = seed % 8;
        seed >>= 8;
        if (kind == 0) p.segment = uint8(seed);
        else if (kind == 1) p.inputs = _mutated(p.inputs, seed);
        else if (kind == 2) p.seat = uint8(seed % 6);
        else if (kind == 3) p.updateRoot = bytes32(uint256(p.updateRoot) ^ (1 << (seed & 255)));
        else if (kind == 4) p.header.ssq ^= uint96(1 << (seed % 96));
        else if (kind == 5) p.index = uint32(seed);
        else if (kind == 6) p.header.updateSize ^= uint64(1 << (seed % 64));
        else p.opening = _mutated(p.opening, seed);
        if (kind == 0 && p.segment < 2 && p.inputs.length != 0) p.inputs = _inputsOf(p.segment);
    }

    // --- bytes

    /// @dev The first openings as a part to feed, and the sum that it leaves.
    function _part(ChunkProof memory whole, uint256 first)
        private
        view
        returns (ChunkProof memory part, WeightedSum memory sum)
    {
        (part.chunk, part.inputs, part.openings) = (whole.chunk, whole.inputs, new bytes[](first));
        (uint256 segment,) = _placeOf(whole.chunk);
        uint256[] memory members = _membersOf(segment);
        for (uint256 i = 0; i < first; ++i) {
            part.openings[i] = bytes.concat(whole.openings[i]);
            sum = this.plus(sum, whole.openings[i], _updates[members[i]].weight);
        }
    }

    // It is updated.
    // solhint-disable-next-line gas-calldata-parameters
    function plus(WeightedSum memory sum, bytes calldata opening, uint256 weight)
        external
        pure
        returns (WeightedSum memory)
    {
        DenseInt8.add(sum, opening[:257], weight);
        return sum;
    }

    function _tail(bytes[] memory list, uint256 from) private pure returns (bytes[] memory out) {
        out = new bytes[](list.length - from);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = list[from + i];
        }
    }
}
