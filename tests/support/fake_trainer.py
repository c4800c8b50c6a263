"""A trainer that does all but train: it commits to, reveals and attests random small updates."""

import threading
from hashlib import sha256

import numpy as np

from network.content import check_update
from network.heads import HeadWatcher
from network.history import RunHistory
from network.keys import Signer
from network.relay import RelayClient, RevealMessage, SignedAttestation, SignedCommitment
from network.rpc import Rpc
from network.run import RunContract
from network.store import ContentStore
from protocol.errors import CommonweightError
from protocol.layout import Layout
from protocol.merkle import SumTreeBuilder
from protocol.messages import attestation_typed_data, commitment_typed_data
from protocol.rounds import Opinion, Phase, UpdateHeader, bitmap_of, commitment_hash, seats_in


class FakeTrainer(threading.Thread):
    """Follows one run over a relay until it is stopped; without `attests` it says no word of it.

    Without `exchanges` it looks at no header before it is on chain. It calls `harmful` seats so.
    """

    def __init__(
        self,
        rpc_url: str,
        websocket_url: str,
        run_address: str,
        signer: Signer,
        store: ContentStore,
        layout: Layout,
        relay_url: str,
        *,
        chain_id: int = 31337,
        attests: bool = True,
        exchanges: bool = True,
        harmful: int = 0,
    ) -> None:
        super().__init__(daemon=True)
        self.rpc = Rpc([rpc_url], chain_id=chain_id)
        self.run_contract = RunContract(self.rpc, run_address)
        self.history = RunHistory(self.rpc, self.run_contract)
        self.heads = HeadWatcher(self.rpc, websocket_urls=[websocket_url], poll_s=0.2)
        self.signer, self.store, self.layout = signer, store, layout
        self.relay_url = relay_url
        self.attests, self.exchanges, self.harmful = attests, exchanges, harmful
        self.stopping = threading.Event()
        self.sent: set[tuple[int, Phase | str, int]] = set()
        self.refusals: list[str] = []
        self.generation = 0

    def stop(self) -> None:
        self.stopping.set()
        self.heads.close()
        self.join(10)

    def forget(self) -> None:
        """Send everything again: the relay was restarted."""
        self.generation += 1
        self.heads.nudge()

    def run(self) -> None:
        with self.heads:
            while not self.stopping.is_set():
                self.heads.wait_for(self._look, timeout_s=0.3)

    def _look(self) -> None:
        try:
            self._act()
        except CommonweightError as error:
            self.refusals.append(str(error))

    def _act(self) -> None:
        current = self.run_contract.current()
        fold = self.history.update()
        found = fold.rounds.get(current.round_id)
        seat = self.run_contract.seat_of(self.signer.address)
        if found is None or seat is None or seat not in seats_in(found.roster):
            return
        if found.attempt != current.attempt:
            return
        mark = (found.attempt, current.phase, self.generation)
        head = {
            "run": self.run_contract.address,
            "round_id": found.round_id,
            "attempt": found.attempt,
            "seat": seat,
        }
        domain = {
            "chain_id": self.rpc.chain_id,
            "run": self.run_contract.address,
            "round_id": found.round_id,
            "attempt": found.attempt,
        }
        with RelayClient(self.relay_url, timeout_s=5) as relay:
            if current.phase is Phase.REVEAL and mark in self.sent:
                self._attest_early(relay, found, fold, head, domain)
            if mark in self.sent:
                return
            if current.phase is Phase.COMMIT:
                header = self.make_update(found, fold, seat)
                commitment = commitment_hash(
                    header=header, trainer=self.signer.address, salt=self.salt(found), **domain
                )
                data = commitment_typed_data(
                    parent_root=found.parent_root, commitment=commitment, **domain
                )
                relay.send_commitment(
                    SignedCommitment(
                        **head,
                        parent_root=found.parent_root,
                        commitment=commitment,
                        signature=self.signer.sign_typed_data(data),
                    )
                )
            elif current.phase is Phase.REVEAL and seat in found.commitments:
                header = self.make_update(found, fold, seat)
                relay.send_reveal(RevealMessage(**head, header=header, salt=self.salt(found)))
            elif current.phase is Phase.AUDIT and self.attests:
                if len(found.reveals) != current.reveals:
                    return
                self._attest(relay, self.good(found, fold, headers_of(found)), head, domain)
            self.sent.add(mark)

    def _attest_early(self, relay, found, fold, head, domain):
        """Attest what the relay shows, once that is everything."""
        mark = (found.attempt, "early", self.generation)
        if not (self.attests and self.exchanges) or mark in self.sent:
            return
        held = relay.fetch_reveals(found.round_id, found.attempt, 0.3)
        headers = {message.seat: message.header for message in held} | headers_of(found)
        if headers.keys() == found.commitments.keys():
            self._attest(relay, self.good(found, fold, headers), head, domain)
            self.sent.add(mark)

    def _attest(self, relay, good, head, domain):
        available = bitmap_of(good)
        opinion = Opinion(available=available, harmful=available & self.harmful)
        data = attestation_typed_data(opinion=opinion, **domain)
        signature = self.signer.sign_typed_data(data)
        relay.send_attestation(SignedAttestation(**head, opinion=opinion, signature=signature))

    def good(self, found, fold, headers):
        for seat, header in headers.items():
            chunks = len(self.layout.segment_chunks(fold.segment_at(found, seat)))
            try:
                check_update(self.store, header, chunks=chunks)
            except CommonweightError:
                continue
            yield seat

    def salt(self, found) -> bytes:
        return sha256(f"{self.signer.address} {found.attempt}".encode()).digest()

    def make_update(self, found, fold, seat) -> UpdateHeader:
        chunks = len(self.layout.segment_chunks(fold.segment_at(found, seat)))
        random = np.random.default_rng([found.attempt, seat])
        leaves = np.full((chunks, 257), 8, np.uint8)
        leaves[:, 1:] = 128 + random.integers(-3, 4, (chunks, 256))
        data = leaves.tobytes()
        builder = SumTreeBuilder()
        builder.update(data)
        tree = builder.finish()
        cid = self.store.put(data)
        return UpdateHeader(
            update_root=tree.root,
            ssq=tree.ssq,
            trace_root=bytes(32),
            class_id=bytes(32),
            update_cid=cid.digest,
            update_size=cid.size,
        )


def headers_of(found) -> dict[int, UpdateHeader]:
    return {seat: revealed.header for seat, revealed in found.reveals.items()}
