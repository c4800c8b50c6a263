// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MergeCourt} from "../../contracts/MergeCourt.sol";
import {ChunkProof, Header} from "../../contracts/interfaces/IMergeCourt.sol";
import {Commitments} from "../../contracts/libraries/Commitments.sol";
import {MergeRule} from "../../contracts/libraries/ExactMerge.sol";
import {Inputs} from "../../contracts/libraries/Inputs.sol";
import {VectorHarness} from "../../contracts/test/VectorHarness.sol";
import {Phase, Reveal, Round, RoundStatus, RunParams} from "../../contracts/types/Types.sol";
import {Current, Progress, Seat, Submission} from "../../contracts/types/Types.sol";
import {MockRun} from "./MockRun.sol";
import {Support} from "./Support.sol";

/// @title A frozen round with everything that proofs are made of: updates, some of them lying about their sums, the
/// parent's model and the one that the merge rule wants. Leaves are made anew when they are needed; nodes are stored.
abstract contract Scene is Support {
    struct Update {
        uint8 seat;
        uint24 weight;
        uint256 segment;
        bool lies;
        bytes32 root;
        Header header;
    }

    uint32 internal constant ROUND = 7;
    uint256 internal constant PARENT = 0;
    uint256 internal constant RIGHT = 1;
    /// @dev Trees behind it are those of the updates.
    uint256 internal constant UPDATES = 2;
    address internal constant PROPOSER = address(0xbeef);

    MergeCourt internal _court;
    MockRun internal _run;
    VectorHarness internal _harness;
    uint32[] internal _ends;
    Update[] internal _updates;
    MergeRule internal _rule;
    mapping(uint256 tree => mapping(uint256 level => bytes32[])) internal _nodes;
    mapping(uint256 tree => mapping(uint256 level => uint256[])) internal _sums;

    // --- making it

    function _build(uint32[] memory ends, uint256 updates, MergeRule memory rule) internal {
        (_court, _run, _harness) = (new MergeCourt(), new MockRun(), new VectorHarness());
        (_ends, _rule) = (ends, rule);
        for (uint256 k = 0; k < updates; ++k) {
            _plantUpdate(k, updates);
        }
        uint256 chunks = _chunks();
        for (uint256 chunk = 0; chunk < chunks; ++chunk) {
            _nodes[PARENT][0].push(sha256(bytes.concat(hex"00", this.oldLeaf(chunk))));
        }
        _grow(PARENT);
        for (uint256 chunk = 0; chunk < chunks; ++chunk) {
            _nodes[RIGHT][0].push(this.rightNode(chunk));
        }
        _grow(RIGHT);
        RunParams memory p;
        (p.chunks, p.segments, p.segmentEnds) = (uint32(chunks), uint8(ends.length), ends);
        (p.lr, p.mu, p.nesterov, p.momentum) = (uint16(rule.lr), uint16(rule.mu), rule.nesterov, rule.momentum);
        p.moveS = 600;
        p.juryS = 600;
        _run.setParams(p);
        for (uint256 s = 0; s < ends.length; ++s) {
            _run.setInputsHash(ROUND, uint8(s), sha256(_inputsOf(s)));
        }
        _run.setRound(ROUND - 1, Round(0, _root(PARENT), PROPOSER, 0, 0, RoundStatus.Final, false, false, 0));
        _propose(_root(RIGHT));
    }

    function _propose(bytes32 modelRoot) internal {
        uint40 end = uint40(block.timestamp + 3_600);
        _run.setRound(
            ROUND, Round(bytes32("seed"), modelRoot, PROPOSER, end, 0, RoundStatus.Proposed, false, false, 0)
        );
        Current memory c;
        (c.round, c.attempt, c.rosterCount) = (ROUND, 9, uint16(_updates.length));
        _run.setCurrent(c, (1 << _updates.length) - 1);
    }

    /// @dev Seat k trains segment k mod segments; every third one lies about its sums.
    function _plantUpdate(uint256 k, uint256 updates) private {
        uint256 tree = UPDATES + k;
        Update memory u;
        (u.seat, u.segment, u.lies) = (uint8(k), k % _ends.length, k % 3 == 1);
        u.weight = uint24(65_536 / ((updates + _ends.length - 1) / _ends.length) - k);
        for (uint256 i = 0; i < _sizeOf(u.segment); ++i) {
            (bytes32 node, uint256 ssq) = _harness.sumLeafNode(this.updateLeaf(k, i));
            _nodes[tree][0].push(node);
            _sums[tree][0].push(u.lies && i == 1 ? ssq / 2 : ssq);
        }
        _grow(tree);
        u.root = _root(tree);
        uint256 depth = _depthOf(_sizeOf(u.segment));
        u.header = Header(uint96(_sums[tree][depth][0]), bytes32("trace"), bytes32("class"), bytes32(k), 1234);
        _updates.push(u);
        Seat memory seat = Seat(_trainer(k), 10 ** 9, 0, 0);
        bytes27 digest = Commitments.revealDigest(u.root, _headerHash(u.header));
        _run.setSeat(k, seat, Submission(9, Progress.Revealed, digest));
    }

    /// @dev The levels over the leaf nodes; the sums are zero but for updates.
    function _grow(uint256 tree) private {
        bool summed = tree >= UPDATES;
        uint256 depth = _depthOf(_nodes[tree][0].length);
        while (_nodes[tree][0].length < 1 << depth) {
            _nodes[tree][0].push(sha256(hex"02"));
            if (summed) _sums[tree][0].push(0);
        }
        for (uint256 level = 0; level < depth; ++level) {
            bytes32[] storage below = _nodes[tree][level];
            for (uint256 i = 0; i < below.length; i += 2) {
                bytes memory node = abi.encodePacked(hex"01", below[i], below[i + 1]);
                if (summed) {
                    uint256[] storage sums = _sums[tree][level];
                    node = abi.encodePacked(node, uint96(sums[i]), uint96(sums[i + 1]));
                    _sums[tree][level + 1].push(sums[i] + sums[i + 1]);
                }
                _nodes[tree][level + 1].push(sha256(node));
            }
        }
    }

    // --- what is in it

    function oldLeaf(uint256 chunk) external view returns (bytes memory) {
        return _stream(chunk, "old", _rule.momentum ? 2048 : 1024);
    }

    function updateLeaf(uint256 k, uint256 i) external pure returns (bytes memory) {
        return _updateLeaf(k, i);
    }

    function rightNode(uint256 chunk) external view returns (bytes32) {
        return sha256(bytes.concat(hex"00", _leafWith(chunk, _rule)));
    }

    function _leafWith(uint256 chunk, MergeRule memory rule) internal view returns (bytes memory leaf) {
        (uint256 segment, uint256 index) = _placeOf(chunk);
        uint256[] memory members = _membersOf(segment);
        bytes[] memory leaves = new bytes[](members.length);
        uint256[] memory weights = new uint256[](members.length);
        for (uint256 i = 0; i < members.length; ++i) {
            leaves[i] = this.updateLeaf(members[i], index);
            weights[i] = _updates[members[i]].weight;
        }
        (leaf,,) = _harness.merge(leaves, weights, this.oldLeaf(chunk), rule);
    }

    function _inputsOf(uint256 segment) internal view returns (bytes memory list) {
        uint256[] memory members = _membersOf(segment);
        for (uint256 i = 0; i < members.length; ++i) {
            Update memory u = _updates[members[i]];
            bytes32 header = _headerHash(u.header);
            address trainer = _trainer(members[i]);
            list = bytes.concat(list, Inputs.pack(Inputs.Entry(trainer, u.seat, u.weight, u.root, header)));
        }
    }

    function _inputsHashes() internal view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](_ends.length);
        for (uint256 s = 0; s < hashes.length; ++s) {
            hashes[s] = sha256(_inputsOf(s));
        }
    }

    /// @dev The proof that an honest prover brings: short openings where sums are true.
    function _proofOf(uint256 chunk) internal view returns (ChunkProof memory proof) {
        proof.chunk = uint32(chunk);
        if (chunk >= _chunks()) return proof;
        (uint256 segment, uint256 index) = _placeOf(chunk);
        uint256[] memory members = _membersOf(segment);
        proof.inputs = _inputsOf(segment);
        proof.openings = new bytes[](members.length);
        for (uint256 i = 0; i < members.length; ++i) {
            proof.openings[i] = _opening(members[i], index, _updates[members[i]].lies);
        }
        proof.oldLeaf = this.oldLeaf(chunk);
        proof.oldSiblings = _siblings(PARENT, chunk);
    }

    function _opening(uint256 k, uint256 index, bool long) internal view returns (bytes memory out) {
        uint256 tree = UPDATES + k;
        out = this.updateLeaf(k, index);
        for (uint256 level = 0; _nodes[tree][level].length > 1; ++level) {
            uint256 own = index >> level;
            out = abi.encodePacked(out, _nodes[tree][level][own ^ 1], uint96(_sums[tree][level][own ^ 1]));
            if (long) out = abi.encodePacked(out, uint96(_sums[tree][level][own]));
        }
    }

    function _siblings(uint256 tree, uint256 index) internal view returns (bytes32[] memory list) {
        list = new bytes32[](_depthOf(_nodes[tree][0].length));
        for (uint256 level = 0; level < list.length; ++level) {
            list[level] = _nodes[tree][level][(index >> level) ^ 1];
        }
    }

    function _root(uint256 tree) internal view returns (bytes32) {
        return _nodes[tree][_depthOf(_nodes[tree][0].length)][0];
    }

    function _membersOf(uint256 segment) internal view returns (uint256[] memory members) {
        uint256 n = 0;
        members = new uint256[](_updates.length);
        for (uint256 k = segment; k < _updates.length; k += _ends.length) {
            members[n++] = k;
        }
        assembly ("memory-safe") {
            mstore(members, n)
        }
    }

    function _placeOf(uint256 chunk) internal view returns (uint256 segment, uint256 index) {
        while (chunk >= _ends[segment]) ++segment;
        index = segment == 0 ? chunk : chunk - _ends[segment - 1];
    }

    function _sizeOf(uint256 segment) internal view returns (uint256) {
        return segment == 0 ? _ends[0] : _ends[segment] - _ends[segment - 1];
    }

    function _chunks() internal view returns (uint256) {
        return _ends[_ends.length - 1];
    }

    function _depthOf(uint256 leaves) internal pure returns (uint256 depth) {
        while (1 << depth < leaves) ++depth;
    }

    function _trainer(uint256 k) internal pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    function _headerHash(Header memory h) internal pure returns (bytes32) {
        return Commitments.headerHash(
            Reveal(0, 0, h.ssq, h.traceRoot, h.classId, h.updateCid, h.updateSize, 0)
        );
    }

    function _setPhase(Phase phase) internal {
        Current memory c;
        (c.round, c.attempt, c.phase, c.rosterCount) = (ROUND, 9, phase, uint16(_updates.length));
        _run.setCurrent(c, (1 << _updates.length) - 1);
    }
}
