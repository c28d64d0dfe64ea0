"""Pictures and masks from and to files: RGB frames, id masks of every encoding in use, palette PNGs.

The encodings and their traps: specs/datasets.md sections 1, 2 and 12. A mask is never read through its
colours: palette images give their raw index, so that ids survive exactly.
"""

import io
import os
import re
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

from vos3d_jax.errors import UserError

VOID = 255
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def _voc_palette() -> UInt8[np.ndarray, "256 3"]:
    """The Pascal VOC colours, which DAVIS uses too: the bits of an id dealt out to R, G, B from the top."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            palette[:, channel] |= (((ids >> (3 * level + channel)) & 1) << (7 - level)).astype(np.uint8)
    return palette


PALETTE = _voc_palette()


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as RGB, uint8 [h, w, 3].

    Grey is repeated, transparency is dropped, palette and CMYK pictures are converted; the orientation tag of
    cameras is ignored, as in the published systems.

    Raises:
        UserError: the file is missing, truncated, no picture, or has more than 8 bits a channel.
    """
    image = _decode(path, "a picture (JPEG or PNG)")
    if image.mode in _DEEP_MODES:
        raise UserError(f"{path} has more than 8 bits a channel: save it with 8 bits")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


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
    image = _decode(path, "a mask (grey PNG or BMP)")
    if image.mode in _DEEP_MODES:
        raise UserError(f"{path} has more than 8 bits a channel: save it with 8 bits")
    return _equal_channels(path, image, "save the mask in black and white")


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of a picture, from its header alone.

    Raises:
        UserError: the file is missing or no picture.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except _BROKEN as error:
        raise _unreadable(path, "a picture", error) from None


def write_palette_png(path: str | Path, mask: UInt8[np.ndarray, "h w"]) -> None:
    """Writes the ids of a mask as a palette PNG (8 bits, Pascal VOC colours), as DAVIS stores results.

    The file appears whole or not at all; its folder is made.

    Raises:
        UserError: the file cannot be written.
    """
    image = Image.fromarray(mask)
    image.putpalette(PALETTE.tobytes())
    _write_png(path, image)


def write_png(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes an RGB picture as PNG, whole or not at all; errors as `write_palette_png`."""
    _write_png(path, Image.fromarray(picture))


def write_map_png(path: str | Path, values: Float32[np.ndarray, "h w"]) -> None:
    """Writes a map of values in 0..1 as a grey PNG of 16 bits, round(65535 x), whole or not at all.

    Values outside are clipped; errors as `write_palette_png`.
    """
    _write_png(path, Image.fromarray(np.round(np.clip(values, 0, 1) * 65535).astype(np.uint16)))


def write_file(path: str | Path, data: bytes) -> None:
    """Writes a file whole or not at all (a temporary name in the same folder, then a rename).

    Raises:
        UserError: the folder cannot be made or written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}): name a folder that can be written to and has space"
        ) from None


def natural_order(name: str) -> list[str | int]:
    """Returns a sort key under which frame2 comes before frame10."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split("([0-9]+)", name))]


def short_edge_size(size: tuple[int, int], short_edge: int) -> tuple[int, int]:
    """Returns (height, width) with the shorter side at `short_edge`, both rounded half to even."""
    scale = Fraction(short_edge, min(size))
    height, width = (round(side * scale) for side in size)
    return height, width


def resize_bilinear(
    picture: Shaped[np.ndarray, "h w *channels"], size: tuple[int, int]
) -> Shaped[np.ndarray, "_h _w *channels"]:
    """Returns a uint8 RGB frame or a float32 map at `size` (height, width), averaging when it shrinks.

    The filter is Pillow's, as in the published code; OpenCV's bilinear does not average.
    """
    if picture.shape[:2] == tuple(size):
        return picture
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR))


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
    image = _decode(path, "a mask (PNG with ids)")
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


def _decode(path: str | Path, expected: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except _BROKEN as error:
        raise _unreadable(path, expected, error) from None


def _unreadable(path: str | Path, expected: str, error: BaseException) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} is missing: {expected} was expected there")
    return UserError(
        f"{path} cannot be read as {expected} ({error}): the file is damaged, fetch or make it again"
    )


def _write_png(path: str | Path, image: Image.Image) -> None:
    data = io.BytesIO()
    image.save(data, format="PNG")
    write_file(path, data.getvalue())
