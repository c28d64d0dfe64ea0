"""ViSal: 17 sequences with about every fifth frame annotated, all masks in one folder.

Wang et al., TIP 2015. Masks lie in one folder for all videos, so a rule tells `boat` from `boat2`.
"""

import re
from pathlib import Path

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "the page of its authors (Wang, Shen, Shao, IEEE TIP 2015)"
_TITLE = "ViSal"
# After these names the number may follow at once; after the others comes a sign, as in boat_001.
_NUMBER_FOLLOWS = ("gokart", "snow_leopards")


def visal(split: str = "all", *, data_dir: str | Path | None) -> list[Video]:
    """Returns the 17 sequences of ViSal; `read_mask` gives None in frames that are not annotated.

    Layouts, with frames in JPEG, PNG or BMP and masks in PNG or BMP:

        ViSal/<seq>/<seq>_001.bmp  +  GroundTruth/<seq>_001.bmp
        <seq>/<seq>_001.bmp        +  GroundTruth/<seq>_001.bmp

    A mask belongs to the frame with the same stem, and to the sequence whose name it begins with, before a
    sign that is neither letter nor digit (for gokart and snow_leopards: no letter). Masks are black and
    white: brighter than 127 is object 1. 3DC-Seg takes whatever is not 0, which is the same for the release
    and larger for copies with soft edges. Masks without frame are left out and reported.

    Sequences keep the names of their folders: those of the release (`VISAL`) or of the repacked copies
    (`VISAL_REPACKED`, where horse2 is another video). A folder with names of both is refused.

    Args:
        split: "all".
        data_dir: the folder that holds GroundTruth.

    Raises:
        UserError: the data or one of its files is missing or damaged, or the names are of both kinds.
    """
    listing.require_split(_TITLE, split, ["all"])
    root = listing.find_root(_TITLE, PAGE, data_dir, ("GroundTruth",), ("ViSal",))
    sequences = root / "ViSal" if (root / "ViSal").is_dir() else root
    masks = listing.files_by_stem(root / "GroundTruth", listing.MASK_ENDINGS)
    names = listing.present(_TITLE, PAGE, sequences, _naming(sequences))
    return [_video(name, sequences / name, masks) for name in names]


def _naming(sequences: Path) -> tuple[str, ...]:
    """The names of the release, or those of the repacked copies, whichever the folders have."""
    ours, theirs = (
        [name for name in names if name not in others and (sequences / name).is_dir()]
        for names, others in ((VISAL, VISAL_REPACKED), (VISAL_REPACKED, VISAL))
    )
    if ours and theirs:
        raise UserError(
            f"{sequences} has folders named as in the release ({ours[0]}) and as in repacked copies "
            f"({theirs[0]}), where horse2 is another video: keep one copy"
        )
    return VISAL_REPACKED if theirs else VISAL


def _video(name: str, directory: Path, all_masks: dict[str, Path]) -> Video:
    frames = listing.frames_of(name, directory)
    masks = {stem: path for stem, path in all_masks.items() if _belongs(stem, name)}
    without_frame = [path for stem, path in masks.items() if stem not in frames]
    if len(without_frame) == len(masks):
        reason = f"no {name}_* is there"
        if masks:
            reason = f"{without_frame[0]} has no frame of its name in {directory}"
        raise UserError(
            f"{_TITLE} has no mask of {name!r} that fits its frames: {reason}; get both from {PAGE}"
        )
    fact = "masks have no frame of their name and are left out"
    listing.report(f"{_TITLE} {name}", [path.name for path in without_frame], len(masks), fact)
    return listing.make_video(name, frames, masks, listing.foreground)


def _belongs(stem: str, name: str) -> bool:
    sign = "[^a-zA-Z]" if name in _NUMBER_FOLLOWS else "[^a-zA-Z0-9]"
    return re.match(re.escape(name) + sign, stem) is not None


# fmt: off
VISAL = (
    "aeroplane", "bird", "boat", "boat2", "car", "cat", "cow4", "cow5", "gokart", "horse2", "horse3",
    "lion", "man", "motorbike2", "panda", "rider", "snow_leopards",
)
VISAL_REPACKED = (
    "aeroplane", "bird", "boat", "boat2", "car", "cat", "cow", "cow2", "gokart", "horse", "horse2", "lion",
    "man", "motorbike", "panda", "rider", "snow_leopards",
)
# fmt: on
