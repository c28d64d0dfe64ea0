"""Pictures from and to files, whole or not at all, and their sizes."""

import io
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

from vos3d_jax import files
from vos3d_jax.errors import UserError
from vos3d_jax.media.png import png_size
from vos3d_jax.media.reading import MOST_PIXELS

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP")  # no other is looked into, whatever a file says it is
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
# The most pixels that a byte of a file can hold. JPEG: a flat colour is a byte for 341 pixels, and of a
# progressive one libjpeg holds all, 6 bytes each, before it sees that there is less. Deflate makes 1032 bytes
# of one, LZW 1365, of 8 pixels each. Lossless WebP has no limit.
_DENSEST = {"JPEG": 1024, "MPO": 1024, "PNG": 8256, "TIFF": 10920}
_ORIENTATION = 0x0112  # the tag of EXIF and TIFF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path, upright: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the picture as RGB, as it is stored: how published systems read their data sets.

    Grey is repeated, transparency is dropped, palette and CMYK pictures are converted.

    Args:
        path: the file.
        upright: as viewers show it, turned by its `orientation`; TIFF is always.

    Raises:
        UserError: the file is missing, truncated, no picture, several pictures, has more than `MOST_PIXELS`,
            or more than 8 bits a channel.
    """
    with opened(path, "a picture (JPEG or PNG)") as image:
        # Pillow turns TIFF itself.
        turn = _TURNS.get(_orientation(image)) if upright and image.format != "TIFF" else None
        return rgb(image if turn is None else image.transpose(turn), path)


def image_size(path: str | Path, upright: bool = False) -> tuple[int, int]:
    """Returns (height, width) of what `read_image` gives, from the header; errors as far as that tells."""
    if not upright and os.path.isfile(path) and (size := png_size(path)) is not None:
        return size
    with opened(path, "a picture") as image:
        swapped = upright and _orientation(image) >= 5 and image.format != "TIFF"
        return image.size if swapped else image.size[::-1]


def orientation(path: str | Path) -> int:
    """Returns the orientation tag of cameras (EXIF 2.32, 4.6.4), 1 where there is none; errors as there."""
    with opened(path, "a picture") as image:
        return _orientation(image)


def decode(path: str | Path, expected: str) -> Image.Image:
    """Returns the pixels as Pillow's image, in the mode of the file; arguments and errors as `opened`."""
    with opened(path, expected) as image:
        image.load()
        return image


@contextmanager
def opened(path: str | Path, expected: str) -> Iterator[Image.Image]:
    """Pillow's image of a file: format, mode and size are known, no pixel is decoded; for a `with`.

    All pictures are opened here. Of JPEGs with further pictures (depth, brightness) it is the main one.

    Args:
        path: the file.
        expected: what a refusal asks for.

    Raises:
        UserError: the file is missing, of none of the `FORMATS`, several pictures, or has more than
            `MOST_PIXELS`; within the block, also if Pillow cannot decode it.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        state = "is no file" if os.path.exists(path) else "is missing"
        raise UserError(f"{path} {state}: {expected} was expected there")
    try:
        # Pillow's warnings are about what is damaged beside the pixels.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise _too_large(path)
            stored = os.path.getsize(path)
            if image.width * image.height > stored * _DENSEST.get(image.format, math.inf):
                raise _damaged(path, expected, f"{stored} bytes for {image.width}x{image.height}")
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise UserError(
                    f"{path} holds several pictures (an animation, or pages): save each as a file of its own"
                )
            yield image
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except PermissionError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give yourself the right to") from None
    except Image.UnidentifiedImageError:
        raise _damaged(path, expected, f"it is none of {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow does not say which, and damaged files have raised a dozen kinds
        raise _damaged(path, expected, files.reason(error)) from None


def rgb(image: Image.Image, name: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Returns Pillow's image as RGB by the rule of `read_image`; `name` is what a refusal calls it.

    Raises:
        UserError: it has more than 8 bits a channel.
    """
    if image.mode in DEEP_MODES:
        raise UserError(f"{name} has more than 8 bits a channel: save it with 8 bits")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def write_jpeg(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes an RGB picture as JPEG, whole or not at all: to look at, in a fifteenth of a PNG's time.

    Colours keep their full resolution, so that outlines and text stay crisp; errors as `files.write`.
    """
    write_image(path, Image.fromarray(picture), format="JPEG", quality=90, subsampling="4:4:4")


def write_map_png(path: str | Path, values: Float32[np.ndarray, "h w"]) -> None:
    """Writes a map of values in 0..1 as a grey PNG of 16 bits, round(65535 x), whole or not at all.

    Values outside are clipped; errors as `files.write`.
    """
    write_image(path, Image.fromarray(np.round(np.clip(values, 0, 1) * 65535).astype(np.uint16)))


def write_image(path: str | Path, image: Image.Image, *, format: str = "PNG", **options) -> None:
    """Writes Pillow's image, whole or not at all, with the options of its format; errors as `files.write`."""
    data = io.BytesIO()
    image.save(data, format=format, **options)
    files.write(path, data.getvalue())


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


def _orientation(image: Image.Image) -> int:
    """The tag of an opened picture; 1, upright, where it is absent or damaged, as viewers do."""
    try:
        exif = Image.Image.getexif(image)  # PNG's own decodes the pixels if it finds none before them
        if image.format == "PNG" and _ORIENTATION not in exif:
            exif.load(_png_exif(image.filename))
        tag = exif.get(_ORIENTATION, 1)
    except Exception:  # as in `opened`
        return 1
    return tag if tag in _TURNS else 1


def _png_exif(path: str) -> bytes:
    """The content of the chunk eXIf, which may stand behind the pixels (PNG 3, 11.3.4.5)."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf":
                return file.read(length)
            file.seek(length + 4, os.SEEK_CUR)
    return b""


def _too_large(path: str | Path) -> UserError:
    return UserError(f"{path} has more than {MOST_PIXELS:,} pixels, the most that is read: make it smaller")


def _damaged(path: str | Path, expected: str, why: str) -> UserError:
    return UserError(
        f"{path} cannot be read as {expected} ({why}): the file is damaged, fetch or make it again"
    )
