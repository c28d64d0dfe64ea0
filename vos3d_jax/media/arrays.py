"""Frames out of .npy and .npz files, one at a time.

Arrays are read as a stream and not mapped, because mapped pages count as memory of the process. Nothing in
a file is executed (no pickles).
"""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from vos3d_jax.errors import UserError
from vos3d_jax.media.reading import MOST_PIXELS, Picture

# What numpy and zipfile raise for damaged files, some of it undocumented.
DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError),
    *(NotImplementedError, RuntimeError, KeyError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def array_length(path: Path) -> int:
    """Returns the number of frames of an array file; raises `UserError` unless it is [t, h, w, 3] uint8."""
    with _array_stream(path) as (_, shape):
        return shape[0]


def read_array(path: Path) -> Iterator[Picture]:
    """Yields the frames of an array file; raises `UserError` where it is damaged."""
    with _array_stream(path) as (stream, (length, *size)):
        count = math.prod(size)
        for index in range(length):
            data = stream.read(count)
            if len(data) != count:
                raise UserError(f"{path} ends within frame {index} of {length}: save it again")
            yield Picture(np.frombuffer(data, np.uint8).reshape(size))


@contextmanager
def _array_stream(path: Path) -> Iterator[tuple[BufferedIOBase, tuple[int, ...]]]:
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                yield stream, _array_shape(path, stream, path.stat().st_size)
        else:
            with zipfile.ZipFile(path) as archive:
                members = archive.namelist()
                if len(members) != 1:
                    raise UserError(
                        f"{path} holds {len(members)} arrays: save one, uint8 [time, height, width, 3]"
                    )
                with archive.open(members[0]) as stream:
                    yield stream, _array_shape(path, stream, archive.getinfo(members[0]).file_size)
    except DAMAGE as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path} is not a readable array file ({reason}): save it again with numpy"
        ) from error


def _array_shape(path: Path, stream: BufferedIOBase, stored: int) -> tuple[int, ...]:
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # numpy writes others for headers above 64 kB, and reads 4 GB before it looks
        raise UserError(f"{path} has a header of version {version[0]}.{version[1]}: save it again with numpy")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or min(shape[0] + 1, *shape[1:]) < 1:
        raise UserError(f"{path} holds {dtype} {list(shape)}: save uint8 RGB frames [time, height, width, 3]")
    if shape[1] * shape[2] > MOST_PIXELS:
        raise UserError(
            f"{path} has frames of {shape[2]}x{shape[1]}, more than {MOST_PIXELS} pixels: shrink them"
        )
    if fortran_order:
        raise UserError(f"{path} is in Fortran order: save numpy.ascontiguousarray of it")
    if math.prod(shape[1:]) > stored:  # before memory for a frame is asked for
        raise UserError(f"{path} declares {list(shape)} in {stored} bytes: it is damaged, save it again")
    return shape
