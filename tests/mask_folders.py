"""Writes masks, maps and small data sets to folders, for tests of the scorer."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vos3d_jax import files
from vos3d_jax.media.masks import write_palette_png

SIZE = (24, 32)


def box(top=5, left=4, height=10, width=10, size=SIZE):
    """A mask with one rectangle."""
    mask = np.zeros(size, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def moving(length=5, shift=0, size=SIZE):
    """A rectangle that moves by a pixel a frame, `shift` pixels off."""
    return [box(left=4 + shift + index, size=size) for index in range(length)]


def write_masks(folder, masks, names=None):
    """Palette PNGs 00000.png, ... (or of other names; None leaves one out)."""
    for index, mask in enumerate(masks):
        if mask is not None:
            name = names[index] if names else f"{index:05d}"
            write_palette_png(Path(folder) / f"{name}.png", mask)


def write_grey(path, values):
    """A grey PNG of 8 or 16 bits."""
    data = io.BytesIO()
    Image.fromarray(values).save(data, format="PNG")
    files.write(path, data.getvalue())


def write_frames(folder, count, size, names=None):
    """Black PNG frames of a size."""
    data = io.BytesIO()
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(data, format="PNG")
    for index in range(count):
        files.write(Path(folder) / f"{names[index] if names else f'{index:05d}'}.png", data.getvalue())


def write_own(root, sequences):
    """One's own videos, <root>/<name>/frames and masks."""
    for name, masks in sequences.items():
        size = next(mask.shape for mask in masks if mask is not None)
        write_frames(Path(root) / name / "frames", len(masks), size)
        write_masks(Path(root) / name / "masks", masks)
    return root


def write_davis(root, sequences, year="2016", annotations="Annotations"):
    """The layout of DAVIS, with a list of the split val."""
    for name, masks in sequences.items():
        write_frames(Path(root) / "JPEGImages/480p" / name, len(masks), masks[0].shape)
        write_masks(Path(root) / annotations / "480p" / name, masks)
    files.write(Path(root) / f"ImageSets/{year}/val.txt", "\n".join(sequences).encode())
    return root
