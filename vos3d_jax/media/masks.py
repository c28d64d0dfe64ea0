"""Masks from and to files: id masks of every encoding in use, palette PNGs, resizing without new values.

A mask is never read through its colours: palette images give their raw index, so that ids survive exactly.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media.images import DEEP_MODES, decode, write_image
from vos3d_jax.media.png import read_plain_png

VOID = 255


def _voc_palette() -> UInt8[np.ndarray, "256 3"]:
    """The Pascal VOC colours, which DAVIS uses too: the bits of an id dealt out to R, G, B from the top."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            palette[:, channel] |= (((ids >> (3 * level + channel)) & 1) << (7 - level)).astype(np.uint8)
    return palette


PALETTE = _voc_palette()


def read_mask(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """The ids of a mask, uint8 [h, w]: 0 background, 1.. objects, 255 void.

    | encoding | ids |
    |---|---|
    | palette (P) | the raw index; 255 stays 255 (void) |
    | grey (L, LA, RGB or RGBA with equal channels) | the value; but 255 is object 1 if all others are 0 |
    | one bit (1) | 0 and 1 |

    For data sets that promise ids, `read_ids` leaves 255 alone.

    Raises:
        UserError: the file is missing, truncated, no picture, or has colours or more than 8 bits.
    """
    mode, values = _mask_values(path)
    if mode == "P":
        return values
    foreground = values == VOID
    if foreground.any() and np.array_equal(foreground, values != 0):
        return foreground.view(np.uint8)
    return values


def read_ids(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """The values of an id mask as they are stored: as `read_mask`, but 255 is void in grey files too."""
    return _mask_values(path)[1]


def read_grey(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """The brightness of a black and white mask, uint8 [h, w]; of a palette that of its colours.

    Raises:
        UserError: the file is missing, truncated, no picture, or has colours or more than 8 bits.
    """
    image = decode(path, "a mask (grey PNG or BMP)")
    if image.mode in DEEP_MODES:
        raise UserError(f"{path} has more than 8 bits a channel: save it with 8 bits")
    return _equal_channels(path, image, "save the mask in black and white")


def write_palette_png(path: str | Path, mask: UInt8[np.ndarray, "h w"]) -> None:
    """Writes the ids of a mask as a palette PNG (8 bits, Pascal VOC colours), as DAVIS stores results.

    The file appears whole or not at all; its folder is made.

    Raises:
        UserError: the file cannot be written.
    """
    image = Image.fromarray(mask)
    image.putpalette(PALETTE.tobytes())
    write_image(path, image)


def resize_mask_nearest(
    mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]
) -> UInt8[np.ndarray, "new_h new_w"]:
    """The mask at `size` (height, width) by Pillow's nearest neighbour; no value appears that was not there.

    Pixel (y, x) takes the value at (floor((y + 0.5) h / new_h), floor((x + 0.5) w / new_w)). OpenCV's and
    PyTorch's "nearest" leave out the 0.5 and shift the mask by half a pixel.
    """
    height, width = size
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def _mask_values(path: str | Path) -> tuple[str, UInt8[np.ndarray, "h w"]]:
    """The mode of a mask's file and its values; no colour is ever taken for an id."""
    plain = read_plain_png(path)  # nearly all masks; half of what scoring took was decoding by Pillow
    if plain is not None:
        values, palette = plain
        return "L" if palette is None else "P", values
    image = decode(path, "a mask (PNG with ids)")
    if image.mode == "P":
        values = np.array(image)
    elif image.mode == "1":
        values = np.array(image).astype(np.uint8)
    elif image.mode in ("L", "LA"):
        values = np.array(image.convert("L"))
    elif image.mode in ("RGB", "RGBA"):
        mend = "save the mask as a palette or grey PNG whose pixel values are the object ids 0, 1, 2, ..."
        values = _equal_channels(path, image, mend)
    else:
        raise UserError(
            f"{path} has the image mode {image.mode}: save the mask as a palette or grey PNG with 8 bits"
        )
    return image.mode, values


def _equal_channels(path: str | Path, image: Image.Image, mend: str) -> UInt8[np.ndarray, "h w"]:
    colours = np.array(image.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise UserError(f"{path} has colours instead of ids: {mend}")
    return colours[..., 0].copy()
