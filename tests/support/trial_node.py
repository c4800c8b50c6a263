"""A trainer's node with a learner of hashes: `trial_node.py ROLE POINT RUN FLAG...`.

An `auditor` has no seat; a `juror` audits nothing and a `silent` one judges nothing either. At the
event POINT it kills itself with SIGKILL before anybody hears of it.
"""

import os
import signal
import sys
from pathlib import Path

from network.logs import configure_logs
from network.settings import Settings
from protocol.spec import RunSpec
from support.hash_learner import make_learner
from trainer.auditing import AuditPlan
from trainer.report import LineReport
from trainer.setup import Session, StartOptions, opened
from trainer.training import Learner

STAKE_GWEI = 10**9


class HashSession(Session):
    """An honest node."""

    false_from: int | None = None
    lies_again = False

    def make_learner(self, spec: RunSpec, *, device: str) -> Learner:
        return make_learner(spec.layout, false_from=self.false_from, lies_again=self.lies_again)


class LiarSession(HashSession):
    """Commits to work that it did not do, and knows what is right when it judges others."""

    false_from = 3


class FalseAccuserSession(HashSession):
    """Trains honestly, but its replays are false, and it believes them."""

    def make_replayer(self, *, spec, params, shards, learner):
        false = make_learner(spec.layout, false_from=2, lies_again=True)
        return super().make_replayer(spec=spec, params=params, shards=shards, learner=false)


SESSIONS = {
    "honest": HashSession,
    "juror": HashSession,
    "auditor": HashSession,
    "silent": HashSession,
    "liar": LiarSession,
    "false-accuser": FalseAccuserSession,
}


class Deadly(LineReport):
    """Kills the process at one event."""

    def __init__(self, point: str) -> None:
        super().__init__(as_json=True)
        self._point = point

    def __call__(self, event, **values) -> None:
        if event == self._point:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__call__(event, **values)


def main() -> None:
    configure_logs(as_json=True)
    role, point, run, rpc, ws, keystore, passphrase, data_dir, store = sys.argv[1:]
    settings = Settings(
        rpc=(rpc,),
        ws=(ws,),
        keystore=keystore,
        passphrase_file=Path(passphrase),
        data_dir=Path(data_dir),
        store=(store,),
    )
    options = StartOptions(
        stake_gwei=STAKE_GWEI,
        backup=False,
        selftest="skip",
        jury=role != "silent",
        audit=role not in ("silent", "juror", "liar"),
    )
    import trainer.setup

    # The kind of session is this script's, everything else the command's.
    trainer.setup.Session = SESSIONS[role]
    with opened(settings, run=run) as session:
        if role == "auditor":
            with session.audit(AuditPlan(follow=True, accuse=True), Deadly(point)) as loop:
                sys.exit(0 if loop.run() else 1)
        with session.node(options, Deadly(point)) as node:
            signal.signal(signal.SIGTERM, lambda *_: node.stop())
            node.follow()


if __name__ == "__main__":
    main()
