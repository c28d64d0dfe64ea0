"""A pickle of numpy arrays by name, as Caffe2 projects publish their weights.

Caffe2's model zoo stores such files.
"""

import math

import numpy as np

from vos3d_jax.porting.readers.file_bytes import Chunk, FileBytes, printable
from vos3d_jax.porting.readers.lazy import LazyTensor, Storage, are_sizes, row_major, view
from vos3d_jax.porting.readers.pickle_values import ArrayReference, ArrayType

_CODES = {
    code: np.dtype(code) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
}


class NumpyPickle:
    """An open pickle: `value` is the object in it, `tensor` reads what its arrays refer to.

    Args:
        file: that is read, open.
        value: what the pickle holds.
        placeholders: classes that were skipped in it.
        position: where the pickle ended.

    Raises:
        UserError: bytes follow the pickle.
    """

    container = "numpy pickle"
    types = (ArrayReference,)

    def __init__(self, file: FileBytes, value: object, placeholders: tuple[str, ...], position: int):
        if position != file.size:
            raise file.problem(f"is damaged: {file.size - position} bytes follow its pickle")
        self.value, self.placeholders = value, placeholders

    def tensor(self, value: ArrayReference) -> LazyTensor | str:
        """Returns an array as a tensor, or what is wrong with it."""
        return _tensor(value)


def _tensor(value: ArrayReference) -> LazyTensor | str:
    if not isinstance(value.type, ArrayType):
        return "is an array without a dtype"
    dtype = _CODES.get(value.type.code)
    if dtype is None:
        kind = {"O": "object", "V": "structured"}.get(value.type.code[:1], printable(value.type.code))
        return f"has {kind} dtype: only numbers are read"
    if not isinstance(value.chunk, Chunk):
        return "is an array whose values are not bytes"
    shape = value.shape
    if not are_sizes(shape):
        return "has a shape that is not a tuple of sizes"
    if math.prod(shape) * dtype.itemsize != value.chunk.nbytes:
        declared = math.prod(shape) * dtype.itemsize
        return f"has {value.chunk.nbytes} bytes, shape {list(shape)} declares {declared}"
    strides = row_major(shape[::-1])[::-1] if value.fortran else row_major(shape)
    key = f"{value.chunk.offset}" if value.chunk.content is None else f"short {id(value.chunk)}"
    return view(Storage(key, value.chunk, dtype, value.type.order == ">"), 0, shape, strides)
