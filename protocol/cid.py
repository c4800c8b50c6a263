"""Content ids of the UnixFS profile unixfs-v1-2025 (docs/protocol.md section 3).

The profile leaves no freedom: an object's bytes fix every block, and an object's size fixes the
shape of its DAG. So a block from a stranger is held against the one shape it can have.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from protocol.errors import CidMismatch, InvalidBlock, InvalidCid
from protocol.types import DIGEST_BYTES, Digest

CHUNK_BYTES = 1 << 20
MAX_LINKS = 1024
MAX_OBJECT_BYTES = CHUNK_BYTES * MAX_LINKS * MAX_LINKS
MAX_BLOCK_BYTES = CHUNK_BYTES
_TEXT_CHARS = 59

BlockSink = Callable[[Digest, bytes], None]


class Codec(IntEnum):
    """How the bytes of a block are to be read."""

    RAW = 0x55
    DAG_PB = 0x70


BlockSource = Callable[[Digest, Codec], bytes]


def cid_bytes(digest: Digest, codec: Codec) -> bytes:
    """Give the binary CIDv1 of a block."""
    return bytes((1, codec, 0x12, DIGEST_BYTES)) + digest


def cid_text(digest: Digest, codec: Codec) -> str:
    """Give the CIDv1 of a block in lower-case base32."""
    text = base64.b32encode(cid_bytes(digest, codec)).decode().rstrip("=").lower()
    return "b" + text


@dataclass(frozen=True, slots=True, kw_only=True)
class Cid:
    """What the chain keeps of an object: its root's digest and its size in bytes.

    Raises InvalidCid for a digest that is not 32 bytes or a size that is negative or over 1 TiB.
    """

    digest: Digest
    size: int

    def __post_init__(self) -> None:
        """Check both."""
        if len(self.digest) != DIGEST_BYTES:
            raise InvalidCid(text=self.digest.hex(), reason="a digest has 32 bytes")
        if not 0 <= self.size <= MAX_OBJECT_BYTES:
            raise InvalidCid(text=self.digest.hex(), reason=f"size {self.size} is out of bounds")

    @property
    def codec(self) -> Codec:
        """The root's codec, which the size tells."""
        return Codec.RAW if self.size <= CHUNK_BYTES else Codec.DAG_PB

    @property
    def text(self) -> str:
        """The CIDv1 as IPFS tools show it."""
        return cid_text(self.digest, self.codec)

    @classmethod
    def parse(cls, text: str, size: int) -> "Cid":
        """Read the one text that an object of this size can have, or raise InvalidCid."""
        try:
            raw = base64.b32decode(text[1:].upper() + "======")
        except (binascii.Error, ValueError):
            raw = b""
        cid = cls(
            digest=raw[4:] if len(raw) == 4 + DIGEST_BYTES else bytes(DIGEST_BYTES), size=size
        )
        if len(text) != _TEXT_CHARS or cid.text != text:
            reason = f"not a {cid.codec.name} CIDv1 with sha2-256 in base32, as its size demands"
            raise InvalidCid(text=text[:80], reason=reason)
        return cid


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A child of a node: its digest, the file bytes under it, and the block bytes under it."""

    digest: Digest
    codec: Codec
    file_size: int
    tsize: int


def encode_node(links: list[Link]) -> bytes:
    """Give the dag-pb block of a file node: links first, empty names, unpacked block sizes."""
    parts = []
    for link in links:
        target = cid_bytes(link.digest, link.codec)
        body = b"\x0a" + _varint(len(target)) + target + b"\x12\x00\x18" + _varint(link.tsize)
        parts.append(b"\x12" + _varint(len(body)) + body)
    data = b"\x08\x02\x18" + _varint(sum(link.file_size for link in links))
    data += b"".join(b"\x20" + _varint(link.file_size) for link in links)
    return b"".join(parts) + b"\x0a" + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class CidBuilder:
    """Computes the CID of an object that arrives in pieces, handing each block to a sink."""

    def __init__(self, sink: BlockSink | None = None) -> None:
        """Take a sink for (digest, block); blocks come children first."""
        self._sink = sink
        self._rest = bytearray()
        self._levels: list[list[Link]] = [[]]
        self._size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data).cast("B")
        self._size += view.nbytes
        at = 0
        if self._rest:
            at = min(CHUNK_BYTES - len(self._rest), view.nbytes)
            self._rest += view[:at]
            if len(self._rest) < CHUNK_BYTES:
                return
            self._add_leaf(self._rest)
            self._rest = bytearray()
        while view.nbytes - at >= CHUNK_BYTES:
            self._add_leaf(view[at : at + CHUNK_BYTES])
            at += CHUNK_BYTES
        self._rest += view[at:]

    def finish(self) -> Cid:
        """Give the object's CID; an empty object is one empty leaf."""
        if self._rest or not self._size:
            self._add_leaf(self._rest)
        height = 0
        while height < len(self._levels) - 1 or len(self._levels[height]) > 1:
            if self._levels[height]:
                self._add_node(height)
            height += 1
        return Cid(digest=self._levels[height][0].digest, size=self._size)

    def _add_leaf(self, chunk: bytearray | memoryview) -> None:
        digest = sha256(chunk).digest()
        if self._sink:
            self._sink(digest, bytes(chunk))
        size = len(chunk)
        self._push(0, Link(digest=digest, codec=Codec.RAW, file_size=size, tsize=size))

    def _add_node(self, height: int) -> None:
        links, self._levels[height] = self._levels[height], []
        block = encode_node(links)
        digest = sha256(block).digest()
        if self._sink:
            self._sink(digest, block)
        self._push(
            height + 1,
            Link(
                digest=digest,
                codec=Codec.DAG_PB,
                file_size=sum(link.file_size for link in links),
                tsize=len(block) + sum(link.tsize for link in links),
            ),
        )

    def _push(self, height: int, link: Link) -> None:
        if height == len(self._levels):
            self._levels.append([])
        if len(self._levels[height]) == MAX_LINKS:
            self._add_node(height)
        self._levels[height].append(link)


def cid_of(data: bytes | bytearray | memoryview) -> Cid:
    """Give the CID of an object in memory."""
    builder = CidBuilder()
    builder.update(data)
    return builder.finish()


def verify_block(digest: Digest, block: bytes) -> None:
    """Raise CidMismatch unless the block hashes to the digest."""
    actual = sha256(block).digest()
    if actual != digest:
        raise CidMismatch(expected=digest, actual=actual)


class _Cursor:
    """Reads a block from left to right; running past the end raises IndexError."""

    def __init__(self, block: bytes) -> None:
        self.block, self.at = block, 0

    def peek(self) -> int:
        return self.block[self.at] if self.at < len(self.block) else -1

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.block):
            raise IndexError
        self.at += count
        return self.block[self.at - count : self.at]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte <= 0x7F:  # noqa: PLR2004 - seven bits a byte
                return value
        raise IndexError


def links(block: bytes) -> list[Link]:
    """Read the children of a file node; raises InvalidBlock unless every byte is canonical."""
    found: list[tuple[Digest, Codec, int]] = []
    cursor = _Cursor(block)
    try:
        while cursor.peek() == 0x12 and len(found) < MAX_LINKS:  # noqa: PLR2004 - PBNode.Links
            cursor.take(1)
            cursor.varint()
            target = cursor.take(2 + 4 + DIGEST_BYTES)[2:]
            cursor.take(3)
            found.append((target[4:], Codec(target[1]), cursor.varint()))
        cursor.take(1)
        cursor.varint()
        cursor.take(3)
        cursor.varint()
        sizes = []
        for _ in found:
            cursor.take(1)
            sizes.append(cursor.varint())
    except (IndexError, ValueError):
        found, sizes = [], []
    children = [
        Link(digest=digest, codec=codec, file_size=size, tsize=tsize)
        for (digest, codec, tsize), size in zip(found, sizes, strict=True)
    ]
    # Constants, lengths and varints were skipped unread: one comparison checks them all.
    if not children or encode_node(children) != block:
        reason = "not a canonical UnixFS file node"
        raise InvalidBlock(digest=sha256(block).digest(), reason=reason)
    return children


def read_dag(root: Cid, get_block: BlockSource) -> Iterator[bytes]:
    """Yield the bytes of an object, leaf by leaf, each checked before it is handed on.

    The source is asked for one block at a time, children after their node. Raises CidMismatch for a
    block of another hash, InvalidBlock for a DAG that is not the one an object of this size has,
    and whatever the source raises.
    """
    height = 0
    while CHUNK_BYTES * MAX_LINKS**height < root.size:
        height += 1
    link = Link(digest=root.digest, codec=root.codec, file_size=root.size, tsize=-1)
    yield from _read_subtree(link, height, get_block)


def _read_subtree(link: Link, height: int, get_block: BlockSource) -> Iterator[bytes]:
    block = get_block(link.digest, link.codec)
    if len(block) > MAX_BLOCK_BYTES:
        raise InvalidBlock(digest=link.digest, reason="larger than any block of the profile")
    verify_block(link.digest, block)
    if height == 0:
        if len(block) != link.file_size:
            reason = f"a leaf of {len(block)} bytes where {link.file_size} are due"
            raise InvalidBlock(digest=link.digest, reason=reason)
        yield block
        return
    children = links(block)
    _check_children(link, height, len(block), children)
    for child in children:
        yield from _read_subtree(child, height - 1, get_block)


def _check_children(link: Link, height: int, block_bytes: int, children: list[Link]) -> None:
    # The file size of a subtree fixes how many children it has and what each of them holds.
    capacity = CHUNK_BYTES * MAX_LINKS ** (height - 1)
    full, rest = divmod(link.file_size, capacity)
    sizes = [capacity] * full + [rest] * (rest > 0)
    if [child.file_size for child in children] != sizes:
        raise InvalidBlock(digest=link.digest, reason="children of other sizes than are due")
    codec = Codec.RAW if height == 1 else Codec.DAG_PB
    if any(child.codec != codec for child in children):
        raise InvalidBlock(digest=link.digest, reason=f"a child is not {codec.name}")
    if height == 1 and any(child.tsize != child.file_size for child in children):
        raise InvalidBlock(digest=link.digest, reason="a leaf's Tsize is not its size")
    tsize = block_bytes + sum(child.tsize for child in children)
    if link.tsize not in (tsize, -1):
        raise InvalidBlock(digest=link.digest, reason="Tsize is not the sum of its blocks")
