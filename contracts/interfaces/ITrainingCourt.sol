// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICourt} from "./ICourt.sol";
import {Header} from "./IMergeCourt.sol";

/// @notice Whose move it is in a trial, or how it ended.
enum TrialState {
    None,
    /// @dev The accused owes the digests of its training.
    Defence,
    /// @dev The accuser owes its own.
    Reply,
    /// @dev Anybody may seat the jury, once the block that draws it is there.
    Draw,
    /// @dev Jurors do the disputed step again and seal what they got.
    Seal,
    /// @dev Jurors open what they sealed.
    Open,
    /// @dev The votes are counted; the loser may appeal.
    Verdict,
    Convicted,
    Acquitted,
    /// @dev No majority, or nobody who could judge; bonds went back, less what jurors earned.
    Hung,
    /// @dev What was disputed is gone for another reason; bonds went back.
    Moot
}

/// @notice What an auditor found.
enum Finding {
    None,
    /// @dev Bit for bit the same, within one determinism class.
    Same,
    /// @dev Another class, within the tolerance.
    Close,
    /// @dev Something else was done.
    Different
}

/// @notice One trial. Clocks, bonds and payments: docs/protocol.md section 9.
struct Trial {
    address run;
    uint32 round;
    TrialState state;
    uint8 seat;
    uint8 segment;
    /// @dev 0 before the first jury, 1 before the second.
    uint8 level;
    /// @dev Of the first digest on which both sides differ.
    uint16 index;
    /// @dev Of the first jury, while it can be appealed and after.
    TrialState verdict;
    address accuser;
    uint40 deadline;
    uint40 drawBlock;
    address accused;
    uint96 accuserBondWei;
    /// @dev Who answered for the accused.
    address defender;
    uint96 defenderBondWei;
    address appellant;
    uint96 appealBondWei;
    /// @dev What a ticket is paid.
    uint96 ticketWei;
    /// @dev Of the bonds of a trial that ended: what its jurors have not been credited yet.
    uint96 jurorsWei;
    uint32 moveS;
    uint32 juryS;
    /// @dev Identity of the updates: seed and inputs hash of the segment.
    bytes32 seed;
    bytes32 inputsHash;
    bytes32 classId;
    bytes32 updateRoot;
    bytes32 traceRoot;
    /// @dev Root of the trace that the accuser committed to.
    bytes32 ownRoot;
    /// @dev keccak256(abi.encode(digests)) of what was shown for the accused.
    bytes32 shown;
    /// @dev The digest on which both agree before the disputed one; zero if that is the first. Behind the update's root
    /// every sequence goes on with zeros.
    bytes32 before;
    bytes32 accusedDigest;
    bytes32 accuserDigest;
}

/// @notice Tickets of a jury by what they voted for.
struct Tally {
    uint16 seated;
    uint16 sealed_;
    uint16 opened;
    uint16 forAccused;
    uint16 forAccuser;
}

/// @notice A juror of one jury.
struct Juror {
    uint8 seat;
    uint8 tickets;
    bool opened;
    bool fined;
    bool paid;
    /// @dev What it sealed; once opened, the digest.
    bytes32 vote;
}

/// @notice A drawn auditor's signed finding about the update of `seat`.
struct SignedFinding {
    uint8 seat;
    Finding finding;
    bytes32 r;
    bytes32 vs;
}

/// @title Judges whether an update was trained as assigned: the first step on which two parties differ is done again by
/// a jury of its determinism class. docs/protocol.md section 9.
/// @notice Serves every run that names it. What a run says is trusted for that run alone: a trial pays out what was
/// paid into it, audits what was given for them.
interface ITrainingCourt is ICourt {
    /// @notice The updates of the round are not frozen, or not pending any more.
    error NotFrozen(address run, uint32 round);
    /// @notice A court convicted the update already.
    error AlreadyGuilty(uint32 round, uint8 seat);
    /// @notice The accuser's trace is the accused's.
    error NothingDisputed();
    /// @notice The digests do not lead to the root that was committed to, or are too many.
    error WrongTrace(uint256 id);
    /// @notice The trial waits for another move, or is over.
    error WrongState(uint256 id, TrialState state);
    /// @notice The accuser alone answers.
    error NotAccuser(uint256 id, address accuser);
    /// @notice There must be a header for each included update.
    error WrongHeaders(uint256 given, uint256 included);
    /// @notice The chain knows the block that draws the jury, or will.
    error BlockStillKnown(uint256 blockNumber);
    /// @notice The account has no ticket in the jury.
    error NotJuror(uint256 id, address account);
    /// @notice The juror has sealed, or opened, its vote.
    error AlreadyVoted(uint256 id, address juror);
    /// @notice The vote does not open what was sealed.
    error WrongSeal(uint256 id, address juror);
    /// @notice The juror did not vote as the trial ended, or was paid.
    error NothingToPay();
    /// @notice The juror or auditor did its duty, or was fined.
    error NothingToFine();
    /// @notice The update is not audited, or not in the round.
    error NotDrawn(uint8 seat);
    /// @notice The update's finding is there.
    error AlreadyFound(uint8 seat);
    /// @notice The drawn auditor did not sign this finding, or it says nothing.
    error WrongSignature(uint8 seat);
    /// @notice The run's sponsor alone takes back what is left for audits.
    error NotSponsor(address sponsor);
    /// @notice The run goes on.
    error NotClosed(address run);

    event Accused(
        uint256 indexed id,
        address indexed run,
        uint32 indexed round,
        uint8 seat,
        address accused,
        address accuser,
        bytes32 classId,
        bytes32 ownRoot
    );
    /// @notice The digests s_0 .. s_H of the accused.
    event TraceShown(uint256 indexed id, address defender, bytes32[] digests);
    /// @notice The first digest on which both differ: 0..H are states, behind them comes the update's root.
    event Diverged(
        uint256 indexed id,
        uint256 index,
        bytes32 before,
        bytes32 accusedDigest,
        bytes32 accuserDigest,
        uint256 drawBlock
    );
    /// @notice The chain forgot the block that was to draw; another will.
    event Redrawn(uint256 indexed id, uint256 drawBlock);
    event JurySeated(uint256 indexed id, uint8 level, address[] jurors, uint8[] tickets, uint256 deadline);
    event VoteSealed(uint256 indexed id, uint8 level, address indexed juror);
    event VotingStarted(uint256 indexed id, uint8 level, uint256 deadline);
    event VoteOpened(uint256 indexed id, uint8 level, address indexed juror, bytes32 digest, uint8 tickets);
    event VotesCounted(uint256 indexed id, uint8 level, TrialState verdict, uint256 appealUntil);
    event Appealed(uint256 indexed id, address appellant, uint256 drawBlock);
    event TrialEnded(uint256 indexed id, TrialState state, address indexed winner);
    event JurorPaid(uint256 indexed id, uint8 level, address indexed juror, uint256 amountWei);
    event JurorFined(uint256 indexed id, uint8 level, address indexed juror);
    event AuditsFunded(address indexed run, address from, uint256 amountWei);
    event AuditsReturned(address indexed run, address sponsor, uint256 amountWei);
    event FindingPosted(
        address indexed run, uint32 indexed round, address indexed auditor, uint8 seat, Finding finding, uint256 paidWei
    );
    event AuditorFined(address indexed run, uint32 indexed round, address indexed auditor, uint8 seat);

    // --- audits
    /// @notice Give money for audits of a run.
    function fundAudits(address run) external payable;
    /// @notice Take back what is left once the run is closed. Its sponsor only.
    function returnAudits(address run) external;
    /// @notice Post what the drawn auditors signed about frozen updates that are not final; each is paid once.
    /// @param header Of block frozenAt + 1, for the beacon.
    /// @param inputs Per segment, the preimage of its inputs hash.
    function postFindings(
        address run,
        uint32 round,
        bytes calldata header,
        bytes[] calldata inputs,
        SignedFinding[] calldata signed
    ) external;
    /// @notice Fine the auditor who had found the same what the jury of this trial convicted. Anyone may.
    function fineAuditor(uint256 id) external;

    // --- a trial
    /// @notice Say that a frozen update was not trained as assigned. The sent ETH is the bond.
    /// @param inputs Preimage of the segment's inputs hash; `place` is the update's in it.
    /// @param ownRoot Root of the trace that the accuser computed.
    function accuse(
        address run,
        uint32 round,
        uint8 segment,
        bytes calldata inputs,
        uint256 place,
        Header calldata header,
        bytes32 ownRoot
    ) external payable returns (uint256 id);
    /// @notice Show the digests s_0 .. s_H of the accused. Anyone may; the sent ETH is the bond.
    function showTrace(uint256 id, bytes32[] calldata digests) external payable;
    /// @notice Show the accuser's digests and update root beside the accused's, to find where they part. Accuser only.
    function answerTrace(
        uint256 id,
        bytes32[] calldata accusedDigests,
        bytes32[] calldata ownDigests,
        bytes32 ownUpdateRoot
    ) external;
    /// @notice Draw the jury from the round's trainers of the class, by weight. Anyone may. Where there are none, or a
    /// second jury is not seated in time, the first verdict stands, if there is one.
    /// @param header Of the trial's drawBlock, for the beacon.
    /// @param headers Of every included update, in the order of `inputs`, segment by segment.
    function seatJury(
        uint256 id,
        bytes calldata header,
        bytes[] calldata inputs,
        Header[] calldata headers
    ) external;
    /// @notice Draw by another block where the chain has forgotten the one that was to draw. Anyone may.
    function redraw(uint256 id) external;
    /// @notice Seal a vote: keccak256(abi.encode(id, level, juror, digest, salt)).
    function sealVote(uint256 id, bytes32 sealed_) external;
    /// @notice Open it: the digest that the juror computed.
    function openVote(uint256 id, bytes32 digest, bytes32 salt) external;
    /// @notice Have another jury of 63 tickets judge. The sent ETH is the bond. Once.
    function appeal(uint256 id) external payable;
    /// @notice Go on with a trial whose clock ran out, or whose object is gone. Anyone may.
    function advance(uint256 id) external;
    /// @notice Credit a juror that voted as the trial ended; in a hung one, that voted. Anyone may.
    function payJuror(uint256 id, uint8 level, address juror) external;
    /// @notice Fine a juror that kept silent or voted otherwise, where a trial ended with a verdict. Anyone may.
    function fineJuror(uint256 id, uint8 level, address juror) external;

    // --- views
    function trials(uint256 id) external view returns (Trial memory);
    function trialCount() external view returns (uint256);
    function tallies(uint256 id, uint8 level) external view returns (Tally memory);
    function jurors(uint256 id, uint8 level, address juror) external view returns (Juror memory);
    function auditPoolWei(address run) external view returns (uint256);
    /// @notice What was found about a seat's update of a round, and by whom.
    function findings(address run, uint32 round, uint8 seat) external view returns (address auditor, Finding finding);
    /// @notice The bonds of accuse, and of an appeal, of a trial that begins at the present base fee.
    function bondsWei() external view returns (uint256 sideWei, uint256 appealWei);
    /// @notice The bonds of showTrace and of an appeal in a trial: those of the base fee that it began at.
    function bondsOf(uint256 id) external view returns (uint256 sideWei, uint256 appealWei);
}
