"""DAVIS-2016 (one object, all frames annotated) and DAVIS-2017 (several objects, two annotations).

Layouts and lists are those of the releases (Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017). The names of
the sequences are those of fperazzi/davis-2017, data/db_info.yaml.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.constants import VOID
from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

DAVIS2016_PAGE = "https://davischallenge.org/davis2016/code.html"
DAVIS2017_PAGE = "https://davischallenge.org/davis2017/code.html"
_FOLDERS = {"semi_supervised": "Annotations", "unsupervised": "Annotations_unsupervised"}
_VARIANTS = ("240p", "480p")  # of configs/davis_small.py


def davis2016(split: str, *, data_dir: str | Path | None, resolution: str = "480p") -> list[Video]:
    """Returns the sequences of a split of DAVIS-2016.

    Their names come from `ImageSets/2016/<split>.txt` or `ImageSets/<resolution>/<split>.txt`. Masks hold one
    object: whatever is not zero in the file is 1 (the release stores 0 and 255; ids of the 2017 release are
    merged). Every frame must have its mask.

    Args:
        split: "train" or "val" ("trainval" where the folder has that list).
        data_dir: the folder that holds JPEGImages, Annotations and ImageSets, or the folder above `DAVIS`.
        resolution: "480p" (the benchmark's), "1080p", or "240p" (a reduced copy).

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    title = "DAVIS-2016"
    root = _root(title, DAVIS2016_PAGE, data_dir, resolution, ["JPEGImages", "Annotations"])
    lists = [root / "ImageSets" / kind / f"{split}.txt" for kind in ("2016", resolution)]
    videos = []
    for name in _names(title, DAVIS2016_PAGE, split, root, lists):
        frames, masks_dir, masks = _files(root, resolution, "Annotations", name)
        listing.require_pairs(frames, masks, masks_dir)
        videos.append(listing.make_video(name, frames, masks, listing.merged))
    return videos


def davis2017(
    split: str,
    *,
    data_dir: str | Path | None,
    resolution: str = "480p",
    task: str = "semi_supervised",
) -> list[Video]:
    """Returns the sequences of a split of DAVIS-2017, with object ids 1, 2, ... and 255 for void.

    Names come from `ImageSets/2017/<split>.txt`; for the test splits of the unsupervised task, which has its
    own, from `ImageSets/2019/<split>.txt`. In train and val every frame must have its mask. The masks of the
    test splits are not public: of the semi-supervised task the first frame's must be there, `read_mask` gives
    None for the others.

    Args:
        split: "train", "val", "test-dev" or "test-challenge".
        data_dir: the folder that holds JPEGImages and ImageSets, or the folder above `DAVIS`.
        resolution: "480p" or "Full-Resolution".
        task: "semi_supervised" reads `Annotations`; "unsupervised" reads `Annotations_unsupervised`, a
            release of its own: other objects, up to 20, with other ids. One never stands in for the other.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    title = f"DAVIS-2017 ({task.replace('_', '-')} task)"
    if task not in _FOLDERS:
        raise UserError(f"DAVIS-2017 has no task {task!r}: choose one of {', '.join(_FOLDERS)}")
    public = not split.startswith("test")
    annotations = _FOLDERS[task]
    needs_masks = public or task == "semi_supervised"
    folders = ["JPEGImages", annotations] if needs_masks else ["JPEGImages"]
    root = _root(title, DAVIS2017_PAGE, data_dir, resolution, folders)
    year = "2017" if needs_masks else "2019"
    videos = []
    for name in _names(title, DAVIS2017_PAGE, split, root, [root / "ImageSets" / year / f"{split}.txt"]):
        frames, masks_dir, masks = _files(root, resolution, annotations, name)
        if public:
            listing.require_pairs(frames, masks, masks_dir)
        first = next(iter(frames))
        if needs_masks and first not in masks:
            raise UserError(
                f"{name!r} has no mask of its first frame: expected {masks_dir / first}.png; "
                f"fetch it from {DAVIS2017_PAGE}"
            )
        videos.append(listing.make_video(name, frames, masks, functools.partial(_ids, masks.get(first))))
    return videos


def _ids(first: Path | None, path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    mask = listing.ids(path, size)
    if path == first and mask.max() == VOID and not ((mask > 0) & (mask < VOID)).any():
        raise UserError(
            f"{path} holds 0 and 255 alone, as DAVIS-2016 marks its one object; 255 is void in DAVIS-2017: "
            f"fetch its masks from {DAVIS2017_PAGE}"
        )
    return mask


def resolutions(root: Path, folders: Sequence[str]) -> list[str]:
    """Returns the resolutions that all of these folders of `root` have, sorted."""
    parent = root / folders[0]
    names = sorted(path.name for path in listing.visible(parent)) if parent.is_dir() else []
    return [name for name in names if all((root / folder / name).is_dir() for folder in folders)]


def _root(
    title: str, page: str, data_dir: str | Path | None, resolution: str, folders: Sequence[str]
) -> Path:
    for root in (Path(data_dir), Path(data_dir) / "DAVIS") if data_dir else ():
        there = resolutions(root, folders)
        if there and resolution not in there:
            variant = next((name for name in there if name in _VARIANTS), None)
            example = f", as --config=configs/davis_small.py:{variant} does" if variant else ""
            raise UserError(
                f"{title} was found in {root} at {', '.join(there)}, not at {resolution}: "
                f"set `resolution` to {there[0]} (main: in the config{example}; score: "
                f"--resolution={there[0]}), or fetch {resolution} from {page}"
            )
    needed = [f"{folder}/{resolution}" for folder in folders]
    return listing.find_root(title, page, data_dir, needed, ["DAVIS"])


def _names(title: str, page: str, split: str, root: Path, lists: list[Path]) -> list[str]:
    names = listing.read_list(lists)
    if names is None:
        where = " and ".join(f"{path} is not there" for path in lists)
        raise UserError(
            f"{title} has no split {split!r} in {root}: {where}; "
            f'use "train" or "val", or fetch the lists from {page}'
        )
    return names


def _files(
    root: Path, resolution: str, annotations: str, name: str
) -> tuple[dict[str, Path], Path, dict[str, Path]]:
    """The frames of a sequence by stem, the folder of its masks, and they by stem."""
    masks_dir = root / annotations / resolution / name
    frames = listing.frames_of(name, root / "JPEGImages" / resolution / name)
    masks = listing.files_by_stem(masks_dir, listing.MASK_ENDINGS) if masks_dir.is_dir() else {}
    return frames, masks_dir, masks


# fmt: off
DAVIS2016_VAL = (
    "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout", "car-shadow", "cows",
    "dance-twirl", "dog", "drift-chicane", "drift-straight", "goat", "horsejump-high", "kite-surf",
    "libby", "motocross-jump", "paragliding-launch", "parkour", "scooter-black", "soapbox",
)
DAVIS2017_VAL = (
    "bike-packing", "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout", "car-shadow",
    "cows", "dance-twirl", "dog", "dogs-jump", "drift-chicane", "drift-straight", "goat", "gold-fish",
    "horsejump-high", "india", "judo", "kite-surf", "lab-coat", "libby", "loading", "mbike-trick",
    "motocross-jump", "paragliding-launch", "parkour", "pigs", "scooter-black", "shooting", "soapbox",
)
# fmt: on
