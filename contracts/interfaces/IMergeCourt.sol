// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICourt} from "./ICourt.sol";

/// @notice Whose move it is in a dispute, or how it ended.
enum DisputeState {
    None,
    /// @dev The proposer's side owes the children of `node`.
    Children,
    /// @dev The challenger owes a choice among them.
    Choice,
    /// @dev The proposer's side owes the whole merge of one chunk.
    Chunk,
    /// @dev Somebody owes the bytes of one update leaf.
    Leaf,
    /// @dev The challenger was right.
    Upheld,
    /// @dev The challenger was wrong, or let its clock run out.
    Rejected,
    /// @dev What was disputed is gone for another reason; bonds went back.
    Moot
}

/// @notice One dispute. Clocks and bonds: docs/protocol.md section 8.
struct Dispute {
    address run;
    uint32 round;
    DisputeState state;
    /// @dev Levels between `node` and the leaves. For a leaf that is owed: the depth of its update's tree.
    uint8 level;
    uint40 deadline;
    /// @dev Seat of the trainer whose leaf is owed.
    uint8 seat;
    address challenger;
    uint96 bondWei;
    /// @dev Who is bound to `node`: the proposer, or the trainer whose leaf is owed.
    address proposer;
    /// @dev Banked seconds of each side beyond what every move has.
    uint32 answerBankS;
    uint32 choiceBankS;
    /// @dev Place of `node` among the nodes of its level, at level 0 the chunk. Of a leaf that is owed: its place in
    /// the update.
    uint32 index;
    /// @dev Seconds that every move has at least.
    uint32 moveS;
    /// @dev The node of the proposal reached so far, or the update's root.
    bytes32 node;
    /// @dev The run's `proposalId` of what is disputed.
    bytes32 proposal;
    /// @dev keccak256(abi.encode(parentRoot, inputsHashes)) when a tree game began.
    bytes32 inputs;
}

/// @notice Everything that decides one chunk of a merge.
struct ChunkProof {
    uint32 chunk;
    /// @dev Preimage of the inputs hash of the chunk's segment: 88 bytes an update.
    bytes inputs;
    /// @dev Empty, or abi.encode(WeightedSum) that `feed` left: openings begin behind its updates.
    bytes accumulator;
    /// @dev For each update in the order of `inputs`: its leaf (257 bytes), then 44 or 56 bytes a level of its tree.
    bytes[] openings;
    bytes oldLeaf;
    bytes32[] oldSiblings;
}

/// @notice The part of an update header that a norm proof opens.
struct Header {
    uint96 ssq;
    bytes32 traceRoot;
    bytes32 classId;
    bytes32 updateCid;
    uint64 updateSize;
}

/// @notice A leaf of an update, with the sums its trainer's digests name.
struct NormProof {
    /// @dev Segment of the update and the preimage of its inputs hash; empty before the freeze.
    uint8 segment;
    bytes inputs;
    uint8 seat;
    bytes32 updateRoot;
    Header header;
    /// @dev Place of the leaf in the update.
    uint32 index;
    /// @dev 257 bytes, then 56 a level.
    bytes opening;
}

/// @title Judges merges and norms by computing them. Anyone may bring a proof; docs/protocol.md section 8.
/// @notice Serves every run that names it. What a run says is trusted for that run alone: no dispute can pay out more
/// than it was paid.
interface IMergeCourt is ICourt {
    /// @notice The run has no such proposal pending, or another one by now.
    error NotPending(address run, uint32 round);
    /// @notice The chunk is as the merge rule wants it.
    error ChunkIsRight(uint32 chunk);
    /// @notice The accumulator is not the one that this sender's last `feed` left.
    error WrongAccumulator(bytes32 expected, bytes32 given);
    /// @notice Too few or too many openings for the inputs.
    error WrongOpenings(uint256 given, uint256 expected);
    /// @notice The opening of an update's leaf does not lead to its root.
    /// @param place Of the update in the inputs; where only one is asked for, its seat.
    error WrongUpdateOpening(uint256 place);
    /// @notice The old leaf does not lead to the parent's root.
    error WrongOldLeaf(uint32 chunk);
    /// @notice The node does not lead to the proposed root, or to the node in dispute.
    error WrongNode(uint256 index);
    /// @notice The update's sums and its header are true.
    error NormIsRight(uint8 seat);
    /// @notice There is no chunk of that number.
    error NoSuchChunk(uint32 chunk, uint32 chunks);
    /// @notice The dispute waits for another move, or is over.
    error WrongMove(uint256 id, DisputeState state);
    /// @notice The challenger alone chooses.
    error NotChallenger(uint256 id, address challenger);
    /// @notice As many children as the level has, and they hash to the node in dispute.
    error WrongChildren(uint256 id);
    /// @notice Parent root and inputs hashes are not those that the dispute began with.
    error WrongBeginning(uint256 id);

    /// @notice A chunk of a proposal was computed and differs.
    event WrongMergeProven(
        address indexed run,
        uint32 indexed round,
        address indexed beneficiary,
        uint32 chunk,
        bytes32 proposedNode,
        bytes32 rightNode
    );
    /// @notice An update's sums or its header lie.
    event WrongNormProven(address indexed run, uint32 indexed round, address indexed beneficiary, uint8 seat);
    /// @notice A part of a long proof was added up; the next part begins with this accumulator.
    event Fed(
        address indexed run, uint32 indexed round, address indexed prover, uint32 chunk, bytes accumulator
    );
    /// @notice A proposer is asked for its tree.
    event TreeChallenged(
        uint256 indexed id, address indexed run, uint32 indexed round, address challenger, bytes32 modelRoot
    );
    /// @notice The nodes up to eight levels below the one in dispute, left to right.
    event ChildrenShown(uint256 indexed id, bytes32 node, bytes32[] children);
    /// @notice The challenger says that this child is wrong; at level 0 it is a chunk.
    event ChildChosen(uint256 indexed id, uint8 level, uint32 index, bytes32 node);
    /// @notice A trainer, or anybody who holds its update, is asked for a leaf.
    event LeafChallenged(
        uint256 indexed id, address indexed run, uint32 indexed round, address challenger, uint8 seat, uint32 chunk
    );
    /// @notice Here it is: 257 bytes.
    event LeafShown(uint256 indexed id, bytes leaf);
    /// @notice The dispute is over; `beneficiary` has its bonds, and on conviction what was slashed.
    event DisputeEnded(uint256 indexed id, DisputeState state, address indexed beneficiary, uint256 bondsWei);

    // --- one transaction
    /// @notice Convict a proposal of one wrong chunk: compute it from the frozen inputs and the parent model.
    /// @param proposedNode Leaf node of the chunk under the proposed root, and its siblings from the bottom up.
    function proveMerge(
        address run,
        uint32 round,
        ChunkProof calldata proof,
        bytes32 proposedNode,
        bytes32[] calldata proposedSiblings
    ) external;
    /// @notice Add up a part of a proof that is too long for one transaction. `oldLeaf` and `oldSiblings` are not read.
    function feed(address run, uint32 round, ChunkProof calldata proof) external;
    /// @notice Convict an update whose sums or header lie: a frozen one, or one revealed on chain in the open attempt.
    function proveNorm(address run, uint32 round, NormProof calldata proof) external;

    // --- a proposer that shows no model
    /// @notice Ask a proposer for its tree. The sent ETH is the bond.
    function challengeTree(address run, uint32 round) external payable returns (uint256 id);
    /// @notice Show the nodes min(8, level) below the one in dispute. Anyone may.
    function showChildren(uint256 id, bytes32[] calldata children) external;
    /// @notice Choose the child that is wrong. The sent ETH adds to the bond. Challenger only.
    /// @param siblings From the child up to the node in dispute.
    function chooseChild(uint256 id, uint32 child, bytes32 node, bytes32[] calldata siblings) external payable;
    /// @notice Compute the chunk that the game arrived at. Anyone may; the result decides the dispute.
    /// @param inputsHashes Of all segments, as they were when the dispute began.
    function openChunk(uint256 id, bytes32 parentRoot, bytes32[] calldata inputsHashes, ChunkProof calldata proof)
        external;

    // --- an update that cannot be had
    /// @notice Ask for the leaf of one chunk of a frozen update. The sent ETH is the bond; who answers gets it.
    /// @param inputs Preimage of the segment's inputs hash; `place` is the update's in it.
    function challengeLeaf(address run, uint32 round, uint32 chunk, bytes calldata inputs, uint256 place)
        external
        payable
        returns (uint256 id);
    /// @notice Show the leaf: 257 bytes, then 44 or 56 a level. Anyone may.
    function answerLeaf(uint256 id, bytes calldata opening) external;

    // --- ends
    /// @notice End a dispute whose mover's clock ran out, or whose object is gone. Anyone may.
    function endDispute(uint256 id) external;

    // --- views
    function disputes(uint256 id) external view returns (Dispute memory);
    function disputeCount() external view returns (uint256);
    /// @notice Bond that the next move of the challenger needs at the present base fee: twice the answer's gas.
    /// @param updates Included updates, for the last choice.
    function bondWei(DisputeState answer, uint256 updates) external view returns (uint256);
}
