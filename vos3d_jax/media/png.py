"""The PNGs that nearly all masks are, decoded by inflating them: in half of the time that Pillow takes.

Masks are small files of large pictures, so that what a library does beside inflating decides. Only PNGs with
8 bits of grey or palette are read here whose rows are stored as they are or as differences to the left (as
Pillow, OpenCV and DAVIS write masks). All others, and damaged ones, are Pillow's, which knows what to say.
PNG specification, third edition, sections 5, 9 and 11.
"""

import os
import stat
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.media.reading import MOST_PIXELS

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # types of colour
_NOT_PLAIN = (b"tRNS", b"acTL")  # transparency, animation: what the pixels are is not all in the pixels
_LARGEST = 2 * MOST_PIXELS  # bytes of a file: what is larger is read by Pillow, piece by piece
_LEFT = 1  # the filter of rows; 0: none


def png_size(path: str | Path) -> tuple[int, int] | None:
    """Returns (height, width) of a PNG from its header, in a fifth of Pillow's time; None: none, or huge.

    Errors as `open`.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
        return None
    with open(path, "rb", buffering=0) as file:
        head = file.read(24)
    return _size(head[16:]) if head[:8] == _SIGNATURE and head[12:16] == b"IHDR" else None


def _size(header: bytes) -> tuple[int, int] | None:
    """(height, width) of a header; None: Pillow is to say what it thinks of it."""
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return (height, width) if 0 < width * height <= MOST_PIXELS else None


def read_plain_png(path: str | Path) -> tuple[UInt8[np.ndarray, "h w"], bytes | None] | None:
    """Returns the values of a plain PNG, and its palette (R, G, B of index 0, 1, ...; None: it is grey).

    None: it is not there, damaged, or one of the others.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST:
            return None
        data = Path(path).read_bytes()
    except OSError:
        return None
    chunks = _chunks(data)
    if chunks is None or chunks[0][0] != b"IHDR":
        return None
    header = chunks[0][1]
    size = _size(header)
    palette = next((body for kind, body in chunks if kind == b"PLTE"), None)
    colour = _GREY if palette is None else _PALETTE
    if size is None or header[8:] != bytes([8, colour, 0, 0, 0]):
        return None
    height, columns = size[0], size[1] + 1
    data = b"".join(body for kind, body in chunks if kind == b"IDAT")
    # Of greys, the first row tells: whoever filters to the left does so from there, and Pillow mixes filters.
    if colour == _GREY and _inflated(data, 1) != bytes([_LEFT]):
        return None
    rows = _inflated(data, height * columns + 1)
    if rows is None or len(rows) != height * columns:
        return None
    table = np.frombuffer(rows, np.uint8).reshape(height, columns)
    filters, values = table[:, 0], table[:, 1:].copy()
    if filters.max() > _LEFT:
        return None
    if filters.any():
        values[filters == _LEFT] = _added_up(table[filters == _LEFT])
    return values, palette


def _chunks(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """(kind, content) of the chunks; None: they are not whole, or more than a plain picture."""
    if data[:8] != _SIGNATURE:
        return None
    chunks, place, view = [], 8, memoryview(data)
    while not chunks or chunks[-1][0] != b"IEND":
        begin, end = place + 8, place + 8 + int.from_bytes(data[place : place + 4])
        kind = data[place + 4 : begin]
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(data[end : end + 4]) or len(data) < end + 4:
            return None
        if kind in _NOT_PLAIN or (kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND") and kind[:1].isupper()):
            return None
        chunks.append((kind, data[begin:end]))
        place = end + 4
    return chunks


def _inflated(data: bytes, most: int) -> bytes | None:
    """What is compressed, or its first `most` bytes; None: it is damaged."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, most)
    except zlib.error:
        return None
    return inflated if len(inflated) == most or stream.eof else None


def _added_up(rows: UInt8[np.ndarray, "n columns"]) -> UInt8[np.ndarray, "n _w"]:
    """The values of rows of differences to the left, the first column being their filter.

    Masks are long runs, so runs are added up and then spread, which takes a third of adding up pixels.
    """
    begins = rows != 0
    begins[:, 0] = True
    places = np.flatnonzero(begins)
    heads = np.flatnonzero(places % rows.shape[1] == 0)
    steps = rows.ravel()[places]
    steps[heads] = 0
    steps[heads[1:]] -= np.add.reduceat(steps, heads, dtype=np.uint8)[:-1]  # each row begins with 0
    lengths = np.diff(places, append=rows.size)
    return np.repeat(np.cumsum(steps, dtype=np.uint8), lengths).reshape(rows.shape)[:, 1:]
