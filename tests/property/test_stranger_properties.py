"""Whatever a stranger sends, the answer is a value or the one typed error."""

import json
from contextlib import suppress
from hashlib import sha256

from hypothesis import example, given
from hypothesis import strategies as st

from protocol.cid import Cid, CidBuilder, cid_of, encode_node, links, read_dag
from protocol.errors import CidMismatch, InvalidBlock, InvalidCid, InvalidManifest, InvalidSpec
from protocol.layout import Layout, TensorSpec
from protocol.manifest import Manifest, Shard
from protocol.merge import MergeParams
from protocol.spec import Assignment, RunSpec, Training
from protocol.strict_json import canonical_bytes

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
MANIFEST = Manifest(
    name="n",
    task="t",
    source="s",
    licence="l",
    shards=(Shard(cid=cid_of(b"a"), rows=1),),
    test=Shard(cid=cid_of(b"b"), rows=1),
)
SPEC = RunSpec(
    name="n",
    task="t",
    task_params={"a": 1},
    layout=Layout(tensors=(TensorSpec(name="w", shape=(2,)),), segments=(1,)),
    merge=MergeParams(),
    assignment=Assignment(),
    training=Training(epochs=1, batch_size=1, lr=0.1),
    manifest=cid_of(b"m"),
    ssq_bound=1,
)


@st.composite
def edited(draw, data):
    """Give bytes with some of them replaced, dropped or put in."""
    edits = draw(st.lists(st.tuples(st.integers(0, len(data)), st.binary(max_size=4)), max_size=3))
    for at, put in edits:
        data = data[:at] + put + data[at + draw(st.integers(0, 4)) :]
    return data


@st.composite
def with_other_members(draw, data):
    """Give a specification in which any members are any JSON values."""
    value = json.loads(data)
    for name in draw(st.lists(st.sampled_from(sorted(value)), max_size=3)):
        inner = value[name]
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            inner[draw(st.sampled_from(sorted(inner)))] = draw(json_values)
        else:
            value[name] = draw(json_values)
    with suppress(UnicodeEncodeError):
        return canonical_bytes(value)
    return b""


@given(
    st.binary(max_size=200)
    | edited(SPEC.canonical_bytes())
    | with_other_members(SPEC.canonical_bytes())
    | json_values.map(lambda value: repr(value).encode(errors="replace"))
)
@example(SPEC.canonical_bytes())
def test_a_specification_is_read_exactly_or_refused(data):
    with suppress(InvalidSpec):
        assert RunSpec.parse(data).canonical_bytes() == data


@given(
    st.binary(max_size=200)
    | edited(MANIFEST.canonical_bytes())
    | with_other_members(MANIFEST.canonical_bytes())
)
@example(MANIFEST.canonical_bytes())
def test_a_manifest_is_read_exactly_or_refused(data):
    with suppress(InvalidManifest):
        assert Manifest.parse(data).canonical_bytes() == data


@given(st.text(max_size=70), st.integers(-1, 1 << 50))
def test_a_text_is_a_cid_exactly_or_refused(text, size):
    with suppress(InvalidCid):
        assert Cid.parse(text, size).text == text


BLOCKS: dict[bytes, bytes] = {}
BUILDER = CidBuilder(BLOCKS.__setitem__)
BUILDER.update(bytes(3 << 20))
BUILDER.update(b"end")
LARGE = BUILDER.finish()


@given(st.binary(max_size=300) | edited(BLOCKS[LARGE.digest]))
@example(BLOCKS[LARGE.digest])
def test_a_node_is_read_exactly_or_refused(block):
    with suppress(InvalidBlock):
        assert encode_node(links(block)) == block


@given(edited(BLOCKS[LARGE.digest]), st.integers(0, 1 << 23))
def test_a_forged_node_yields_no_byte_it_should_not(block, size):
    digest = sha256(block).digest()
    blocks = BLOCKS | {digest: block}
    read = 0
    with suppress(InvalidBlock, CidMismatch, KeyError):
        for piece in read_dag(Cid(digest=digest, size=size), lambda key, _: blocks[key]):
            read += len(piece)
        assert read == size
    assert read <= size
