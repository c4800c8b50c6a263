"""Write tests/vectors/*.json, or with --check tell whether they are up to date.

Deterministic: the inputs come from SHA-256 in counter mode. tests/vectors/README.md has the format.
"""

import argparse
import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from protocol.assignment import derive_seed, fixed_shard, segment_of, shards_of, shuffle
from protocol.audits import (
    auditor_of,
    diverge,
    draw_block,
    draw_jury,
    is_audited,
    jury_randomness,
)
from protocol.cid import CidBuilder
from protocol.codec import chunk_ssq, decode_model, decode_update, encode_update, model_leaves
from protocol.layout import CHUNK
from protocol.merge import MergeParams, merge_chunks
from protocol.merkle import EMPTY, MerkleTree, SumTree
from protocol.messages import (
    TypedData,
    attestation_typed_data,
    commitment_typed_data,
    finding_typed_data,
)
from protocol.rounds import (
    COMMITMENT_BYTES,
    InputEntry,
    UpdateHeader,
    aggregator_rank,
    available_seats,
    bitmap_of,
    commitment_hash,
    header_hash,
    inputs_hash,
    rank_of,
    reward_wei,
    trace_root,
    weights,
)
from protocol.types import Address, Attempt, BlockNumber, Gwei, RoundId, Seat, Wei

VECTORS = Path(__file__).resolve().parents[1] / "tests" / "vectors"
TEST_KEY = "0x" + "01" * 32
CHAIN_ID = 31337
RUN = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def stream(label: str, count: int) -> bytes:
    """Give count bytes that only the label decides."""
    blocks = (sha256(f"{label}/{i}".encode()).digest() for i in range(-(-count // 32)))
    return b"".join(blocks)[:count]


def digest(label: str) -> bytes:
    return sha256(label.encode()).digest()


def address(label: str) -> Address:
    return Address("0x" + digest(label)[:20].hex())


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def integers(label: str, count: int, scale: int) -> list[int]:
    """Give count integers in -scale..scale."""
    raw = np.frombuffer(stream(label, 8 * count), ">u8")
    return [int(value) % (2 * scale + 1) - scale for value in raw]


def assignment_vectors() -> dict[str, Any]:
    seeds = [bytes(32), digest("assignment")]
    return {
        "shuffle": [
            {
                "count": count,
                "seed": hexed(seed),
                "result": [shuffle(index, count, seed) for index in range(count)],
            }
            for seed in seeds
            for count in (1, 2, 3, 10, 257)
        ],
        "shards": [
            {
                "rank": rank,
                "shards_per_trainer": each,
                "shard_count": count,
                "seed": hexed(seed),
                "result": list(
                    shards_of(rank=rank, shards_per_trainer=each, shard_count=count, seed=seed)
                ),
            }
            for seed in seeds
            for rank, each, count in ((0, 1, 1), (0, 3, 8), (2, 3, 8), (5, 2, 4), (255, 4, 1000))
        ],
        "fixed": [
            {
                "seat": seat,
                "shard_count": count,
                "result": fixed_shard(seat=Seat(seat), shard_count=count),
            }
            for seat, count in ((0, 3), (7, 3), (255, 100))
        ],
        "segment": [
            {
                "rank": rank,
                "segment_count": count,
                "seed": hexed(seed),
                "result": segment_of(rank=rank, segment_count=count, seed=seed),
            }
            for seed in seeds
            for rank, count in ((0, 1), (0, 3), (1, 3), (2, 3), (255, 7))
        ],
        "derive": [
            {
                "seed": hexed(seeds[1]),
                "label": label,
                "indices": indices,
                "result": str(derive_seed(seeds[1], label, *indices)),
            }
            for label, indices in (("order", []), ("order", [0]), ("order", [1, 2**63]))
        ],
    }


def codec_vectors() -> dict[str, Any]:
    ties = [0, 1, -1, 2, -2, 3, 5, 6, 7, -5, -6, -7, 9, 10, 11, -253]
    chunks = {
        "zeros": [],
        "127 needs no exponent": [127, -127, 1, -1],
        "128 needs exponent 1 and ties go to even": [128, *ties],
        "254 still fits exponent 1": [254, -254, 3],
        "255 needs exponent 2": [255, -255, 2, 6, -6],
        "largest of exponent 14": [255 * 2**13 - 1, -1],
        "exponent 15": [255 * 2**13, 127 << 15, -(127 << 15), 2**14, 3 * 2**14],
        "saturates": [2**31, -(2**31), 2**40, -(2**62), 128 << 15, 1],
        "small steps": integers("codec/small", CHUNK, 300),
        "usual steps": integers("codec/usual", CHUNK, 9000),
    }
    encode = []
    for name, values in chunks.items():
        delta = np.array(values + [0] * (CHUNK - len(values)), np.int64)
        update = encode_update(delta)
        q, e = decode_update(update, 1)
        encode.append(
            {
                "name": name,
                "delta": [str(value) for value in delta.tolist()],
                "e": int(e[0]),
                "q": q[0].tolist(),
                "ssq": str(int(chunk_ssq(q, e)[0])),
                "update": hexed(update),
            }
        )
    decode = []
    for name, update in {
        "every byte value": b"\x07" + bytes(range(256)),
        "high nibble of e is ignored": b"\xf3" + stream("codec/nibble", CHUNK),
        "all -128 at the largest exponent": b"\xff" + bytes(CHUNK),
    }.items():
        q, e = decode_update(update, 1)
        ssq = str(int(chunk_ssq(q, e)[0]))
        decode.append(
            {
                "name": name,
                "update": hexed(update),
                "e": int(e[0]),
                "q": q[0].tolist(),
                "ssq": ssq,
            }
        )
    theta = np.array([INT32_MIN, INT32_MAX, -1, 0, 1, *range(CHUNK - 5)], np.int32)
    m = theta[::-1].copy()
    model = [
        {"theta": theta.tolist(), "m": None, "leaf": hexed(model_leaves(theta))},
        {"theta": theta.tolist(), "m": m.tolist(), "leaf": hexed(model_leaves(theta, m))},
    ]
    return {"encode": encode, "decode": decode, "model": model}


def merkle_vectors() -> dict[str, Any]:
    trees, sums = [], []
    for count in (1, 2, 3, 5, 8):
        leaves = [stream(f"merkle/{count}/{i}", 8) for i in range(count)]
        tree = MerkleTree.from_leaves(b"".join(leaves), 8)
        trees.append(
            {
                "leaves": [hexed(leaf) for leaf in leaves],
                "root": hexed(tree.root),
                "proofs": [[hexed(node) for node in tree.proof(i)] for i in range(count)],
            }
        )
    for count in (1, 2, 3, 5):
        leaves = [stream(f"sum/{count}/{i}", 257) for i in range(count)]
        summed = SumTree.from_leaves(b"".join(leaves))
        sums.append(
            {
                "leaves": [hexed(leaf) for leaf in leaves],
                "root": hexed(summed.root),
                "ssq": str(summed.ssq),
                "proofs": [
                    [[hexed(node), str(ssq)] for node, ssq in summed.proof(i)] for i in range(count)
                ],
            }
        )
    return {"empty": hexed(EMPTY), "trees": trees, "sum_trees": sums}


def merge_case(
    name: str,
    params: MergeParams,
    *,
    weight: list[int],
    scale: int = 2**24,
    theta: list[int] | None = None,
    m: list[int] | None = None,
    leaves: list[bytes] | None = None,
) -> dict[str, Any]:
    old_theta = np.array(theta or integers(f"{name}/theta", CHUNK, scale), np.int32)
    old_m = np.array(m or integers(f"{name}/m", CHUNK, scale // 16), np.int32)
    old = model_leaves(old_theta, old_m if params.momentum else None)
    if leaves is None:
        leaves = [stream(f"{name}/update/{k}", 257) for k in range(len(weight))]
    theta_2d, m_2d = decode_model(old, 1, momentum=params.momentum)
    updates = [decode_update(leaf, 1) for leaf in leaves]
    new = merge_chunks(theta_2d, m_2d, updates, weight, params)
    return {
        "name": name,
        "lr": params.lr,
        "mu": params.mu,
        "nesterov": params.nesterov,
        "momentum": params.momentum,
        "weights": weight,
        "updates": [hexed(leaf) for leaf in leaves],
        "old_leaf": hexed(old),
        "new_leaf": hexed(model_leaves(*new)),
    }


def merge_vectors() -> dict[str, Any]:
    plain = MergeParams()
    momentum = MergeParams(lr=179, mu=128, momentum=True)
    nesterov = MergeParams(lr=179, mu=128, momentum=True, nesterov=True)
    fastest = MergeParams(lr=1024, mu=255, momentum=True, nesterov=True)
    modes = {"plain": plain, "momentum": momentum, "nesterov": nesterov}
    shares = {1: [65536], 2: [40000, 25535], 5: [1, 65000, 0, 300, 235]}
    cases = [
        merge_case(f"{mode}, K = {count}", params, weight=weight)
        for mode, params in modes.items()
        for count, weight in shares.items()
    ]
    lowest, highest = b"\xff" + bytes(CHUNK), b"\x0f" + b"\xff" * CHUNK
    top, bottom = [INT32_MAX] * CHUNK, [INT32_MIN] * CHUNK
    halves = b"\x00" + bytes(128 + value % 5 - 2 for value in range(CHUNK))
    cases += [
        merge_case("no update leaves plain as it is", plain, weight=[]),
        merge_case("no update leaves momentum as it is", nesterov, weight=[]),
        merge_case("theta saturates high", plain, weight=[65536], theta=top, leaves=[highest]),
        merge_case("theta saturates low", plain, weight=[65536], theta=bottom, leaves=[lowest]),
        merge_case(
            "both saturate high", fastest, weight=[65536], theta=top, m=top, leaves=[highest]
        ),
        merge_case(
            "both saturate low", fastest, weight=[65536], theta=bottom, m=bottom, leaves=[lowest]
        ),
        merge_case("fastest on any int32", fastest, weight=[32768, 32768], scale=INT32_MAX),
        merge_case("halves round up", plain, weight=[32768], leaves=[halves]),
        merge_case("the smallest lr", MergeParams(lr=1), weight=[65536]),
    ]
    return {"cases": cases}


def cid_vectors() -> dict[str, Any]:
    mebibyte = 1 << 20
    cases = []
    for unit, count in (
        (b"", 0),
        (b"\x00", 1),
        (b"hello world", 1),
        (b"\x00", mebibyte),
        (b"\x00", mebibyte + 1),
        (b"commonweight", mebibyte // 4),
    ):
        blocks: list[bytes] = []
        builder = CidBuilder(lambda _, block, kept=blocks: kept.append(block))  # type: ignore[misc]
        builder.update(unit * count)
        cid = builder.finish()
        node = blocks[-1] if len(blocks) > 1 else None
        cases.append(
            {
                "unit": hexed(unit),
                "count": count,
                "size": cid.size,
                "digest": hexed(cid.digest),
                "cid": cid.text,
                "root_node": None if node is None else hexed(node),
            }
        )
    # Expected values of Kubo's own tests (test/cli/cid_profiles_test.go).
    kubo = [
        {"mebibytes": 1024, "cid": "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm"},
        {"mebibytes": 1025, "cid": "bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue"},
    ]
    return {"cases": cases, "kubo": {"seed": "v1-2025-seed", "cases": kubo}}


def message_vectors() -> dict[str, Any]:
    typed = [
        commitment_typed_data(
            chain_id=CHAIN_ID,
            run=RUN,
            round_id=RoundId(7),
            attempt=Attempt(9),
            parent_root=digest("parent"),
            commitment=digest("commitment"),
        ),
        attestation_typed_data(
            chain_id=CHAIN_ID, run=RUN, round_id=RoundId(7), attempt=Attempt(9), available=0
        ),
        attestation_typed_data(
            chain_id=CHAIN_ID,
            run=RUN,
            round_id=RoundId(2**32 - 1),
            attempt=Attempt(1),
            available=2**255 + 2**200 + 5,
        ),
    ]
    return {
        "private_key": TEST_KEY,
        "address": Account.from_key(TEST_KEY).address,
        "cases": [signed_case(data) for data in typed],
    }


def signed_case(data: TypedData) -> dict[str, Any]:
    signable = encode_typed_data(full_message=data)
    signed = Account.from_key(TEST_KEY).sign_message(signable)
    return {
        # An uint256 is too wide for most JSON readers.
        "typed_data": data | {"message": {k: str(v) for k, v in data["message"].items()}},
        "domain_separator": hexed(signable.header),
        "struct_hash": hexed(signable.body),
        "digest": hexed(keccak(b"\x19\x01" + signable.header + signable.body)),
        "r": hexed(signed.r.to_bytes(32, "big")),
        "vs": hexed((signed.s | (signed.v - 27) << 255).to_bytes(32, "big")),
    }


def round_vectors() -> dict[str, Any]:
    headers = [
        UpdateHeader(
            update_root=digest(f"root/{i}"),
            ssq=ssq,
            trace_root=digest(f"trace/{i}"),
            class_id=digest(f"class/{i}"),
            update_cid=digest(f"cid/{i}"),
            update_size=size,
        )
        for i, (ssq, size) in enumerate([(0, 257), (2**96 - 1, 2**64 - 1), (123456789, 2570000)])
    ]
    commitments = []
    for i, header in enumerate(headers):
        digest_32 = commitment_hash(
            header=header,
            chain_id=CHAIN_ID,
            run=RUN,
            round_id=RoundId(i + 1),
            attempt=Attempt(2**32 - 1 - i),
            trainer=address(f"trainer/{i}"),
            salt=digest(f"salt/{i}"),
        )
        commitments.append(
            {
                "header": header_json(header),
                "header_hash": hexed(header_hash(header)),
                "chain_id": CHAIN_ID,
                "run": RUN,
                "round": i + 1,
                "attempt": 2**32 - 1 - i,
                "trainer": address(f"trainer/{i}"),
                "salt": hexed(digest(f"salt/{i}")),
                "commitment": hexed(digest_32),
                "kept": hexed(digest_32[:COMMITMENT_BYTES]),
                "reveal_digest": hexed(reveal_digest(header)),
            }
        )
    entries = [
        InputEntry(
            trainer=address(f"trainer/{i}"),
            seat=Seat(seat),
            weight=weight,
            update_root=headers[i].update_root,
            header_hash=header_hash(headers[i]),
        )
        for i, (seat, weight) in enumerate([(0, 65536), (17, 1), (255, 0)])
    ]
    inputs = [
        {
            "entries": [entry_json(entry) for entry in entries[:count]],
            "inputs_hash": hexed(inputs_hash(entries[:count])),
        }
        for count in (0, 1, 3)
    ]
    return {"commitments": commitments, "inputs": inputs, **sum_vectors()}


def reveal_digest(header: UpdateHeader) -> bytes:
    """Give what a run keeps of a revealed update."""
    return sha256(header.update_root + header_hash(header)).digest()[:COMMITMENT_BYTES]


def header_json(header: UpdateHeader) -> dict[str, str]:
    return {
        "update_root": hexed(header.update_root),
        "ssq": str(header.ssq),
        "trace_root": hexed(header.trace_root),
        "class_id": hexed(header.class_id),
        "update_cid": hexed(header.update_cid),
        "update_size": str(header.update_size),
    }


def sum_vectors() -> dict[str, Any]:
    stakes = [
        ([32_000_000_000], 10**10),
        ([1, 1, 1], 10),
        ([5, 10, 20, 2**64 - 1], 12),
        ([3_000_000_000, 1, 7_123_456_789], 2**64 - 1),
    ]
    votes = {0: 0b0111, 1: 0b0011, 2: 0b0001 | 1 << 255}
    seat_stakes = {0: 1, 1: 1, 2: 1, 3: 0}
    seats = available_seats(
        attestations={Seat(s): bits for s, bits in votes.items()},
        stakes_gwei={Seat(s): Gwei(stake) for s, stake in seat_stakes.items()},
        total_gwei=Gwei(3),
    )
    roster = bitmap_of([Seat(s) for s in (0, 3, 4, 200, 255)])
    seed = digest("aggregator")
    return {
        "weights": [
            {
                "stakes_gwei": [str(stake) for stake in row],
                "cap": str(cap),
                "result": list(weights([Gwei(stake) for stake in row], Gwei(cap))),
            }
            for row, cap in stakes
        ],
        "rewards": [
            {
                "reward_per_round_wei": str(reward),
                "weight": weight,
                "segments": segments,
                "result": str(
                    reward_wei(
                        reward_per_round_wei=Wei(reward), weight=weight, segment_count=segments
                    )
                ),
            }
            for reward, weight, segments in ((10**18, 65536, 1), (10**18, 21845, 3), (7, 65535, 1))
        ],
        "aggregator_ranks": [
            {
                "index": index,
                "count": 3,
                "seed": hexed(seed),
                "result": aggregator_rank(index=index, count=3, seed=seed),
            }
            for index in range(3)
        ],
        "available": {
            "attestations": {str(s): str(bits) for s, bits in votes.items()},
            "stakes_gwei": {str(s): str(stake) for s, stake in seat_stakes.items()},
            "total_gwei": "3",
            "result": list(seats),
        },
        "ranks": {
            "roster": str(roster),
            "result": {str(s): rank_of(Seat(s), roster) for s in (0, 3, 4, 200, 255)},
        },
    }


def audit_vectors() -> dict[str, Any]:
    randomness = digest("audits")
    roll = [
        InputEntry(
            trainer=address(f"trainer/{i}"),
            seat=Seat(seat),
            weight=weight,
            update_root=digest(f"root/{i}"),
            header_hash=digest(f"header/{i}"),
        )
        for i, (seat, weight) in enumerate([(0, 20000), (3, 1), (4, 0), (9, 45535), (255, 65536)])
    ]
    seats = [entry.seat for entry in roll]
    juries = []
    for level, members in ((0, roll), (1, roll), (0, roll[3:4]), (1, roll[2:3])):
        own = jury_randomness(draw=randomness, trial=2**200 + level, level=level)
        seated = draw_jury(randomness=own, members=members, level=level)
        juries.append(
            {
                "trial": str(2**200 + level),
                "level": level,
                "randomness": hexed(own),
                "members": [entry.seat for entry in members],
                "result": [[juror.entry.seat, juror.tickets] for juror in seated],
            }
        )
    return {
        "randomness": hexed(randomness),
        "roll": [entry_json(entry) for entry in roll],
        "audited": [
            {
                "audit_bps": bps,
                "result": [
                    seat
                    for seat in range(256)
                    if is_audited(randomness=randomness, seat=Seat(seat), audit_bps=bps)
                ],
            }
            for bps in (0, 1000, 5000, 10_000)
        ],
        "auditors": [
            {
                "seat": seat,
                "result": None if auditor is None else auditor.seat,
                "others": [s for s in others if s != seat],
            }
            for others in (seats, seats[2:3], seats[2:4])
            for seat in others
            for auditor in [
                auditor_of(
                    randomness=randomness,
                    roll=[entry for entry in roll if entry.seat in others],
                    seat=seat,
                )
            ]
        ],
        "juries": juries,
        "draw_blocks": [
            {
                "frozen_at": frozen_at,
                "newest": newest,
                "result": draw_block(frozen_at=frozen_at, newest=BlockNumber(newest)),
            }
            for frozen_at, newest in ((5, 5), (5, 70), (65535, 65536), (0, 65536), (7, 2**24 + 6))
        ],
        **trace_vectors(),
        "findings": [
            signed_case(
                finding_typed_data(
                    chain_id=CHAIN_ID,
                    court=RUN,
                    run=address("run"),
                    round_id=RoundId(2**32 - 1),
                    seat=Seat(255),
                    update_root=digest("root"),
                    finding=finding,
                )
            )
            for finding in (1, 3)
        ],
    }


def trace_vectors() -> dict[str, Any]:
    states = [digest(f"state/{i}") for i in range(65)]
    others = [digest(f"other/{i}") for i in range(65)]
    update, other = digest("update"), digest("other update")
    pairs = [
        (states[:1], update, others[:1], other),
        (states[:1], update, states[:1], other),
        (states, update, states[:37] + others[37:], other),
        (states, update, states, other),
        (states[:4], update, states[:3], states[3]),
        (states[:2], update, [*states[:2], update], other),
        (states[:2], update, states[:2], update),
    ]
    found = []
    for accused, accused_update, accuser, accuser_update in pairs:
        result = diverge(
            accused=accused,
            accused_update=accused_update,
            accuser=accuser,
            accuser_update=accuser_update,
        )
        found.append(
            {
                "accused": [hexed(value) for value in accused],
                "accused_update": hexed(accused_update),
                "accused_root": hexed(trace_root(accused, accused_update)),
                "accuser": [hexed(value) for value in accuser],
                "accuser_update": hexed(accuser_update),
                "accuser_root": hexed(trace_root(accuser, accuser_update)),
                "result": None
                if result is None
                else {
                    "index": result.index,
                    "before": hexed(result.before),
                    "accused": hexed(result.accused),
                    "accuser": hexed(result.accuser),
                },
            }
        )
    return {"traces": found}


def entry_json(entry: InputEntry) -> dict[str, Any]:
    return {
        "trainer": entry.trainer,
        "seat": entry.seat,
        "weight": entry.weight,
        "update_root": hexed(entry.update_root),
        "header_hash": hexed(entry.header_hash),
    }


MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "assignment": assignment_vectors,
    "audits": audit_vectors,
    "codec": codec_vectors,
    "merkle": merkle_vectors,
    "merge": merge_vectors,
    "cid": cid_vectors,
    "messages": message_vectors,
    "rounds": round_vectors,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if out of date")
    check = parser.parse_args().check
    stale = []
    for name, make in MAKERS.items():
        path = VECTORS / f"{name}.json"
        text = json.dumps(make(), indent=1, sort_keys=True) + "\n"
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        if not check:
            path.write_text(text)
            print(f"{path.name}: {len(text)} bytes")
    if stale:
        print(f"out of date: {', '.join(stale)}; run scripts/make_vectors.py", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
