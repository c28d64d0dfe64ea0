"""SegTrack v2: 14 sequences, 24 objects, a mask file for each object.

Li et al., ICCV 2013. The counts of objects are recalled from the literature, not checked against files.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video

PAGE = "https://web.engr.oregonstate.edu/~lif/SegTrack2/dataset.html"
_TITLE = "SegTrack v2"


def segtrack_v2(split: str = "all", *, data_dir: str | Path | None, objects: bool = False) -> list[Video]:
    """Returns the sequences of SegTrack v2; `read_mask` gives None in frames that are not annotated.

    Layout, with frames and masks in PNG or BMP (frames also JPEG), paired by stem, whatever their endings:

        JPEGImages/<seq>/<frame>.png  +  GroundTruth/<seq>/<frame>.png        one object
        JPEGImages/<seq>/<frame>.png  +  GroundTruth/<seq>/<k>/<frame>.png    several, k = 1, 2, ...

    Masks have soft edges: brighter than 127 is the object. An object that has no file of a frame in which
    another has one is taken as out of sight there.

    Args:
        split: "all".
        data_dir: the folder that holds JPEGImages and GroundTruth, or the folder above `SegTrackv2`.
        objects: ids 1, 2, ... as the folders are numbered; where objects overlap, the later is seen.
            Otherwise all are one object, 1: the union.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    listing.require_split(_TITLE, split, ["all"])
    root = listing.find_root(_TITLE, PAGE, data_dir, ("JPEGImages", "GroundTruth"), ("SegTrackv2",))
    names = listing.present(_TITLE, PAGE, root / "JPEGImages", tuple(SEGTRACK_V2))
    decode = _painted if objects else _union
    return [
        listing.make_video(
            name,
            listing.frames_of(name, root / "JPEGImages" / name),
            _masks(listing.masks_folder(name, root / "GroundTruth" / name, PAGE)),
            decode,
        )
        for name in names
    ]


def _masks(directory: Path) -> dict[str, tuple[tuple[int, Path], ...]]:
    """Stem -> the objects' numbers and files."""
    numbered = {
        int(path.name): path
        for path in listing.visible(directory)
        if path.name.isascii() and path.name.isdigit() and path.is_dir()
    }
    objects: dict[str, tuple[tuple[int, Path], ...]] = {}
    for number, place in sorted((numbered or {1: directory}).items()):
        for stem, path in listing.files_by_stem(place, listing.MASK_ENDINGS).items():
            objects[stem] = (*objects.get(stem, ()), (number, path))
    return objects


def _painted(masks: tuple[tuple[int, Path], ...], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    ids = np.zeros(size, np.uint8)
    for number, path in masks:
        ids[listing.foreground(path, size) != 0] = number
    return ids


def _union(masks: tuple[tuple[int, Path], ...], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    return (_painted(masks, size) != 0).astype(np.uint8)


# The sequences and how many objects each has.
# fmt: off
SEGTRACK_V2 = {
    "bird_of_paradise": 1, "birdfall": 1, "bmx": 2, "cheetah": 2, "drift": 2, "frog": 1, "girl": 1,
    "hummingbird": 2, "monkey": 1, "monkeydog": 2, "parachute": 1, "penguin": 6, "soldier": 1, "worm": 1,
}
# fmt: on
