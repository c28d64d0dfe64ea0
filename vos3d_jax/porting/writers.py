"""Writes weights for PyTorch users, without torch: its zip archive, and safetensors.

The formats are those that torch 1.6 and later, and safetensors, read. A file appears under its name only when
it is whole.
"""

import json
import os
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from vos3d_jax import files
from vos3d_jax.errors import UserError
from vos3d_jax.porting.readers.lazy import row_major
from vos3d_jax.porting.readers.safetensors_file import DTYPES as SAFETENSORS_DTYPES
from vos3d_jax.porting.readers.torch_values import DTYPES as TORCH_DTYPES

_ALIGNMENT = 64
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same tensors give the same bytes, whenever they are written


def write_pth(path: str | os.PathLike, tensors: Mapping[str, Any]) -> None:
    """Writes a state dict that `torch.load(path, weights_only=True)` opens.

    Args:
        path: the file to write; one that is there is replaced.
        tensors: name -> numpy array, or lazy tensor (`shape`, `dtype`, `numpy()`), read when its turn comes.
            Names whose values are the same object share one storage, as tied weights do.

    Raises:
        UserError: a dtype that torch's archive has no name for, or the file cannot be written.
    """
    kinds = {np.dtype(dtype): kind for kind, dtype in TORCH_DTYPES.items()}
    _check(tensors, kinds)
    keys: dict[int, str] = {}
    stored = []
    for value in tensors.values():
        if id(value) not in keys:
            keys[id(value)] = str(len(keys))
            stored.append(value)
    with (
        files.replacing(path, durable=True) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        pickled = _pickle_state_dict(
            tensors, {name: keys[id(value)] for name, value in tensors.items()}, kinds
        )
        _add(archive, file, "data.pkl", pickled)
        _add(archive, file, "byteorder", b"little")
        for key, value in enumerate(stored):
            _add(archive, file, f"data/{key}", _bytes(value))
        _add(archive, file, "version", b"3\n")


def write_safetensors(
    path: str | os.PathLike, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors as safetensors; names of one object are each written in full, the format has no aliases.

    Args:
        path: the file to write; one that is there is replaced.
        tensors: name -> numpy array, or lazy tensor, which is read when its turn comes.
        metadata: free texts for the header.

    Raises:
        UserError: a dtype that the format has no name for here, or the file cannot be written.
    """
    names = {np.dtype(dtype): name for name, dtype in SAFETENSORS_DTYPES.items()}
    _check(tensors, names)
    # The widest types first, as the format's own library does: every tensor is then aligned to its items.
    order = sorted(tensors, key=lambda name: (-np.dtype(tensors[name].dtype).itemsize, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    end = 0
    for name in order:
        dtype, shape = _dtype(tensors[name]), list(tensors[name].shape)
        begin, end = end, end + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        header[name] = {"dtype": names[dtype], "shape": shape, "data_offsets": [begin, end]}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with files.replacing(path, durable=True) as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in order:
            file.write(_bytes(tensors[name]))


def _check(tensors: Mapping[str, Any], known: Mapping[np.dtype, str]) -> None:
    strange = [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if _dtype(tensor) not in known]
    if strange:
        raise UserError(f"these tensors have a type that cannot be written: {', '.join(strange[:5])}")


def _dtype(tensor: Any) -> np.dtype:
    return np.dtype(tensor.dtype).newbyteorder("=")


def _bytes(tensor: Any) -> memoryview:
    """The values, row-major and little-endian."""
    array = tensor if isinstance(tensor, np.ndarray) else tensor.numpy()
    array = np.asarray(array, order="C")
    if array.dtype.newbyteorder("<") != array.dtype and array.dtype.itemsize > 1:
        array = array.astype(array.dtype.newbyteorder("<"))
    return memoryview(array.reshape(-1).view(np.uint8))


def _add(archive: zipfile.ZipFile, file: BinaryIO, name: str, content: bytes | memoryview) -> None:
    """A member whose content begins at a multiple of 64 bytes, so that it can be mapped."""
    member = zipfile.ZipInfo(f"archive/{name}", _EPOCH)
    large = len(content) > zipfile.ZIP64_LIMIT
    unpadded = file.tell() + 30 + len(member.filename) + 4 + 20 * large
    padding = -unpadded % _ALIGNMENT
    member.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    with archive.open(member, "w", force_zip64=large) as output:
        output.write(content)


def _pickle_state_dict(
    tensors: Mapping[str, Any], keys: Mapping[str, str], kinds: Mapping[np.dtype, str]
) -> bytes:
    """A pickle (protocol 2) of an ordered dict of tensors, in the instructions that torch writes itself."""
    new_dict = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", new_dict, b"("]
    for name, tensor in tensors.items():
        kind = f"ctorch\n{kinds[_dtype(tensor)]}\n".encode()
        numel = int(np.prod(tensor.shape, dtype=np.int64))
        storage = [b"(", _text("storage"), kind, _text(keys[name]), _text("cpu"), _integer(numel), b"tQ"]
        shape, strides = _integers(tensor.shape), _integers(row_major(tuple(tensor.shape)))
        parts += [_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(", *storage, _integer(0), shape, strides]
        parts += [b"\x89", new_dict, b"tR"]
    return b"".join([*parts, b"u."])


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(_integer(int(value)) for value in values) + b"t"
