"""Binary netpbm pictures (PGM P5, PPM P6) with their values as stored.

FBMS-59 keeps region codes in them (Ochs, Malik and Brox, PAMI 2014). Pillow scales values to the full range
when the file's maximum is not 255 or 65535, which would change the codes.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from vos3d_jax.errors import UserError

_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([56])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)\s")


def read_netpbm(path: str | Path) -> Integer[np.ndarray, "h w *channels"]:
    """Returns the values of a picture, not scaled: uint8 or uint16, [h, w] (PGM) or RGB [h, w, 3] (PPM).

    Raises:
        UserError: the file is missing, truncated, or no binary PGM or PPM.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): fetch it again") from None
    header = _HEADER.match(data)
    if header is None:
        raise UserError(f"{path} cannot be read as a binary PGM or PPM: the file is damaged, fetch it again")
    kind, width, height, largest = (int(number) for number in header.groups())
    shape = (height, width) if kind == 5 else (height, width, 3)
    dtype = np.dtype(np.uint8 if largest < 256 else ">u2")
    count = int(np.prod(shape, dtype=object))
    if not count or not 0 < largest < 65536 or len(data) - header.end() < count * dtype.itemsize:
        raise UserError(
            f"{path} is damaged: its header says {width}x{height} up to {largest}, of which "
            f"{len(data) - header.end()} bytes are there; fetch it again"
        )
    values = np.frombuffer(data, dtype, count, header.end()).reshape(shape)
    return values.astype(dtype.newbyteorder("="))
