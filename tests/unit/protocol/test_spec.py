import json

import pytest

from protocol.cid import cid_of
from protocol.errors import InvalidManifest, InvalidSpec
from protocol.layout import Layout, TensorSpec
from protocol.manifest import Manifest, Shard
from protocol.merge import MergeParams
from protocol.spec import Assignment, RunSpec, Training
from protocol.strict_json import canonical_bytes

MANIFEST = Manifest(
    name="digits",
    task="digits",
    source="scikit-learn",
    licence="BSD-3-Clause",
    shards=tuple(Shard(cid=cid_of(bytes([i])), rows=i + 1) for i in range(3)),
    test=Shard(cid=cid_of(b"test"), rows=9),
)
SPEC = RunSpec(
    name="digits, first run",
    task="digits",
    task_params={"hidden": 32, "dropout": 0.5, "wide": True, "head": "linear"},
    layout=Layout(tensors=(TensorSpec(name="w", shape=(10, 64)),), segments=(1,)),
    merge=MergeParams(lr=179, mu=128, nesterov=True, momentum=True),
    assignment=Assignment(shards_per_trainer=2),
    training=Training(epochs=2, batch_size=32, lr=0.05, momentum=0.9),
    manifest=cid_of(MANIFEST.canonical_bytes()),
    ssq_bound=2**96 - 1,
)


def changed(data, path, value):
    """Give canonical bytes with one field set, or dropped if the value is ...."""
    parsed = json.loads(data)
    place = parsed
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return canonical_bytes(parsed)


def test_a_specification_comes_back():
    assert RunSpec.parse(SPEC.canonical_bytes()) == SPEC
    assert SPEC.segments == 1


def test_a_manifest_comes_back():
    assert Manifest.parse(MANIFEST.canonical_bytes()) == MANIFEST


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("extra", 1, "extra"),
        ("merge.extra", 1, "merge.extra"),
        ("manifest.extra", 1, "manifest.extra"),
        ("training.extra", 1, "training.extra"),
        ("assignment.extra", 1, "assignment.extra"),
        ("name", ..., "name"),
        ("name", "", "name"),
        ("name", "a\nb", "name"),
        ("name", 7, "name"),
        ("format", "commonweight-run/2", "format"),
        ("codec", "sparse", "codec"),
        ("codec", [], "codec"),
        ("fraction_bits", 31, "fraction_bits"),
        ("fraction_bits", True, "fraction_bits"),
        ("fraction_bits", 22.0, "fraction_bits"),
        ("layout", {}, "layout"),
        ("layout.segments", [2], "layout.segments"),
        ("merge", 1, "merge"),
        ("merge.lr", 1025, "merge.lr"),
        ("merge.nesterov", 1, "merge.nesterov"),
        ("merge.momentum", False, "merge.momentum"),
        ("assignment.policy", "greedy", "assignment.policy"),
        ("assignment.policy", "fixed", "assignment.shards_per_trainer"),
        ("assignment.shards_per_trainer", 0, "assignment.shards_per_trainer"),
        ("training.epochs", 0, "training.epochs"),
        ("training.lr", 0.0, "training.lr"),
        ("training.lr", 1, "training.lr"),
        ("training.momentum", 1.0, "training.momentum"),
        ("training.checkpoints", 0, "training.checkpoints"),
        ("training.checkpoints", 65, "training.checkpoints"),
        ("training.checkpoints", 4.0, "training.checkpoints"),
        ("training.checkpoints", ..., "training.checkpoints"),
        ("manifest.cid", "bafy", "manifest.cid"),
        ("manifest.size", -1, "manifest.size"),
        ("manifest.size", 1 << 21, "manifest.cid"),
        ("ssq_bound", "0", "ssq_bound"),
        ("ssq_bound", "01", "ssq_bound"),
        ("ssq_bound", "1\n", "ssq_bound"),
        ("ssq_bound", "٣", "ssq_bound"),
        ("ssq_bound", str(1 << 96), "ssq_bound"),
        ("ssq_bound", 5, "ssq_bound"),
        ("task_params", [], "task_params"),
        ("task_params", {f"p{i}": 1 for i in range(65)}, "task_params"),
        ("task_params", {"Bad": 1}, "task_params.Bad"),
        ("task_params", {"a": None}, "task_params.a"),
        ("task_params", {"a": {"b": 1}}, "task_params.a"),
        ("task_params", {"a": 2**54}, "task_params.a"),
        ("task_params", {"a": "x" * 201}, "task_params.a"),
    ],
)
def test_a_specification_outside_the_schema_is_refused_by_name(path, value, field):
    with pytest.raises(InvalidSpec) as caught:
        RunSpec.parse(changed(SPEC.canonical_bytes(), path, value))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("extra", 1, "extra"),
        ("test.extra", 1, "test.extra"),
        ("shards.1.extra", 1, "shards[1].extra"),
        ("shards.1.rows", 0, "shards[1].rows"),
        ("shards.2.cid", "x", "shards[2].cid"),
        ("shards", [], "shards"),
        ("shards", {}, "shards"),
        ("shards", [1], "shards[0]"),
        ("licence", ..., "licence"),
        ("format", "other", "format"),
    ],
)
def test_a_manifest_outside_the_schema_is_refused_by_name(path, value, field):
    with pytest.raises(InvalidManifest) as caught:
        Manifest.parse(changed(MANIFEST.canonical_bytes(), path, value))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{" * 500_000,
        b"[" * 500_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":0.' + b"1" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b" " + SPEC.canonical_bytes(),
        json.dumps(json.loads(SPEC.canonical_bytes())).encode(),
        SPEC.canonical_bytes().replace(b"0.05", b"5e-2"),
        SPEC.canonical_bytes() + b" " * (1 << 20),
    ],
    ids=lambda data: data[:12].decode(errors="replace"),
)
def test_bytes_that_are_not_one_canonical_object_are_refused(data):
    with pytest.raises(InvalidSpec):
        RunSpec.parse(data)


def test_a_repeated_key_is_named():
    data = SPEC.canonical_bytes().replace(b'"mu":128', b'"mu":128,"mu":0')
    with pytest.raises(InvalidSpec) as caught:
        RunSpec.parse(data)
    assert (caught.value.field, caught.value.reason) == ("mu", "stands there twice")
