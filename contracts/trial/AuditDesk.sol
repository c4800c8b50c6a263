// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {Finding, ITrainingCourt, SignedFinding, Trial, TrialState} from "../interfaces/ITrainingCourt.sol";
import {AuditDraw} from "../libraries/AuditDraw.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Round, RoundStatus, RunParams} from "../types/Types.sol";
import {JurorPay} from "./JurorPay.sol";

/// @title Whom a round's randomness draws to audit, what they found, and what they are paid.
abstract contract AuditDesk is JurorPay {
    /// @dev What was found about an update, and the identity of the update.
    struct Found {
        address auditor;
        uint8 auditorSeat;
        Finding finding;
        bool fined;
        bytes32 about;
    }

    /// @dev What all findings of a batch share.
    struct Batch {
        address run;
        uint32 round;
        uint16 auditBps;
        uint96 rewardWei;
        bytes32 seed;
        bytes32 randomness;
        Inputs.Entry[] roll;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @inheritdoc ITrainingCourt
    mapping(address run => uint256 amountWei) public auditPoolWei;
    mapping(address run => mapping(uint32 round => mapping(uint8 seat => Found found))) private _found;

    /// @inheritdoc ITrainingCourt
    function findings(address run, uint32 round, uint8 seat) external view returns (address auditor, Finding finding) {
        Found storage found = _found[run][round][seat];
        return (found.auditor, found.finding);
    }

    /// @inheritdoc ITrainingCourt
    function fundAudits(address run) external payable nonReentrant {
        auditPoolWei[run] += msg.value;
        emit AuditsFunded(run, msg.sender, msg.value);
    }

    /// @inheritdoc ITrainingCourt
    function returnAudits(address run) external nonReentrant {
        // Check
        address sponsor = IJudgedRun(run).sponsor();
        if (msg.sender != sponsor) revert NotSponsor(sponsor);
        if (!IJudgedRun(run).totals().closed) revert NotClosed(run);
        uint256 amountWei = auditPoolWei[run];
        // slither-disable-next-line incorrect-equality: nothing to return, not a balance
        if (amountWei == 0) revert NothingToClaim();
        // Effect
        auditPoolWei[run] = 0;
        creditOf[sponsor] += amountWei;
        emit AuditsReturned(run, sponsor, amountWei);
    }

    /// @inheritdoc ITrainingCourt
    function postFindings(
        address run,
        uint32 round,
        bytes calldata header,
        bytes[] calldata inputs,
        SignedFinding[] calldata signed
    ) external nonReentrant {
        // Check
        Batch memory b = _batch(run, round, header, inputs);
        for (uint256 i = 0; i < signed.length; ++i) {
            _post(b, signed[i]);
        }
    }

    /// @inheritdoc ITrainingCourt
    function fineAuditor(uint256 id) external nonReentrant {
        // Check: the clock, too, convicts; only a jury says that the finding was false
        Trial storage t = _decided(id);
        Found storage found = _found[t.run][t.round][t.seat];
        bool judged = t.state == TrialState.Convicted && _tallies[id][0].seated != 0;
        // slither-disable-next-line incorrect-equality: hashes
        bool wrong = found.finding == Finding.Same && found.about == _identity(t.seed, t.updateRoot);
        if (!judged || !wrong || found.fined) revert NothingToFine();
        // Effect
        found.fined = true;
        emit AuditorFined(t.run, t.round, found.auditor, t.seat);
        // Interaction
        IJudgedRun(t.run).fine(found.auditorSeat, found.auditor);
    }

    /// @dev Check and record one finding, and pay for it.
    function _post(Batch memory b, SignedFinding calldata f) private {
        // Check
        uint256 place = _placeOf(b.roll, f.seat);
        if (!AuditDraw.isAudited(b.randomness, f.seat, b.auditBps)) revert NotDrawn(f.seat);
        (bool drawn, uint256 auditorPlace) = AuditDraw.auditorOf(b.randomness, b.roll, place);
        if (!drawn) revert NotDrawn(f.seat);
        Inputs.Entry memory auditor = b.roll[auditorPlace];
        bytes32 updateRoot = b.roll[place].updateRoot;
        if (!_isSigned(b, f, updateRoot, auditor.trainer)) revert WrongSignature(f.seat);
        bytes32 about = _identity(b.seed, updateRoot);
        Found storage found = _found[b.run][b.round][f.seat];
        // slither-disable-next-line incorrect-equality: hashes
        if (found.about == about) revert AlreadyFound(f.seat);
        // Effect
        (found.auditor, found.auditorSeat, found.finding) = (auditor.trainer, auditor.seat, f.finding);
        (found.fined, found.about) = (false, about);
        uint256 poolWei = auditPoolWei[b.run];
        uint256 paidWei = b.rewardWei < poolWei ? b.rewardWei : poolWei;
        auditPoolWei[b.run] = poolWei - paidWei;
        creditOf[auditor.trainer] += paidWei;
        emit FindingPosted(b.run, b.round, auditor.trainer, f.seat, f.finding, paidWei);
    }

    function _batch(address run, uint32 round, bytes calldata header, bytes[] calldata inputs)
        private
        view
        returns (Batch memory b)
    {
        Round memory record = IJudgedRun(run).getRound(round);
        bool pending = record.status == RoundStatus.Open || record.status == RoundStatus.Proposed;
        b.seed = IJudgedRun(run).frozenSeed(round);
        if (b.seed == 0 || !pending) revert NotFrozen(run, round);
        RunParams memory p = IJudgedRun(run).params();
        (b.run, b.round, b.auditBps, b.rewardWei) = (run, round, p.auditBps, p.auditRewardWei);
        b.roll = _rollOf(run, round, inputs);
        uint256 drawBlock = AuditDraw.blockOf(record.frozenAt, block.number) + 1;
        b.randomness = IBeacon(p.beacon).draw(run, round, drawBlock, header);
    }

    function _isSigned(Batch memory b, SignedFinding calldata f, bytes32 updateRoot, address auditor)
        private
        view
        returns (bool)
    {
        if (f.finding == Finding.None) return false;
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Commonweight"), keccak256("1"), block.chainid, address(this))
        );
        bytes32 message =
            keccak256(abi.encode(AuditDraw.FINDING_TYPEHASH, b.run, b.round, f.seat, updateRoot, f.finding));
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, message);
        // slither-disable-next-line unused-return: without a signer, why does not matter
        (address signer,,) = ECDSA.tryRecover(digest, f.r, f.vs);
        return signer != address(0) && signer == auditor;
    }

    function _placeOf(Inputs.Entry[] memory roll, uint8 seat) private pure returns (uint256) {
        for (uint256 place = 0; place < roll.length; ++place) {
            // slither-disable-next-line incorrect-equality: seats are numbers
            if (roll[place].seat == seat) return place;
        }
        revert NotDrawn(seat);
    }

    /// @dev Tells an update from one of a later attempt at the round.
    function _identity(bytes32 seed, bytes32 updateRoot) private pure returns (bytes32) {
        return keccak256(abi.encode(seed, updateRoot));
    }
}
