"""safetensors: a header of JSON, then the bytes of all tensors."""

import collections
import json
import math
from typing import NamedTuple

import numpy as np

from vos3d_jax.porting.readers.file_bytes import Chunk, FileBytes, listed, printable
from vos3d_jax.porting.readers.lazy import BFLOAT16, LazyTensor, Storage, are_sizes, row_major, view

DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype(np.bool_),
}
# The format allows 100 MB, whose parsed form would take gigabytes. A thousand tensors need 0.1 MB.
_LARGEST_HEADER = 8 << 20
_MOST_PARTS = 500_000


class Entry(NamedTuple):
    """One tensor of the header: what is wrong with it, or what it is and where it lies."""

    problem: str = ""
    dtype: np.dtype | None = None
    shape: tuple[int, ...] = ()
    begin: int = 0
    end: int = 0


class Safetensors:
    """An open file: `value` maps names to entries, `tensor` reads what they describe.

    Raises:
        UserError: the header is too long, malformed, or does not describe the bytes that follow.
    """

    container = "safetensors"
    types = (Entry,)
    placeholders: tuple[str, ...] = ()

    def __init__(self, file: FileBytes):
        self._file = file
        header = self._header()
        self.metadata = _metadata(header.pop("__metadata__", None), file)
        room = file.size - self._start
        self.value = {name: _entry(content, room) for name, content in header.items()}
        self._check_cover()

    def tensor(self, value: Entry) -> LazyTensor | str:
        """Returns a tensor of the file, or what is wrong with it."""
        problem, dtype, shape, begin, end = value
        if problem:
            return problem
        if end - begin != math.prod(shape) * dtype.itemsize:
            return f"offsets {begin} to {end} do not match {dtype.name} {list(shape)}"
        chunk = Chunk(self._file, self._start + begin, end - begin)
        return view(Storage(f"{begin}", chunk, dtype), 0, shape, row_major(shape))

    def _header(self) -> dict:
        length = int.from_bytes(self._file.read(0, 8), "little")
        if length > self._file.size - 8:
            raise self._file.problem(
                f"is cut short or no safetensors file: header length {length}, "
                f"{self._file.size - 8} bytes follow"
            )
        if length > _LARGEST_HEADER:
            raise self._file.problem(
                f"has a header length of {length}: more than {_LARGEST_HEADER} is not read"
            )
        self._start = 8 + length
        content = self._file.read(8, length)
        if sum(content.count(mark) for mark in (b"{", b"[", b",")) > _MOST_PARTS:
            raise self._file.problem("describes more tensors than any published checkpoint: refused")
        try:
            header = json.loads(
                content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
            )
        except (ValueError, RecursionError) as error:
            raise self._file.problem(f"has a malformed header: {printable(error)}") from None
        if not isinstance(header, dict):
            raise self._file.problem("has a malformed header: not a JSON object")
        return header

    def _check_cover(self) -> None:
        """The ranges of all tensors, in order, are the whole buffer."""
        if any(entry.problem for entry in self.value.values()):
            return  # they are named together when the tensors are made
        at, before, room = 0, "the header", self._file.size - self._start
        for begin, end, name in sorted((entry.begin, entry.end, name) for name, entry in self.value.items()):
            if begin != at:
                raise self._file.problem(
                    f"is damaged: the offsets of {printable(name)} begin at {begin}, but {printable(before)} "
                    f"ends at {at}"
                )
            at, before = end, name
        if at != room:
            raise self._file.problem(f"is damaged: its offsets cover {at} of {room} bytes")


def _entry(content: object, room: int) -> Entry:
    if not isinstance(content, dict) or content.keys() != {"dtype", "shape", "data_offsets"}:
        return Entry("is no dtype, shape and data_offsets")
    name, shape, offsets = content["dtype"], _as_tuple(content["shape"]), _as_tuple(content["data_offsets"])
    if not isinstance(name, str) or name not in DTYPES:
        return Entry(f"has dtype {printable(name)[:20]}, which is not read here")
    if not are_sizes(shape):
        return Entry("has a shape that is not a list of sizes")
    if not are_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= room:
        return Entry(f"has offsets outside of the {room} bytes that follow the header")
    return Entry("", DTYPES[name], shape, *offsets)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else None


def _unique(pairs: list[tuple[str, object]]) -> dict:
    content = dict(pairs)
    if len(content) != len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        raise ValueError(f"names twice: {listed([name for name, count in counts.items() if count > 1])}")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _metadata(content: object, file: FileBytes) -> dict[str, str]:
    texts = content if isinstance(content, dict) else {} if content is None else {"": None}
    if not all(isinstance(value, str) for value in texts.values()):
        raise file.problem("has a malformed header: __metadata__ is not text to text")
    return texts
