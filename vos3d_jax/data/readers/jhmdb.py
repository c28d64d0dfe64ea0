"""J-HMDB: 928 clips of 21 actions with the mask of the acting person, in three splits.

Jhuang et al., ICCV 2013. Names of clips hold characters such as @ ( [ !, so no pattern is ever made of them.
"""

import functools
import logging
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.readers import files
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "http://jhmdb.is.tue.mpg.de"
_TITLE = "J-HMDB"
_VARIABLE = "part_mask"
_SETS = {"train": "1", "test": "2"}

_log = logging.getLogger(__name__)


def jhmdb(split: str, *, data_dir: str | Path | None) -> list[Video]:
    """The clips of one half of a split of J-HMDB, called "<class>/<clip>"; the person is object 1.

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
    parts = re.fullmatch(r"(train|test)([123])", split)
    if parts is None:
        raise UserError(f'{_TITLE} has no split {split!r}: use "train1", "test1", ... "test3"')
    root = files.find_root(
        _TITLE, PAGE, data_dir, ("Rename_Images", "puppet_mask", "splits"), ("JHMDB", "J-HMDB")
    )
    lists = {name: root / "splits" / f"{name}_test_split{parts[2]}.txt" for name in JHMDB_CLASSES}
    there = [name for name, path in lists.items() if path.is_file()]
    if not there:
        raise UserError(
            f"{_TITLE} has no lists: {lists[JHMDB_CLASSES[0]]} is not there; fetch them from {PAGE}"
        )
    if len(there) < len(lists):
        missing = [path for name, path in lists.items() if name not in there]
        _log.warning(
            "%s: %d of %d classes have no list (the first: %s)", _TITLE, len(missing), len(lists), missing[0]
        )
    return [_video(root, name, clip) for name in there for clip in _clips(lists[name], _SETS[parts[1]])]


def _clips(path: Path, wanted: str) -> list[str]:
    """The clips of a list that are marked `wanted`: 1 is train, 2 is test, 0 is neither."""
    clips = []
    for line in files.read_text(path).splitlines():
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
    frames = files.frames_of(name, root / "Rename_Images" / label / clip)
    path = root / "puppet_mask" / label / clip / "puppet_mask.mat"
    height, width, masks = _mask_shape(path)
    numbers = {number: file.stem for number, file in files.by_number(frames).items() if 1 <= number <= masks}
    if not numbers:
        raise UserError(f"{name!r} has no frame 1 to {masks} in {root / 'Rename_Images' / label / clip}")
    if len(numbers) < masks:
        _log.warning("%s %s: %d masks have no frame and are left out", _TITLE, name, masks - len(numbers))
    kept = set(numbers.values())
    video = files.make_video(
        name,
        {stem: file for stem, file in frames.items() if stem in kept},
        {stem: (path, number - 1) for number, stem in numbers.items()},
        _puppet_mask,
    )
    files.require_mask_size(path, (height, width), video.size)
    return video


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
    files.require_mask_size(path, masks.shape[:2], size)
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
