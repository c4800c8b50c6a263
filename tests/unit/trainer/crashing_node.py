"""A node that kills itself with SIGKILL at a named point: `crashing_node.py POINT RUN FLAG...`."""

import os
import signal
import sys
from pathlib import Path

from network.logs import configure_logs
from network.settings import Settings
from trainer.report import LineReport
from trainer.setup import StartOptions, opened


def main() -> None:
    configure_logs(as_json=True)
    point, run, rpc, ws, keystore, passphrase, data_dir, store = sys.argv[1:]
    settings = Settings(
        rpc=(rpc,),
        ws=(ws,),
        keystore=keystore,
        passphrase_file=Path(passphrase),
        data_dir=Path(data_dir),
        store=(store,),
    )

    def hook(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    options = StartOptions(stake_gwei=10**9, bond=True)
    with (
        opened(settings, run=run) as session,
        session.node(options, LineReport(as_json=True), hook=hook) as node,
    ):
        node.follow()


main()
