"""FBMS-59: 59 sequences of moving objects, of which some frames are annotated.

Ochs, Malik and Brox, PAMI 2014. Ids follow the definition file where there is one; else they are the colours
of the whole sequence in the order of their codes, so that a colour is one id in all its frames.
"""

import functools
import logging
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Integer, UInt8

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.media.netpbm import read_netpbm

PAGE = "https://lmb.informatik.uni-freiburg.de/resources/datasets/"
_TITLE = "FBMS-59"
_FOLDERS = {"train": "Trainingset", "test": "Testset"}
_WHITE = 0xFFFFFF
# Regions of the definition file that are background; everywhere else it is the first alone.
_BACKGROUND_REGIONS = {"marple2": (0, 2, 4), "marple7": (0, 2), "marple10": (0, 2), "marple13": (0, 2)}
# Without a definition file: what two of these hold in darker greys (of 255) is background too.
_DARKEST_OBJECT = {"marple2": 0.4 * 255, "marple7": 0.05 * 255}

_log = logging.getLogger(__name__)


def fbms(split: str, *, data_dir: str | Path | None) -> list[Video]:
    """Returns the sequences of a split of FBMS-59; `read_mask` gives None in frames that are not annotated.

    Layouts, tried in this order for the whole split:

        Testset/<seq>/<seq>_0001.jpg  +  Testset/<seq>/GroundTruth/<seq>_0001_gt.ppm, .pgm or .png   (release)
        Testset/<seq>/<seq>_0001.jpg  +  inst/test/<seq>/<seq>_0001.png         (converted, as 3DC-Seg reads)

    A mask belongs to the frame of its number, whatever the padding. A mask whose number no frame has, and a
    first mask without any object, are defects of the data: they are left out and reported. Ids are those of
    the regions in `<seq>Def.dat`; without that file of the colours, white (ppm) and 0 (pgm) being background.
    Of PNG masks whatever is not 0 is object 1, as in 3DC-Seg (255 too).

    Args:
        split: "train" or "test" (Trainingset, Testset).
        data_dir: the folder that holds Trainingset and Testset, or the folder above `FBMS`.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    listing.require_split(_TITLE, split, _FOLDERS)
    root = listing.find_root(_TITLE, PAGE, data_dir, (_FOLDERS[split],), ("FBMS", "FBMS-59"))
    sequences = root / _FOLDERS[split]
    converted = root / "inst" / split
    names = listing.present(_TITLE, PAGE, sequences, FBMS[split])
    if any((sequences / name / "GroundTruth").is_dir() for name in names):
        return [_video(name, sequences / name, sequences / name / "GroundTruth") for name in names]
    if not converted.is_dir():
        raise UserError(
            f"{_TITLE} has no masks: neither {sequences / names[0] / 'GroundTruth'} nor {converted} "
            f"is a folder; fetch them from {PAGE}"
        )
    return [_video(name, sequences / name, converted / name) for name in names]


def _video(name: str, frames_dir: Path, masks_dir: Path) -> Video:
    frames = listing.frames_of(name, frames_dir)
    numbered, ending = _mask_files(listing.masks_folder(name, masks_dir, PAGE))
    masks = listing.paired_by_number(frames, numbered)
    outside = [path for path in numbered.values() if path not in masks.values()]
    fact = "masks have a number that no frame has and are left out"
    listing.report(f"{_TITLE} {name}", [path.name for path in outside], len(numbered), fact)
    decode = listing.merged
    if ending != ".png" and masks:
        defined = _defined_objects(name, masks_dir)
        darkest = _DARKEST_OBJECT.get(name, 0.0)
        decode = functools.partial(_regions, tuple(masks.values()), defined, darkest)
        first = next(iter(masks))
        if not _objects(masks[first], defined, darkest):
            empty = masks.pop(first).name
            _log.warning("%s %s: the first mask, %s, is empty and is left out", _TITLE, name, empty)
    if not masks:
        raise UserError(f"{masks_dir} holds no usable mask of {name!r}: fetch it from {PAGE}")
    return listing.make_video(name, frames, masks, decode)


def _mask_files(directory: Path) -> tuple[dict[int, Path], str]:
    """The masks by number, in order, and their ending: ppm if there are any, else pgm, else png."""
    for ending in (".ppm", ".pgm", ".png"):
        masks = {
            stem.removesuffix("_gt"): path
            for stem, path in listing.files_by_stem(directory, (ending,)).items()
            if not stem.endswith("PROB_gt")
        }
        if masks:
            return listing.by_number(masks), ending
    raise UserError(f"{directory} holds no masks: expected .ppm, .pgm or .png files; fetch them from {PAGE}")


def _defined_objects(name: str, directory: Path) -> tuple[int, ...] | None:
    """The codes of the object regions, in their order, from the definition file; None if there is none.

    The file has a label in one line and its value in the next: "Total number of regions", then for each
    "Scale of region k" with 65536 R + 256 G + B or the grey value.
    """
    path = next((path for path in sorted(listing.visible(directory)) if path.name.endswith("Def.dat")), None)
    if path is None:
        return None
    lines = [line.strip().lower() for line in path.read_text("latin-1").splitlines() if line.strip()]
    labelled = list(zip(lines, lines[1:], strict=False))
    try:
        total = next(int(value) for label, value in labelled if label.startswith("total number of regions"))
        codes = [int(value) for label, value in labelled if label.startswith("scale of region")]
        if total != len(codes):
            raise ValueError
    except (StopIteration, ValueError):
        raise UserError(
            f'{path} is damaged: expected "Total number of regions" and for each a "Scale of region" with '
            f"its code; fetch it again from {PAGE}"
        ) from None
    background = _BACKGROUND_REGIONS.get(name, (0,))
    return tuple(code for index, code in enumerate(codes) if index not in background)


def _regions(
    paths: tuple[Path, ...],
    defined: tuple[int, ...] | None,
    darkest: float,
    path: Path,
    size: tuple[int, int],
) -> UInt8[np.ndarray, "h w"]:
    codes = _packed(read_netpbm(path))
    listing.require_mask_size(path, codes.shape, size)
    mask = np.zeros(codes.shape, np.uint8)
    for index, code in enumerate(_sequence_objects(paths, darkest) if defined is None else defined, 1):
        mask[codes == code] = index
    return mask


@functools.lru_cache(maxsize=64)
def _sequence_objects(paths: tuple[Path, ...], darkest: float) -> tuple[int, ...]:
    return tuple(sorted({code for path in paths for code in _objects(path, None, darkest)}))


def _objects(path: Path, defined: tuple[int, ...] | None, darkest: float) -> list[int]:
    """The codes of the objects in one mask."""
    values = read_netpbm(path)
    codes = _packed(values).ravel()
    used = np.unique(codes[np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))]).tolist()
    if defined is not None:
        return [code for code in used if code in defined]
    if values.ndim == 3:
        return [code for code in used if code != _WHITE]
    shift = 8 if values.dtype == np.uint16 else 0  # the loaders with this rule see the upper 8 bits
    return [code for code in used if code and (not darkest or code >> shift > darkest)]


def _packed(values: Integer[np.ndarray, "h w *channels"]) -> Int32[np.ndarray, "h w"]:
    """One number a pixel, as in the definition files: 65536 R + 256 G + B, or the grey value."""
    values = values.astype(np.int32)
    return values if values.ndim == 2 else values @ np.array([65536, 256, 1], np.int32)


# fmt: off
FBMS = {
    "train": (
        "bear01", "bear02", "cars2", "cars3", "cars6", "cars7", "cars8", "cars9", "cats02", "cats04",
        "cats05", "cats07", "ducks01", "horses01", "horses03", "horses06", "lion02", "marple1", "marple10",
        "marple11", "marple13", "marple3", "marple5", "marple8", "meerkats01", "people04", "people05",
        "rabbits01", "rabbits05",
    ),
    "test": (
        "camel01", "cars1", "cars10", "cars4", "cars5", "cats01", "cats03", "cats06", "dogs01", "dogs02",
        "farm01", "giraffes01", "goats01", "horses02", "horses04", "horses05", "lion01", "marple12",
        "marple2", "marple4", "marple6", "marple7", "marple9", "people03", "people1", "people2",
        "rabbits02", "rabbits03", "rabbits04", "tennis",
    ),
}
# fmt: on
