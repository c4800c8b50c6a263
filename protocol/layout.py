"""Where each tensor lies in the model vector (docs/protocol.md section 1)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from protocol.errors import InvalidModel, InvalidSpec
from protocol.types import SegmentId

CHUNK = 256
"""Model elements of a chunk."""

MAX_TENSORS = 10_000
MAX_NAME_CHARS = 200
MAX_DIMENSIONS = 8
MAX_CHUNKS = 1 << 24
MAX_SEGMENTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name and shape of one tensor; a scalar has the shape ()."""

    name: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse names and shapes outside the schema's bounds."""
        if not 0 < len(self.name) <= MAX_NAME_CHARS:
            raise InvalidSpec(
                field="layout.tensors", reason=f"name {self.name[:40]!r} has a bad length"
            )
        if len(self.shape) > MAX_DIMENSIONS:
            raise InvalidSpec(field=f"layout.tensors.{self.name}", reason="too many dimensions")
        if any(dimension < 1 for dimension in self.shape):
            raise InvalidSpec(field=f"layout.tensors.{self.name}", reason="a dimension is below 1")
        if self.chunks > MAX_CHUNKS:
            raise InvalidSpec(field=f"layout.tensors.{self.name}", reason="too many elements")

    @property
    def elements(self) -> int:
        """Elements without padding."""
        return math.prod(self.shape)

    @property
    def chunks(self) -> int:
        """Chunks, the last one padded."""
        return -(-self.elements // CHUNK)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The order of the tensors, and how many of them each segment takes.

    Raises InvalidSpec if a name repeats, a segment is empty, or the segments do not take every
    tensor exactly once.
    """

    tensors: tuple[TensorSpec, ...]
    segments: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check what the tensors promise together."""
        if not 0 < len(self.tensors) <= MAX_TENSORS:
            raise InvalidSpec(field="layout.tensors", reason=f"1 to {MAX_TENSORS} tensors")
        if len({tensor.name for tensor in self.tensors}) < len(self.tensors):
            raise InvalidSpec(field="layout.tensors", reason="a name repeats")
        if not 0 < len(self.segments) <= MAX_SEGMENTS or min(self.segments) < 1:
            raise InvalidSpec(field="layout.segments", reason="empty, or an empty segment")
        if sum(self.segments) != len(self.tensors):
            raise InvalidSpec(field="layout.segments", reason="must add up to all tensors")
        if self.chunk_count > MAX_CHUNKS:
            raise InvalidSpec(field="layout.tensors", reason=f"more than {MAX_CHUNKS} chunks")

    @cached_property
    def _first_chunks(self) -> tuple[int, ...]:
        return tuple(accumulate((tensor.chunks for tensor in self.tensors), initial=0))

    @property
    def chunk_count(self) -> int:
        """Chunks of the whole model."""
        return self._first_chunks[-1]

    @property
    def element_count(self) -> int:
        """Elements of the whole model, without padding."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def segment_count(self) -> int:
        """Segments of the model."""
        return len(self.segments)

    @property
    def segment_ends(self) -> tuple[int, ...]:
        """The chunk behind each segment's last, ascending."""
        return tuple(
            self.segment_chunks(SegmentId(segment)).stop for segment in range(self.segment_count)
        )

    def segment_chunks(self, segment: SegmentId) -> range:
        """Give the chunks of a segment, counted through the whole model."""
        first = sum(self.segments[:segment])
        return range(self._first_chunks[first], self._first_chunks[first + self.segments[segment]])

    def flatten(self, tensors: Mapping[str, NDArray[Any]], dtype: DTypeLike) -> NDArray[Any]:
        """Lay the tensors out as one vector [chunk_count * CHUNK], padded with zeros.

        Raises InvalidModel for a missing or foreign tensor or a wrong shape.
        """
        if set(tensors) != {tensor.name for tensor in self.tensors}:
            odd = sorted(set(tensors) ^ {tensor.name for tensor in self.tensors})
            raise InvalidModel(what=f"tensor {odd[0]!r}", expected="in both", actual="in one")
        flat = np.zeros(self.chunk_count * CHUNK, dtype)
        for tensor, first in zip(self.tensors, self._first_chunks, strict=False):
            value = np.asarray(tensors[tensor.name])
            if value.shape != tensor.shape:
                raise InvalidModel(
                    what=f"shape of {tensor.name!r}",
                    expected=str(tensor.shape),
                    actual=str(value.shape),
                )
            flat[first * CHUNK : first * CHUNK + tensor.elements] = value.reshape(-1)
        return flat

    def unflatten(self, flat: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Give each tensor as a view of the vector [chunk_count * CHUNK], padding dropped.

        Raises InvalidModel for a vector of another length.
        """
        vector = flat.reshape(-1)
        if vector.size != self.chunk_count * CHUNK:
            raise InvalidModel(
                what="elements", expected=self.chunk_count * CHUNK, actual=vector.size
            )
        return {
            tensor.name: vector[first * CHUNK : first * CHUNK + tensor.elements].reshape(
                tensor.shape
            )
            for tensor, first in zip(self.tensors, self._first_chunks, strict=False)
        }

    def to_json(self) -> dict[str, Any]:
        """Give the layout as it stands in a run specification."""
        return {
            "segments": list(self.segments),
            "tensors": [[tensor.name, list(tensor.shape)] for tensor in self.tensors],
        }

    @classmethod
    def from_json(cls, value: object) -> "Layout":
        """Read a layout from a parsed run specification, or raise InvalidSpec."""
        match value:
            case {"segments": list(segments), "tensors": list(tensors), **rest} if not rest:
                pass
            case _:
                raise InvalidSpec(field="layout", reason="wants exactly segments and tensors")
        if len(tensors) > MAX_TENSORS or len(segments) > MAX_SEGMENTS:
            raise InvalidSpec(field="layout", reason="too many tensors or segments")
        if not all(type(count) is int for count in segments):
            raise InvalidSpec(field="layout.segments", reason="wants integers")
        specs: list[TensorSpec] = []
        for tensor in tensors:
            match tensor:
                case [str(name), list(shape)] if all(type(size) is int for size in shape):
                    specs.append(TensorSpec(name=name, shape=tuple(shape)))
                case _:
                    raise InvalidSpec(
                        field=f"layout.tensors[{len(specs)}]",
                        reason="wants [name, [dimension, ...]]",
                    )
        return cls(tensors=tuple(specs), segments=tuple(segments))
