"""Masks as bits, 64 pixels a word: what J and F do to them then costs microseconds.

Bitmaps are [masks, rows, words] of uint64, column 0 in the lowest bit of the first word. Rows end with at
least `margin` empty bits, so that a shift by up to `margin` pixels may run over all rows at once: what leaves
one row on the right or left only reaches empty bits.
"""

import sys
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt64

from vos3d_jax.evaluation.metrics.foreground import Mask

Bitmaps = UInt64[np.ndarray, "masks rows words"]

_WORD = 64


def pack(masks: Sequence[Mask], margin: int) -> Bitmaps:
    """Returns bitmaps of masks of one size: set wherever a mask is not zero."""
    height, width = masks[0].shape
    words = -(-(width + margin) // _WORD)
    bits = np.zeros((len(masks), height, 8 * words), np.uint8)
    for mask, into in zip(masks, bits, strict=True):
        plain = mask if mask.dtype in (np.bool_, np.uint8) else mask != 0
        into[:, : -(-width // 8)] = np.packbits(plain, axis=1, bitorder="little")
    bits = bits.view(np.uint64)
    return bits if sys.byteorder == "little" else bits.byteswap()


def unpack(bits: UInt64[np.ndarray, "rows words"], width: int) -> np.ndarray:
    """Returns the bool mask [rows, width] of one bitmap."""
    bits = bits if sys.byteorder == "little" else bits.byteswap()
    return np.unpackbits(bits.view(np.uint8), axis=1, count=width, bitorder="little").view(bool)


def count(bits: UInt64[np.ndarray, "*masks rows words"]) -> Int[np.ndarray, "*masks"]:
    """Returns how many pixels are set in each bitmap."""
    return np.asarray(np.bitwise_count(bits).sum((-2, -1), dtype=np.int64))


def window(bits: Bitmaps, margin: int) -> tuple[slice, slice]:
    """Returns the rows and words that hold all that is set and its neighbours; one of each if nothing is."""
    any_row = np.bitwise_or.reduce(bits, axis=0)
    rows = np.flatnonzero(np.bitwise_or.reduce(any_row, axis=1))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    words = np.flatnonzero(np.bitwise_or.reduce(any_row, axis=0))
    return (
        slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2),
        slice(max(int(words[0]) - 1, 0), int(words[-1]) + 1 + -(-margin // _WORD)),
    )


def grown(window: tuple[slice, slice], radius: int) -> tuple[slice, slice]:
    """Returns the rows and words of a `window` and of all within `radius` pixels of it."""
    rows, words = window
    further = -(-radius // _WORD)
    return (
        slice(max(rows.start - radius, 0), rows.stop + radius),
        slice(max(words.start - further, 0), words.stop + further),
    )


def columns(words: slice) -> slice:
    """Returns the columns of the image that lie in some words."""
    return slice(_WORD * words.start, _WORD * words.stop)


def edges(bits: Bitmaps, first_word: int, width: int) -> Bitmaps:
    """Returns where a pixel differs from its right, lower or lower right neighbour inside the image.

    Args:
        bits: bitmaps; contiguous. If they are a window, rows below it hold what its last row holds.
        first_word: where the window begins in the image.
        width: of the image: its last column has no right neighbour.
    """
    # Bits of the columns that have a right neighbour: all before the image's last.
    place = np.clip(width - 1 - _WORD * (first_word + np.arange(bits.shape[2])), 0, _WORD).tolist()
    inner = np.array([(1 << bit) - 1 for bit in place], np.uint64)
    inner[-1] &= np.uint64(2 ** (_WORD - 1) - 1)  # whose right neighbour would be the next row's first pixel
    right = _shifted_left(bits, 1)
    edge = bits ^ right
    edge[:, :-1] |= bits[:, :-1] ^ right[:, 1:]
    edge &= inner
    edge[:, :-1] |= bits[:, :-1] ^ bits[:, 1:]
    return edge


def dilate(bits: Bitmaps, radius: int) -> Bitmaps:
    """Returns the pixels within `radius` (squared distances compared) of a set pixel, on the rows there are.

    The disk is taken row by row from its top: each row is the one above, grown to both sides. Beyond the
    image's width, bits may be set that mean nothing.
    """
    grown, half = bits, 0
    near = np.zeros_like(bits)
    rows = bits.shape[1]
    for dy in range(radius, -1, -1):
        wanted = int((radius**2 - dy**2) ** 0.5)
        while half < wanted:
            step = min(wanted - half, 2 * half + 1)
            grown = grown | _shifted_left(grown, step) | _shifted_right(grown, step)
            half += step
        if dy == 0:
            near |= grown
        elif dy < rows:
            near[:, dy:] |= grown[:, :-dy]
            near[:, :-dy] |= grown[:, dy:]
    return near


def _shifted_left(bits: np.ndarray, columns: int) -> np.ndarray:
    """The pixel `columns` to the right of each; fewer than 64."""
    shifted = bits >> np.uint64(columns)
    shifted.ravel()[:-1] |= bits.ravel()[1:] << np.uint64(_WORD - columns)
    return shifted


def _shifted_right(bits: np.ndarray, columns: int) -> np.ndarray:
    """The pixel `columns` to the left of each; fewer than 64."""
    shifted = bits << np.uint64(columns)
    shifted.ravel()[1:] |= bits.ravel()[:-1] >> np.uint64(_WORD - columns)
    return shifted
