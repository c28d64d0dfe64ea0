"""What the two torch containers share: persistent ids of storages, and tensors over them."""

from collections.abc import Callable

import numpy as np

from vos3d_jax.porting.readers.file_bytes import printable
from vos3d_jax.porting.readers.lazy import BFLOAT16, LARGEST_SIZE, LazyTensor, Storage, view
from vos3d_jax.porting.readers.pickle_values import (
    Global,
    Malformed,
    Refused,
    StorageReference,
    TensorReference,
    text_of,
)

DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": BFLOAT16,
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
# Classes without a numpy type here: their bytes can be stepped over, not read.
OTHER_ITEM_SIZES = {
    "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "UntypedStorage": 1, "QInt8Storage": 1,
    "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
}  # fmt: skip


class StorageIds:
    """The storages that a pickle refers to by persistent id: `references` is key -> reference."""

    def __init__(self, items: int):
        self.references: dict[str, StorageReference] = {}
        self._items = items

    def __call__(self, identifier: object) -> StorageReference:
        """Returns the storage of a persistent id, a tuple of 5 (zip) or 6 (legacy) items.

        Raises:
            Refused: it is no storage, or its key could name another file.
            Malformed: it is no such tuple.
        """
        if not isinstance(identifier, tuple) or not identifier:
            raise Malformed("a persistent id that is no tuple")
        word = text_of(identifier[0])
        if word == "module":
            raise Refused("holds a pickled module, not a state dict (ask its authors for model.state_dict())")
        if word != "storage" or len(identifier) != self._items:
            raise Malformed("a persistent id that is no storage")
        kind, key, _, numel = identifier[1:5]
        key = text_of(key)
        if not isinstance(kind, Global) or not kind.name.startswith("storage "):
            raise Malformed("a storage without a class")
        if key is None or not (key.isascii() and key.isdigit() and len(key) <= 20):
            raise Refused(f"names the storage key {printable(key)!r}, which is no number")
        if type(numel) is not int or not 0 <= numel < 1 << 63:
            raise Malformed("the size of a storage")
        reference = StorageReference(kind.name.removeprefix("storage "), key, numel, _window(identifier[5:]))
        first = self.references.setdefault(key, reference)
        if (first.kind, first.numel) != (reference.kind, reference.numel):
            raise Malformed(f"storage {key} has two sizes or types")
        return first if reference.window is None and first.window is None else reference


def tensor(
    reference: TensorReference, storage_of: Callable[[StorageReference], Storage | str]
) -> LazyTensor | str:
    """Returns the tensor over its storage, or what is wrong with it.

    Args:
        reference: the tensor as pickled.
        storage_of: gives the storage of a known type, or what is wrong with it.
    """
    stored = reference.storage
    if isinstance(stored, StorageReference) and stored.kind not in DTYPES:
        return f"lies in a {printable(stored.kind)}, a type that is not read here"
    if reference.problem is not None:
        return reference.problem
    storage = storage_of(stored)
    if isinstance(storage, str):
        return storage
    start, length = stored.window or (0, stored.numel)
    if start + length > stored.numel:
        return f"its window of storage {stored.key} ends at element {start + length} of {stored.numel}"
    tensor = view(storage, reference.offset, reference.shape, reference.strides, length)
    if isinstance(tensor, LazyTensor):
        tensor.offset += start
    return tensor


def _window(items: tuple) -> tuple[int, int] | None:
    # Legacy files of early writers: (key of the view, offset, elements), counted in elements of the root.
    if not items or items[0] is None:
        return None
    metadata = items[0]
    sizes = metadata[1:] if isinstance(metadata, tuple) and len(metadata) == 3 else ()
    if not sizes or not all(type(size) is int and 0 <= size < LARGEST_SIZE for size in sizes):
        raise Malformed("the window of a storage")
    return sizes
