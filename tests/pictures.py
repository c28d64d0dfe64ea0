"""Tiny pictures and folders for the tests of readers, and the true counts of the real samples."""

import json
from pathlib import Path

import numpy as np
from golden_files import shared_data
from PIL import Image

SIZE = (12, 16)


def save(path: Path, values, mode: str | None = None) -> Path:
    """Writes a picture (its folder too); `values` may be one grey value for a picture of SIZE."""
    array = np.full(SIZE, values, np.uint8) if np.isscalar(values) else np.asarray(values, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def save_ids(path: Path, ids) -> Path:
    """Writes a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(ids, np.uint8))
    image.putpalette([value for index in range(256) for value in (index, 7, 255 - index)])
    image.save(path)
    return path


def save_frame(path: Path, grey: int = 100, size: tuple[int, int] = SIZE) -> Path:
    return save(path, np.full((*size, 3), grey))


def box(first_column: int = 0, value: int = 255, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask with 12 pixels of `value`: rows 2 to 5, three columns."""
    mask = np.zeros(size, np.uint8)
    mask[2:6, first_column : first_column + 3] = value
    return mask


def manifest(prefix: str) -> dict[str, dict]:
    """What was counted in the real files below a folder of the samples, by path relative to it."""
    entries = json.loads(shared_data("MANIFEST.json").read_text())
    ours = [entry for entry in entries if entry["path"].startswith(f"{prefix}/")]
    return {entry["path"].removeprefix(f"{prefix}/"): entry for entry in ours}


def counts(mask: np.ndarray) -> dict[str, int]:
    """Pixels per value, as in the manifest."""
    values, numbers = np.unique(mask, return_counts=True)
    return {str(value): int(number) for value, number in zip(values, numbers, strict=True)}
