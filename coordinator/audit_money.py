"""Giving a run's training court what auditors are paid from: docs/protocol.md section 9."""

import structlog

from network.artifacts import abi_of, knows
from network.contract import Contract
from network.ethereum import read_code
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.run import ZERO_ADDRESS, RunContract
from network.transactions import TransactionSender
from protocol.errors import NotAContract
from protocol.types import Address, Wei

_log = structlog.get_logger(__name__)

COURT = "TrainingCourt"


def fund_audits(rpc: Rpc, sender: TransactionSender, run: Address, amount_wei: Wei) -> Wei:
    """Give the court that the run names so much for audits, once; gives what it got.

    Nothing, with a warning, where the run names no court that this version knows: then nobody
    audits. Raises what TransactionSender.send raises.
    """
    if not amount_wei:
        return Wei(0)
    court = RunContract(rpc, run).read("trainingCourt")
    if court == ZERO_ADDRESS or not knows(COURT) or not _has_code(rpc, court):
        _log.warning("no_training_court", run=run, problem="nobody is paid for audits of this run")
        return Wei(0)
    abi = abi_of(COURT)
    contract = Contract(rpc, court, abi, RevertCatalogue(abi, REMEDIES))
    call = contract.prepare("fundAudits", run, value_wei=amount_wei)
    sender.send(f"fund-audits/{run.lower()}/{amount_wei}", call)
    _log.info("audits_funded", run=run, court=court, amount_wei=amount_wei)
    return amount_wei


def _has_code(rpc: Rpc, address: Address) -> bool:
    try:
        read_code(rpc, address)
    except NotAContract:
        return False
    return True
