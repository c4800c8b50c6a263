"""Roles before a fake court: replays that are hashes, journals on a real disk."""

from types import SimpleNamespace

from unit.network.trials.makers import (
    CLASS,
    RUN,
    TRAINERS,
    Beacon,
    Court,
    Round,
    Watched,
    header,
    honest,
)

from network.keys import CompactSignature
from network.trials.draws import Draws
from protocol.distance import Likeness
from protocol.errors import InvalidRound
from trainer.auditor import Auditor
from trainer.casebook import Casebook
from trainer.comparing import Redone
from trainer.duties import Identity
from trainer.journal import RoundJournal
from trainer.juror import JurorRole
from trainer.party import Party
from trainer.replaying import Replay
from trainer.replays import Replays
from trainer.workshop import Workshop


class Replayer:
    """Knows what every seat's honest work gives; `works` says otherwise, `fails` raises."""

    def __init__(self, class_id=CLASS) -> None:
        self.class_id = class_id
        self.works = {}
        self.fails = []
        self.calls = []

    def work(self, seat):
        return self.works.get(seat) or honest(seat)

    def replay(self, *, model, found, seat, revealed):
        self.calls.append(("replay", seat))
        if self.fails:
            raise self.fails.pop()
        states, root = self.work(seat)
        own = header(seat, work=(states, root), class_id=self.class_id)
        theirs = revealed.header
        return Replay(
            same=(own.update_root, own.trace_root) == (theirs.update_root, theirs.trace_root),
            same_class=theirs.class_id == self.class_id,
            header=own,
            trace_digests=states,
            update_bytes=b"",
            update_root=root,
            trace_root=own.trace_root,
            train_s=0.0,
        )

    def step(self, *, model, found, seat, index, state):
        self.calls.append(("step", seat, index))
        if self.fails:
            raise self.fails.pop()
        states, root = self.work(seat)
        if index > len(states):
            raise InvalidRound(field="trace index", reason="there is none")
        return (*states, root)[index]


class Signer:
    """Signs by what is signed."""

    def __init__(self) -> None:
        self.signed = []

    def sign_typed_data(self, data):
        self.signed.append(data["message"])
        return CompactSignature(r=bytes(32), vs=bytes(32))


class Courthouse(Watched):
    """One account with journals in a folder; `restart` forgets all but them."""

    def __init__(self, folder, made=None, court=None, *, me=TRAINERS[0], rank=0) -> None:
        super().__init__(made or Round().propose(), court or Court(), me=me, rank=rank)
        self.folder, self.me = folder, me
        self.replayer, self.signer = Replayer(), Signer()
        self.beacon, self.likeness = Beacon(), Likeness.APART
        self.workshop = Workshop()
        self.casebook = Casebook(folder / "casebook.jsonl")
        self.journal = RoundJournal(folder / "journal.jsonl")
        self.replays = Replays(
            desk=self.bench.desk,
            workshop=self.workshop,
            replayer=self.replayer,
            models=SimpleNamespace(read=lambda root, model: b"model"),
            comparer=SimpleNamespace(compare=self.compare),
        )

    def compare(self, replay, found, revealed):
        """Likeness is what the test says."""
        likeness = None if replay.same_class else self.likeness
        return Redone(replay=replay, likeness=likeness)

    def audits(self, kind=Auditor, **more):
        auditor = kind(
            bench=self.bench,
            identity=Identity(chain_id=1, run=RUN, trainer=self.me),
            signer=self.signer,
            casebook=self.casebook,
            replays=self.replays,
            draws=Draws(self.beacon),
            beacon=self.beacon,
            **more,
        )
        self.roles.append(auditor)
        return auditor

    def is_party(self):
        self.roles.append(
            Party(
                bench=self.bench,
                journal=self.journal,
                casebook=self.casebook,
                replays=self.replays,
            )
        )
        return self.roles[-1]

    def judges(self, kind=JurorRole):
        self.roles.append(kind(bench=self.bench, casebook=self.casebook, replays=self.replays))
        return self.roles[-1]

    def restart(self) -> "Courthouse":
        """The same account after a kill: its disk, and the chain."""
        self.close()
        return Courthouse(self.folder, self.made, self.court, me=self.me)

    def close(self) -> None:
        super().close()
        self.workshop.shutdown(wait=False, cancel_futures=True)
        self.casebook.close()
        self.journal.close()

    def sent(self, act):
        return [one for one in self.clerk.sent if one[0] == act]
