"""J-HMDB: 928 clips of 21 actions with the mask of the acting person, in three splits.

Jhuang et al., ICCV 2013. Names of clips hold characters such as @ ( [ !, so no pattern is ever made of them.
"""

import dataclasses
import functools
import logging
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "http://jhmdb.is.tue.mpg.de"
_TITLE = "J-HMDB"
_VARIABLE = "part_mask"
_MARKS = {"train": "1", "test": "2"}

_log = logging.getLogger(__name__)


def jhmdb(split: str, *, data_dir: str | Path | None) -> list[Video]:
    """Returns the clips of one half of a split of J-HMDB, called "<class>/<clip>"; the person is object 1.

    Layout (frames count from 1; mask k of the MATLAB file, counted from 0, is that of frame k + 1):

        Rename_Images/<class>/<clip>/00001.png  +  puppet_mask/<class>/<clip>/puppet_mask.mat
        splits/<class>_test_split1.txt          lines "<clip>.avi 1" (train) or "<clip>.avi 2" (test)

    Frames without mask, at the end of some clips, are left out, as in the papers; so are masks without frame,
    which is reported.

    Args:
        split: "train1", "test1", ... "test3".
        data_dir: the folder that holds Rename_Images, puppet_mask and splits, or the folder above `JHMDB`.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    listing.require_split(_TITLE, split, [f"{part}{number}" for number in "123" for part in _MARKS])
    root = listing.find_root(
        _TITLE, PAGE, data_dir, ("Rename_Images", "puppet_mask", "splits"), ("JHMDB", "J-HMDB")
    )
    lists = {name: root / "splits" / f"{name}_test_split{split[-1]}.txt" for name in JHMDB_CLASSES}
    missing = [path for path in lists.values() if not path.is_file()]
    if len(missing) == len(lists):
        raise UserError(f"{_TITLE} has no lists: {missing[0]} is not there; fetch them from {PAGE}")
    listing.report(_TITLE, missing, len(lists), "classes have no list")
    return [
        _video(root, name, clip)
        for name, path in lists.items()
        if path not in missing
        for clip in _clips(path, _MARKS[split[:-1]])
    ]


def _clips(path: Path, wanted: str) -> list[str]:
    """The clips of a list that are marked `wanted`: 1 is train, 2 is test, 0 is neither."""
    clips = []
    for line in listing.read_text(path).splitlines():
        if not line.strip():
            continue
        clip, _, mark = line.strip().rpartition(" ")
        if mark not in ("0", "1", "2") or not clip.strip():
            raise UserError(f'{path} has the line "{line}": expected "<clip>.avi" and 0, 1 or 2')
        if mark == wanted:
            clips.append(clip.strip().removesuffix(".avi"))
    return clips


def _video(root: Path, label: str, clip: str) -> Video:
    name = f"{label}/{clip}"
    frames = listing.frames_of(name, root / "Rename_Images" / label / clip)
    path = root / "puppet_mask" / label / clip / "puppet_mask.mat"
    height, width, count = _mask_shape(path)
    masks = listing.paired_by_number(frames, {index + 1: (path, index) for index in range(count)})
    if not masks:
        raise UserError(f"{name!r} has no frame 1 to {count} in {root / 'Rename_Images' / label / clip}")
    if len(masks) < count:
        _log.warning("%s %s: %d masks have no frame and are left out", _TITLE, name, count - len(masks))
    video = listing.make_video(name, {stem: frames[stem] for stem in masks}, masks, _puppet_mask)
    listing.require_mask_size(path, (height, width), video.size)
    return dataclasses.replace(video, label=label)


def _mask_shape(path: Path) -> tuple[int, int, int]:
    """Height, width and number of masks, from the header."""
    from scipy.io import whosmat

    shapes = {name: shape for name, shape, _ in _matlab(path, whosmat)}
    shape = shapes.get(_VARIABLE, ())
    if len(shape) == 2:
        shape = (*shape, 1)  # MATLAB drops a last axis of length 1
    if len(shape) != 3:
        raise UserError(
            f"{path} has no array {_VARIABLE} of [height, width, time]: fetch it again from {PAGE}"
        )
    height, width, time = shape
    return height, width, time


def _puppet_mask(source: tuple[Path, int], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    path, index = source
    masks = _all_masks(path)
    listing.require_mask_size(path, masks.shape[:2], size)
    return np.ascontiguousarray(masks[:, :, index])


@functools.lru_cache(maxsize=2)
def _all_masks(path: Path) -> UInt8[np.ndarray, "h w t"]:
    """All masks of a clip, about 3 MB: a clip is read frame after frame, its file once."""
    from scipy.io import loadmat

    masks = _matlab(path, loadmat)[_VARIABLE]
    return (masks.reshape(*masks.shape[:2], -1) != 0).astype(np.uint8)


def _matlab(path: Path, read):
    if not path.is_file():
        raise UserError(f"{path} is missing: fetch the masks (puppet_mask) from {PAGE}")
    try:
        return read(path)
    except Exception as error:  # scipy has many, down to zlib's own
        raise UserError(
            f"{path} cannot be read as a MATLAB file ({error}): fetch it again from {PAGE}"
        ) from None


# fmt: off
JHMDB_CLASSES = (
    "brush_hair", "catch", "clap", "climb_stairs", "golf", "jump", "kick_ball", "pick", "pour", "pullup",
    "push", "run", "shoot_ball", "shoot_bow", "shoot_gun", "sit", "stand", "swing_baseball", "throw",
    "walk", "wave",
)
# fmt: on
