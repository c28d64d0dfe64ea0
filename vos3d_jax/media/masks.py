"""Masks from and to files: stored values of every kind of picture, palette PNGs, resizing without new values.

A mask is never read through its colours: palette images give their raw index, so that ids survive exactly.
What the values mean is told by all masks of a video together: `media.encodings`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media.images import DEEP_MODES, decode, rgb, write_image
from vos3d_jax.media.png import read_plain_png

# What a mask's file can be that cannot be read for certain, and the mend.
FAULTS = {
    "JPEG": ("{path} is a JPEG, which blurs ids", "write the masks as palette or grey PNG"),
    "mode": ("{path} has the image mode {detail}", "save the masks as palette or grey PNG with 8 bits"),
    "colours": (
        "{path} has colours instead of ids",
        "save the masks as palette or grey PNG whose pixel values are the object ids 0, 1, 2, ...",
    ),
    "alpha": (
        "{path} has its shape in the alpha channel",
        "save that channel as a grey PNG, 0 for background and 255 for the object",
    ),
    "palette": (
        "{path} shows 0, the background, brighter than {detail}",
        "save the masks as grey PNG, 0 for background and 255 for the object, or ids 1, 2, ...",
    ),
    "soft edges": (
        "{path} has {detail} grey levels, so its edges are soft",
        "threshold the masks in the middle and write 0 and 1 (or ids); mask_values=half cuts them there",
    ),
    "greys": (
        "{path} has the greys {detail}, which are no ids",
        "write ids 1, 2, ..., or 0 and 255 for one object; mask_values=half cuts them there",
    ),
    "stray": (
        "{path} has {detail}, in a video with more of 255 (white, or void) than of all ids",
        "write 0 and 255 alone for one object (mask_values=half cuts there), or say that 255 is void "
        "(mask_values=ids)",
    ),
    "background": (
        "{path} has several greys, of which 0, the background, is not the most common ({detail} is)",
        "write 0 for background and ids 1, 2, ... for objects",
    ),
    "shades": (
        "{path} shows the ids {detail} as greys of other numbers",
        "save the masks as grey PNG whose pixel values are the ids, or with a palette of colours",
    ),
    "other palette": (
        "{path} shows the id {detail} in another colour than the masks before it",
        "save all masks of a video with one palette, so that an id is one object",
    ),
}


class UnfitMask(UserError):
    """A mask whose values cannot be told for certain: `kind` (a row of `FAULTS`), `path` and `detail`."""

    def __init__(self, kind: str, path: str | Path, detail: str = ""):
        what, mend = FAULTS[kind]
        super().__init__(f"{what.format(path=path, detail=detail)}: {mend}")
        self.kind, self.path, self.detail = kind, str(path), detail


@dataclass(frozen=True)
class StoredMask:
    """What a mask's file holds, whatever it means.

    Attributes:
        values: the raw index of a palette picture, else the grey value or the bit, uint8 [h, w].
        palette: the colours of a palette picture, R, G, B of index 0, 1, ...; None of others.
    """

    values: UInt8[np.ndarray, "h w"]
    palette: bytes | None = None


# The Pascal VOC colours, which DAVIS uses too: the bits of an id dealt out to R, G, B from the top.
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
PALETTE = np.concatenate([np.packbits(_BITS[:, channel::3], axis=1) for channel in range(3)], axis=1)


def read_stored(path: str | Path) -> StoredMask:
    """Returns the values of a mask as stored: of palettes (P), one bit (1) and greys (L, LA, RGB, RGBA).

    Raises:
        UnfitMask: it is a JPEG, has colours, more than 8 bits, or its shape in the alpha channel; or its
            palette shows the background brighter than a grey or black object, as of tools that sort colours.
        UserError: the file is missing, truncated or no picture.
    """
    plain = read_plain_png(path)  # nearly all masks; half of what scoring took was decoding by Pillow
    if plain is not None:
        values, palette = plain
        if palette is not None:
            _require_dark_background(path, values, palette)
        return StoredMask(values, palette)
    image = decode(path, "a mask (PNG with ids)")
    palette = None
    if image.format == "JPEG":
        raise UnfitMask("JPEG", path)
    if image.mode == "P":
        values, palette = np.array(image), bytes(image.getpalette() or ())
        _require_dark_background(path, values, palette)
    elif image.mode == "1":
        values = np.array(image).astype(np.uint8)
    elif image.mode in ("L", "LA"):
        values = np.array(image.convert("L"))
    elif image.mode in ("RGB", "RGBA"):
        values = _equal_channels(image)
        if values is None:
            raise UnfitMask("colours", path)
    else:
        raise UnfitMask("mode", path, image.mode)
    _require_opaque(path, image)
    return StoredMask(values, palette)


def read_ids(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """Returns the values of a mask of a data set that promises ids: as they are stored, 255 is void."""
    return read_stored(path).values


def read_grey(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """Returns the brightness of a black and white mask, uint8 [h, w]; of a palette that of its colours.

    Raises:
        UnfitMask: it has its shape in the alpha channel.
        UserError: the file is missing, truncated, no picture, or has colours or more than 8 bits.
    """
    image = decode(path, "a mask (grey PNG or BMP)")
    if image.mode in DEEP_MODES:
        raise UserError(f"{path} has more than 8 bits a channel: save it with 8 bits")
    values = _equal_channels(image)
    if values is None:
        raise UserError(f"{path} has colours instead of ids: save the mask in black and white")
    _require_opaque(path, image)
    return values


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
    """Returns the mask at `size` (height, width) by Pillow's nearest neighbour, without new values.

    Pixel (y, x) takes the value at (floor((y + 0.5) h / new_h), floor((x + 0.5) w / new_w)). OpenCV's and
    PyTorch's "nearest" leave out the 0.5 and shift the mask by half a pixel.
    """
    if mask.shape == tuple(size):
        return mask
    return np.array(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _equal_channels(image: Image.Image) -> UInt8[np.ndarray, "h w"] | None:
    """The grey value of a picture without colours; None of one that has some."""
    colours = rgb(image, "a mask")
    return colours[..., 0].copy() if (colours == colours[..., :1]).all() else None


def _require_dark_background(path: str | Path, values: np.ndarray, palette: bytes) -> None:
    background = sum(palette[:3])
    if not background:
        return
    for value in map(int, np.flatnonzero(np.bincount(values.ravel()))):
        colour = palette[3 * value : 3 * value + 3]
        if value and len(set(colour)) == 1 and sum(colour) < background:
            raise UnfitMask("palette", path, str(value))


def _require_opaque(path: str | Path, image: Image.Image) -> None:
    """Raises `UnfitMask` where transparency draws a shape, or hides objects and not the background."""
    if image.mode in ("LA", "RGBA"):
        lowest, highest = image.getchannel("A").getextrema()
        if lowest != highest:
            raise UnfitMask("alpha", path)
    hidden = image.info.get("transparency")
    if hidden is None:
        return
    values = np.array(image.convert("L") if image.mode == "1" else image)
    opacity = np.full(256, 255)
    if isinstance(hidden, bytes):
        opacity[: len(hidden)] = list(hidden[:256])
    else:
        opacity[(hidden[0] if isinstance(hidden, tuple) else hidden) % 256] = 0
    if (opacity[values] < opacity[0]).any():
        raise UnfitMask("alpha", path)
