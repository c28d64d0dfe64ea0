"""Tensors that lie in a file until they are asked for, and the mapping of them that a checkpoint is.

A tensor is a view: an offset and strides into a storage, as PyTorch saves it. Several tensors may lie in one
storage; `LazyTensor.identity` tells which are the same.
"""

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

from vos3d_jax.porting.readers.file_bytes import BLOCK, Chunk, printable

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
LARGEST_SIZE = 1 << 48  # of one axis; keeps every product of a checked shape within what numpy can count
MOST_AXES = 32
LARGEST_EXPANSION = 4096


class Storage:
    """Elements of one type, one after the other, in `chunk`.

    Args:
        key: tells this storage from the others of its file.
        chunk: where the bytes are.
        dtype: of the elements, in native byte order.
        swapped: the bytes are big-endian.
        crc: CRC-32 that the bytes must have; 0 where the file says none.
    """

    __slots__ = ("key", "chunk", "dtype", "swapped", "crc")

    def __init__(self, key: str, chunk: Chunk, dtype: np.dtype, swapped: bool = False, crc: int = 0):
        self.key, self.chunk, self.dtype, self.swapped, self.crc = key, chunk, dtype, swapped, crc

    @property
    def numel(self) -> int:
        """How many elements there are."""
        return self.chunk.nbytes // self.dtype.itemsize

    def gather(self, start: int, result: np.ndarray, strides: tuple[int, ...]) -> None:
        """Copies the elements at `start` + sum(index * stride) into `result`; all counted in elements.

        What lies close together is read at once; a view that is spread thin is read in halves, so that
        no more than `BLOCK` bytes are held beside the result. Where there is a CRC, the whole storage is
        looked through once, block by block.
        """
        whole = start == 0 and result.nbytes == self.chunk.length and strides == row_major(result.shape)
        if self.crc and not whole:
            self._check(self.chunk.file.crc32(self.chunk.offset, self.chunk.length))
        self._gather(start, result, strides)
        if self.crc:
            self._check(zlib.crc32(result.reshape(-1).view(np.uint8)))
        if self.swapped and self.dtype.itemsize > 1:
            result.byteswap(inplace=True)
        if self.dtype == np.bool_:  # torch takes any byte but 0 for true; numpy must see 1
            np.not_equal(result.view(np.uint8), 0, out=result)

    def _check(self, crc: int) -> None:
        if crc != self.crc:
            raise self.chunk.file.problem(
                f"is damaged: the checksum of data/{self.key} is "
                f"{crc:08x}, the archive says {self.crc:08x}; fetch the file again"
            )
        self.crc = 0  # looked through once is enough

    def _gather(self, start: int, result: np.ndarray, strides: tuple[int, ...]) -> None:
        itemsize = self.dtype.itemsize
        if strides == row_major(result.shape) and result.flags.c_contiguous:
            self.chunk.read_into(start * itemsize, memoryview(result.reshape(-1).view(np.uint8)))
            return
        spans = [(n - 1) * s for n, s in zip(result.shape, strides, strict=True)]
        extent = 1 + sum(spans)
        if extent <= max(2 * result.size, BLOCK // itemsize):
            values = np.empty(extent, self.dtype)
            self.chunk.read_into(start * itemsize, memoryview(values.view(np.uint8)))
            steps = [s * itemsize for s in strides]
            np.copyto(result, np.lib.stride_tricks.as_strided(values, result.shape, steps))
            return
        axis = spans.index(max(spans))
        half = result.shape[axis] // 2
        before = (slice(None),) * axis
        self._gather(start, result[*before, :half], strides)
        self._gather(start + half * strides[axis], result[*before, half:], strides)


class LazyTensor:
    """A tensor of a checkpoint: `shape` and `dtype` are known, the values are read by `numpy()`.

    `dtype` is numpy's (`ml_dtypes.bfloat16` for bfloat16). `offset` and `strides` count elements of
    `storage`.
    """

    __slots__ = ("shape", "dtype", "storage", "offset", "strides")

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides
        self.dtype = storage.dtype

    def __repr__(self):
        return f"LazyTensor({self.dtype.name}{list(self.shape)})"

    @property
    def size(self) -> int:
        """How many elements the tensor has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the values take."""
        return self.size * self.dtype.itemsize

    @property
    def identity(self) -> tuple:
        """Equal for two tensors of one file exactly when they are the same view of the same storage."""
        return self.storage.key, self.offset, self.shape, self.strides

    def numpy(self) -> Shaped[np.ndarray, "..."]:
        """Returns the values, row-major and in native byte order, read from the file at each call.

        Axes along which the tensor is expanded (stride 0) are broadcast, not copied; such an array is
        read-only.

        Raises:
            UserError: the file was changed or removed since it was opened, or its checksum is wrong.
        """
        axes = [
            (1, 0) if stride == 0 or size == 1 else (size, stride)
            for size, stride in zip(self.shape, self.strides, strict=True)
        ]
        result = np.empty([size for size, _ in axes], self.dtype)
        if result.size:
            kept = [(size, stride) for size, stride in axes if size > 1]
            view = result.reshape([size for size, _ in kept])
            self.storage.gather(self.offset, view, tuple(stride for _, stride in kept))
        return result if result.shape == self.shape else np.broadcast_to(result, self.shape)


@dataclass(frozen=True, eq=False)
class Checkpoint(Mapping[str, LazyTensor]):
    """The tensors of a file by name, without the wrapper and the prefix they had in the file.

    Attributes:
        path: the file.
        container: "torch zip", "torch legacy", "numpy pickle" or "safetensors".
        tensors: name -> tensor, in the file's order; the checkpoint itself is the same mapping.
        root: the key under which the tensors lie ("model", "model.state_dict"); "" for the top.
        prefix: what was taken off the front of the names ("module._orig_mod.").
        roots: other keys of the file under which weights lie ("ema.module").
        siblings: the other keys beside the tensors' wrapper, as text.
        others: keys among the tensors whose value is no tensor.
        placeholders: classes of strangers whose objects were skipped, as "module.name".
        metadata: the free texts of a safetensors file.
    """

    path: Path
    container: str
    tensors: dict[str, LazyTensor]
    root: str = ""
    prefix: str = ""
    roots: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> LazyTensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{name: shape}, in the file's order."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def __repr__(self):
        return f"Checkpoint({printable(self.path)!r}, {self.container}, {len(self)} tensors)"

    def aliases(self) -> dict[str, str]:
        """Returns name -> the first name of the same view, for all names that repeat an earlier one."""
        first: dict[tuple, str] = {}
        repeated = {}
        for name, tensor in self.tensors.items():
            original = first.setdefault(tensor.identity, name)
            if original != name:
                repeated[name] = original
        return repeated


def view(
    storage: Storage, offset: object, shape: object, strides: object, numel: int | None = None
) -> LazyTensor | str:
    """Returns the tensor, or what is wrong with it: every number here comes from a stranger.

    Args:
        storage: where the elements lie.
        offset: of the first element.
        shape: sizes of the axes.
        strides: steps of the axes, in elements.
        numel: elements that may be reached; None for all of the storage.
    """
    numel = storage.numel if numel is None else numel
    if not are_sizes(shape):
        return f"shape {printable(_plain(shape))} is not a tuple of at most {MOST_AXES} sizes"
    if not are_sizes(strides) or len(strides) != len(shape):
        return (
            f"stride {printable(_plain(strides))} is not one step of 0 or more for each axis of {list(shape)}"
        )
    if not are_sizes((offset,)):
        return f"offset {printable(_plain(offset))} is not a position in its storage"
    if math.prod(n for n in shape if n) * storage.dtype.itemsize >= 1 << 62:
        return f"shape {list(shape)} is larger than any file"
    if 0 not in shape:
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if last >= numel:
            return f"reaches outside its storage: element {last} of {numel}"
        distinct = math.prod(n for n, s in zip(shape, strides, strict=True) if s)
        if distinct > numel or math.prod(shape) > LARGEST_EXPANSION * numel:
            return f"shape {list(shape)} is made of only {numel} stored elements"
    return LazyTensor(storage, offset, shape, strides)


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the strides, in elements, of an array whose last axis is the fastest."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def are_sizes(values: object) -> bool:
    """Returns whether a stranger's value is a tuple of at most `MOST_AXES` sizes below `LARGEST_SIZE`."""
    if not isinstance(values, tuple) or len(values) > MOST_AXES:
        return False
    for value in values:  # not `all(...)`: this is asked three times a tensor
        if type(value) is not int or not 0 <= value < LARGEST_SIZE:
            return False
    return True


def _plain(value: object) -> object:
    # Only numbers may be printed: anything else could be nested without end.
    if type(value) is int and abs(value) < 1 << 64:
        return value
    if isinstance(value, tuple) and len(value) <= MOST_AXES:
        return [v if type(v) is int and abs(v) < 1 << 64 else type(v).__name__ for v in value]
    return type(value).__name__
