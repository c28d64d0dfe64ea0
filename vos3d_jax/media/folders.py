"""The frames of a video that lie as pictures in a folder."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from vos3d_jax.errors import UserError
from vos3d_jax.media.images import natural_order, read_image
from vos3d_jax.media.reading import Picture

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")


def picture_files(folder: Path) -> list[Path]:
    """Returns the pictures of a folder in natural order.

    Raises:
        UserError: there are none, or two for one frame.
    """
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise UserError(
            f"{folder} holds no pictures ({', '.join(IMAGE_SUFFIXES)}): give the folder that holds the "
            "frames of one video"
        )
    files = sorted(found, key=lambda file: natural_order(file.name))
    [(stem, count)] = Counter(file.stem for file in files).most_common(1)
    if count > 1:
        raise UserError(f"{folder} holds {count} pictures named {stem}: keep one file for each frame")
    return files


def read_pictures(files: Iterable[Path]) -> Iterator[Picture]:
    """Yields a picture for each file, without pixels where it cannot be decoded."""
    for file in files:
        try:
            yield Picture(read_image(file))
        except UserError as error:
            yield Picture(None, said=str(error))
