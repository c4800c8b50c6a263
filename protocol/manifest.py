"""The data set manifest: which objects a run trains and tests on (docs/protocol.md section 6)."""

from dataclasses import dataclass
from typing import Any

from protocol.assignment import MAX_SHARDS
from protocol.cid import MAX_OBJECT_BYTES, Cid
from protocol.errors import InvalidCid, InvalidManifest
from protocol.strict_json import Fields, canonical_bytes, load_object

FORMAT = "commonweight-data/1"
MAX_MANIFEST_BYTES = 16 << 20
_MAX_ROWS = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """An immutable slice of the data set; rows counts its examples."""

    cid: Cid
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A data set: where it comes from, its shards in order, and the slice to test on.

    Whoever builds one by hand reads it back with parse(canonical_bytes()), which checks it.
    """

    name: str
    task: str
    source: str
    licence: str
    shards: tuple[Shard, ...]
    test: Shard

    def canonical_bytes(self) -> bytes:
        """Give the object to publish."""
        return canonical_bytes(
            {
                "format": FORMAT,
                "licence": self.licence,
                "name": self.name,
                "shards": [_shard_json(shard) for shard in self.shards],
                "source": self.source,
                "task": self.task,
                "test": _shard_json(self.test),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Read a manifest from a stranger's bytes, or raise InvalidManifest naming the field."""
        value = load_object(data, max_bytes=MAX_MANIFEST_BYTES, refuse=_refuse)
        fields = Fields(value, path="", refuse=_refuse)
        fields.choice("format", (FORMAT,))
        manifest = cls(
            name=fields.text("name"),
            task=fields.text("task", high=64),
            source=fields.text("source", high=1000),
            licence=fields.text("licence"),
            shards=tuple(
                _read_shard(shard) for shard in fields.items("shards", low=1, high=MAX_SHARDS)
            ),
            test=_read_shard(fields.inner("test")),
        )
        fields.finish()
        return manifest


def read_cid(fields: Fields) -> Cid:
    """Take cid and size from an object that has both."""
    size = fields.integer("size", low=0, high=MAX_OBJECT_BYTES)
    text = fields.text("cid", high=80)
    try:
        return Cid.parse(text, size)
    except InvalidCid as error:
        fields.fail("cid", error.reason)


def _read_shard(fields: Fields) -> Shard:
    shard = Shard(cid=read_cid(fields), rows=fields.integer("rows", low=1, high=_MAX_ROWS))
    fields.finish()
    return shard


def _shard_json(shard: Shard) -> dict[str, Any]:
    return {"cid": shard.cid.text, "rows": shard.rows, "size": shard.cid.size}


def _refuse(field: str, reason: str) -> InvalidManifest:
    return InvalidManifest(field=field, reason=reason)
