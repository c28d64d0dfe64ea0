"""Pictures from and to files, whole or not at all, and their sizes."""

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
from vos3d_jax.media.png import png_size

DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as RGB, uint8 [h, w, 3].

    Grey is repeated, transparency is dropped, palette and CMYK pictures are converted; the orientation tag of
    cameras is ignored, as in the published systems.

    Raises:
        UserError: the file is missing, truncated, no picture, or has more than 8 bits a channel.
    """
    return rgb(decode(path, "a picture (JPEG or PNG)"), path)


def rgb(image: Image.Image, name: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Pillow's image as RGB by the rule of `read_image`; `name` is what a refusal calls it.

    Raises:
        UserError: it has more than 8 bits a channel.
    """
    if image.mode in DEEP_MODES:
        raise UserError(f"{name} has more than 8 bits a channel: save it with 8 bits")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def decode(path: str | Path, expected: str) -> Image.Image:
    """A picture's pixels as Pillow's image, in the mode of the file; `expected` is what a refusal asks for.

    Raises:
        UserError: the file is missing, truncated or no picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except _BROKEN as error:
        raise _unreadable(path, expected, error) from None


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of a picture, from its header alone.

    Raises:
        UserError: the file is missing or no picture.
    """
    try:
        size = png_size(path)
        if size is not None:
            return size
        with Image.open(path) as image:
            return image.height, image.width
    except _BROKEN as error:
        raise _unreadable(path, "a picture", error) from None


def write_png(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes an RGB picture as PNG, whole or not at all; errors as `write_file`."""
    write_image(path, Image.fromarray(picture))


def write_jpeg(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes an RGB picture as JPEG, whole or not at all: to look at, in a fifteenth of a PNG's time.

    Colours keep their full resolution, so that outlines and text stay crisp; errors as `write_file`.
    """
    write_image(path, Image.fromarray(picture), format="JPEG", quality=90, subsampling="4:4:4")


def write_map_png(path: str | Path, values: Float32[np.ndarray, "h w"]) -> None:
    """Writes a map of values in 0..1 as a grey PNG of 16 bits, round(65535 x), whole or not at all.

    Values outside are clipped; errors as `write_file`.
    """
    write_image(path, Image.fromarray(np.round(np.clip(values, 0, 1) * 65535).astype(np.uint16)))


def write_image(path: str | Path, image: Image.Image, *, format: str = "PNG", **options) -> None:
    """Writes Pillow's image, whole or not at all, with the options of its format; errors as `write_file`."""
    data = io.BytesIO()
    image.save(data, format=format, **options)
    write_file(path, data.getvalue())


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


def _unreadable(path: str | Path, expected: str, error: BaseException) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} is missing: {expected} was expected there")
    return UserError(
        f"{path} cannot be read as {expected} ({error}): the file is damaged, fetch or make it again"
    )
