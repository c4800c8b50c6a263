import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from protocol import cid as cid_module
from protocol.cid import (
    CHUNK_BYTES,
    Cid,
    CidBuilder,
    Codec,
    Link,
    cid_of,
    cid_text,
    encode_node,
    links,
    read_dag,
    verify_block,
)
from protocol.errors import CidMismatch, InvalidBlock, InvalidCid


def store_of(data):
    """Give an object's CID and its blocks by digest."""
    blocks = {}
    builder = CidBuilder(blocks.__setitem__)
    builder.update(data)
    return builder.finish(), blocks


def read(root, blocks):
    return b"".join(read_dag(root, lambda digest, _: blocks[digest]))


def hostile(link_list, size, blocks):
    """Give the root and blocks of a node with any links."""
    block = encode_node(link_list)
    digest = sha256(block).digest()
    return Cid(digest=digest, size=size), blocks | {digest: block}


def raw_link(data, **changes):
    fields = {"digest": sha256(data).digest(), "codec": Codec.RAW, "file_size": len(data)}
    return Link(**(fields | {"tsize": len(data)} | changes))


@pytest.fixture
def small_chunks(monkeypatch):
    """Let a few bytes make a deep DAG."""
    monkeypatch.setattr(cid_module, "CHUNK_BYTES", 4)
    monkeypatch.setattr(cid_module, "MAX_LINKS", 3)


def test_it_gives_the_vectors(vectors, unhex):
    for case in vectors["cid"]["cases"]:
        data = unhex(case["unit"]) * case["count"]
        cid, blocks = store_of(data)
        assert (cid.text, cid.digest, cid.size) == (case["cid"], unhex(case["digest"]), len(data))
        assert Cid.parse(case["cid"], case["size"]) == cid
        assert read(cid, blocks) == data
        if case["root_node"]:
            assert blocks[cid.digest] == unhex(case["root_node"])


def test_hello_world_is_what_every_ipfs_tool_says():
    expected = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    assert cid_of(b"hello world").text == expected


@pytest.mark.parametrize("which", [0, 1])
def test_kubo_gives_the_same_cid_at_and_above_the_link_limit(vectors, which):
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("needs openssl to make the keystream of Kubo's vectors")
    kubo = vectors["cid"]["kubo"]
    case, key = kubo["cases"][which], sha256(kubo["seed"].encode()).hexdigest()
    command = [openssl, "enc", "-chacha20", "-K", key, "-iv", "0" * 32]
    builder = CidBuilder()
    with (
        Path("/dev/zero").open("rb") as zeros,
        subprocess.Popen(command, stdin=zeros, stdout=subprocess.PIPE) as process,
    ):
        for _ in range(case["mebibytes"]):
            builder.update(process.stdout.read(1 << 20))
        process.terminate()
    assert builder.finish().text == case["cid"]


@pytest.mark.parametrize("size", range(45))
def test_what_is_stored_is_read_at_every_depth(small_chunks, size):
    data = bytes(range(size))
    cid, blocks = store_of(data)
    assert b"".join(read_dag(cid, lambda digest, _: blocks[digest])) == data


@pytest.mark.parametrize("piece", [1, 3, 4, 5, 40])
def test_a_builder_does_not_care_how_the_bytes_arrive(small_chunks, piece):
    data = bytes(range(40))
    builder = CidBuilder()
    for start in range(0, len(data), piece):
        builder.update(data[start : start + piece])
    assert builder.finish() == cid_of(data)


def test_a_source_is_told_how_to_read_each_block():
    cid, blocks = store_of(bytes(CHUNK_BYTES + 1))
    asked = []
    list(read_dag(cid, lambda digest, codec: asked.append(codec) or blocks[digest]))
    assert asked == [Codec.DAG_PB, Codec.RAW, Codec.RAW]


def test_a_block_of_another_hash_is_refused():
    cid, blocks = store_of(b"honest")
    with pytest.raises(CidMismatch):
        read(cid, dict.fromkeys(blocks, b"forged"))
    with pytest.raises(CidMismatch):
        verify_block(cid.digest, b"forged")


@pytest.mark.parametrize("size", [0, 5, 7, CHUNK_BYTES])
def test_a_leaf_of_another_size_is_refused(size):
    cid, blocks = store_of(b"honest")
    with pytest.raises(InvalidBlock):
        read(Cid(digest=cid.digest, size=size), blocks)


def test_a_giant_block_is_refused_before_it_is_hashed():
    with pytest.raises(InvalidBlock):
        read(Cid(digest=bytes(32), size=5), {bytes(32): bytes(CHUNK_BYTES + 1)})


@pytest.mark.parametrize(
    "children",
    [
        [raw_link(b"aaaa")],
        [raw_link(b"aa"), raw_link(b"aaaa")],
        [raw_link(b"aaaa"), raw_link(b"aa"), raw_link(b"")],
        [raw_link(b"aaaa"), raw_link(b"aa", tsize=3)],
        [raw_link(b"aaaa"), raw_link(b"aa", codec=Codec.DAG_PB)],
        [raw_link(b"aaaa", file_size=6, tsize=6)],
    ],
)
def test_a_dag_of_another_shape_is_refused(small_chunks, children):
    blocks = {sha256(data).digest(): data for data in (b"aaaa", b"aa", b"")}
    root, blocks = hostile(children, 6, blocks)
    with pytest.raises(InvalidBlock):
        read(root, blocks)


def test_a_wrong_tsize_below_the_root_is_refused(small_chunks):
    cid, blocks = store_of(bytes(range(14)))
    first, second = links(blocks[cid.digest])
    lying = Link(digest=first.digest, codec=first.codec, file_size=12, tsize=first.tsize + 1)
    root, blocks = hostile([lying, second], 14, blocks)
    with pytest.raises(InvalidBlock):
        read(root, blocks)


def test_a_node_is_read_only_if_every_byte_is_canonical():
    block = encode_node([raw_link(b"a" * 200), raw_link(b"b")])
    assert len(links(block)) == 2
    for bad in (b"", block + b"\x00", block[:-1], b"\x0a\x04\x08\x02\x18\x00", b"\xff" * 100):
        with pytest.raises(InvalidBlock):
            links(bad)
    for at in range(len(block)):
        if not any(at in range(start + 8, start + 40) for start in (0, 45)):  # digests may differ
            flipped = bytearray(block)
            flipped[at] ^= 0x80
            with pytest.raises(InvalidBlock):
                assert links(bytes(flipped)) == "unreachable"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 5),
        ("b", 5),
        ("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", 5),
        (cid_text(bytes(32), Codec.RAW), CHUNK_BYTES + 1),
        (cid_text(bytes(32), Codec.DAG_PB), CHUNK_BYTES),
        (cid_text(bytes(32), Codec.RAW).upper(), 5),
        (cid_text(bytes(32), Codec.RAW)[:-1] + "b", 5),
        (cid_text(bytes(32), Codec.RAW) + "=", 5),
        (cid_text(bytes(32), Codec.RAW)[:-1] + "ä", 5),
        (cid_text(bytes(32), Codec.RAW), -1),
        (cid_text(bytes(32), Codec.DAG_PB), 1 << 60),
    ],
)
def test_a_text_that_is_no_cid_of_that_size_is_refused(text, size):
    with pytest.raises(InvalidCid):
        Cid.parse(text, size)


def test_a_digest_has_32_bytes():
    with pytest.raises(InvalidCid):
        Cid(digest=b"short", size=1)
