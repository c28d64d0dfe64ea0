"""One's own videos and masks, in the layout of DAVIS or one folder a video."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.readers import listing, splits
from vos3d_jax.data.readers.davis import resolutions
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.media.encodings import Choice, Meaning, decide, levels, require_choice
from vos3d_jax.media.images import natural_order
from vos3d_jax.media.masks import UnfitMask, read_stored

_ROOM = 32 << 20  # bytes of masks, packed, that are kept of the video that is being scored

_log = logging.getLogger(__name__)

_MEND = "add it, or, where only some frames are annotated, train with configs/folder.py:sparse"


def folder(
    split: str,
    *,
    data_dir: str | Path | None,
    resolution: str = "480p",
    strict: bool = True,
    mask_values: Choice = None,
) -> list[Video]:
    """Returns one's own videos and masks, in the DAVIS layout or one folder a video.

    Frames are turned upright by their orientation tags. Layouts (JPEG, PNG or BMP frames; masks are PNG or
    BMP with ids, stem and size of their frame):

        JPEGImages/<resolution>/<video>/00000.jpg  +  Annotations/<resolution>/<video>/00000.png
        JPEGImages/<video>/00000.jpg               +  Annotations/<video>/00000.png
        <video>/frames/00000.jpg                   +  <video>/masks/00000.png
        <video>/00000.jpg                          +  <video>/masks/00000.png
        Annotations/<resolution>/<video>/00000.png or <video>/00000.png alone, unless `strict`: masks whose
            frames are not at hand, which are black

    Args:
        split: "all" for every video, or the name of a list: `<split>.txt`, in the folder itself, in
            `ImageSets`, `ImageSets/2016` or `ImageSets/<resolution>`, with one video name a line. "train" and
            "val" need no list: one that is missing holds the videos that the other does not name, and where
            both are, every fifth video (or the last of fewer than five) is "val". Which it is, is logged.
        data_dir: the folder.
        resolution: the folder below JPEGImages and Annotations, where there is one.
        strict: every frame must have its mask, of its size, which is checked here (training); otherwise
            `read_mask` gives None where a frame has none, and sizes are checked as files are read.
        mask_values: what to make of masks whose values cannot be told for certain (`encodings.decide`): they
            are refused, or "half": cut at the half, or "ids": taken for ids.

    Raises:
        UserError: the folder, a list, a video or one of its files is missing or damaged.
    """
    require_choice(mask_values)
    if not data_dir:
        raise UserError(f"no folder was given for your videos: name it with {listing.FLAG}")
    root = Path(data_dir)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name the folder of your videos with {listing.FLAG}")
    pictures = root / ("JPEGImages" if strict or (root / "JPEGImages").is_dir() else "Annotations")
    videos_root = next(path for path in (pictures / resolution, pictures, root) if path.is_dir())
    if videos_root == pictures:
        _refuse_other_resolution(pictures, resolution)
    directories = [path for path in listing.visible(videos_root) if path.is_dir()]
    own_folders = videos_root == root
    frames_there = own_folders and any(map(_has_frames, directories)) or (root / "JPEGImages").is_dir()

    def places(name: str) -> tuple[Path | None, Path]:
        """Where frames and masks of a video are; None where there are masks alone."""
        if not strict and not frames_there:
            return None, videos_root / name
        if own_folders:
            frames = root / name / "frames"
            return frames if frames.is_dir() else root / name, root / name / "masks"
        middle = videos_root.relative_to(pictures)
        return root / "JPEGImages" / middle / name, root / "Annotations" / middle / name

    every = sorted((path.name for path in directories), key=natural_order)
    empty = [name for name in every if not _holds_pictures(places(name)[0] or places(name)[1])]
    every = [name for name in every if name not in empty]
    if split == "all":
        names = every
        if empty:
            _log.warning("%s: left out, as they hold no pictures: %s", videos_root, ", ".join(empty))
    elif split in splits.NAMES:
        lists = {name: _list(root, name, resolution) for name in splits.NAMES}
        names = splits.of(root, every, lists)[split]
    else:
        names = _list(root, split, resolution)
        if names is None:
            raise UserError(
                f"{root} has no list for the split {split!r}: write the names of its videos, one a line, "
                f'into {root / split}.txt, or use the split "all"'
            )
    if not names:
        raise UserError(
            f"{videos_root} holds no videos: expected one folder a video, <video>/frames/00000.jpg with "
            "<video>/masks/00000.png, or the DAVIS layout JPEGImages/ and Annotations/"
        )
    return [_video(name, *places(name), strict, mask_values) for name in names]


def _has_frames(video: Path) -> bool:
    return any((video / name).is_dir() for name in ("frames", "masks")) or any(
        path.suffix.lower() in (".jpg", ".jpeg") for path in listing.visible(video)
    )


def _list(root: Path, split: str, resolution: str) -> list[str] | None:
    folders = (root, *(root / "ImageSets" / kind for kind in ("", "2016", resolution)))
    return listing.read_list([folder / f"{split}.txt" for folder in folders])


def _holds_pictures(directory: Path) -> bool:
    return any(path.suffix.lower() in listing.FRAME_ENDINGS for path in listing.visible(directory))


def _video(name: str, frames_dir: Path | None, masks_dir: Path, strict: bool, choice: Choice) -> Video:
    if frames_dir is None:
        frames, masks = None, listing.files_by_stem(masks_dir, listing.MASK_ENDINGS)
    else:
        frames = listing.frames_of(name, frames_dir)
        masks = _masks(name, frames, masks_dir)
    if strict:
        listing.require_pairs(frames, masks, masks_dir, mend=_MEND, upright=True)
    own = _OwnMasks(tuple(masks.get(stem) for stem in frames or masks), choice)
    video = listing.make_video(name, frames, masks, own.read, upright=True)
    return dataclasses.replace(video, meaning=own.decided)


def _masks(name: str, frames: dict[str, Path], masks_dir: Path) -> dict[str, Path]:
    """The masks of a video by stem, at least one of which has the name of a frame if there are any files."""
    if not masks_dir.is_dir():
        return {}
    masks = listing.files_by_stem(masks_dir, listing.MASK_ENDINGS)
    for path in sorted(listing.visible(masks_dir)) if masks else ():
        if path.suffix.lower() in (".jpg", ".jpeg") and path.stem in frames.keys() - masks.keys():
            raise UnfitMask("JPEG", path)
    others = [path.name for stem, path in masks.items() if stem not in frames]
    if len(others) < len(masks):
        bare = [path.name for stem, path in frames.items() if stem not in masks]
        if others and bare:  # off by one, say: most masks would be those of other frames
            raise UserError(
                f"{masks_dir / others[0]} has the name of no frame of {name}, and the frame {bare[0]} has no "
                "mask: give masks the numbers of their frames, or remove those without a frame"
            )
        listing.report(name, others, len(masks), "masks have the name of no frame and are left out")
        return masks
    files = others or sorted(path.name for path in listing.visible(masks_dir) if path.is_file())
    if not files:
        return {}
    why = "has the name of a frame" if others else f"is a mask ({' or '.join(listing.MASK_ENDINGS)})"
    raise UserError(
        f"{name}: none of the {len(files)} files in {masks_dir} {why} ({_some(files)}; frames are "
        f"{_some(list(frames))}): name each mask as its frame, such as {next(iter(frames))}.png"
    )


def _some(names: list[str]) -> str:
    return ", ".join([*names[:2], *(["..."] if len(names) > 2 else [])])


class _OwnMasks:
    """The masks of one video, whose encoding nobody has promised: all of them decide it, when one is read."""

    def __init__(self, paths: tuple[Path | None, ...], choice: Choice):
        self._paths, self._choice = tuple(filter(None, paths)), choice
        self._meaning: Meaning | None = None
        self._kept: dict[Path, tuple[int, UInt8[np.ndarray, " bytes"], tuple[int, int]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}

    def decided(self, known: Meaning | None = None) -> Meaning:
        """The meaning of the values; `known` is what another process has found."""
        if self._meaning is None:
            self._meaning = known or self._decide(room=0)
        return self._meaning

    def read(self, path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
        if self._meaning is None:  # a scoring begins, which reads each mask once: some need not be read twice
            self._meaning = self._decide(room=_ROOM)
        if path in self._kept:
            value, bits, shape = self._kept.pop(path)
            values = np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape) * np.uint8(value)
        else:
            values = read_stored(path).values
        listing.require_mask_size(path, values.shape, size)
        return self._meaning.ids_of(values)

    def _decide(self, room: int) -> Meaning:
        """Decides by all masks; keeps those of one value as bits, as long as there is room (bytes)."""
        counted = []
        for path in self._paths:
            mask = read_stored(path)
            counted.append(levels(path, mask))
            if room > 0 and len(counted[-1].counts.keys() | {0}) <= 2:
                bits = np.packbits(mask.values)
                self._kept[path] = (max(counted[-1].counts), bits, mask.values.shape)
                room -= bits.nbytes
        return decide(counted, self._choice)


def _refuse_other_resolution(pictures: Path, resolution: str) -> None:
    """JPEGImages/1080p/bear asked for as 480p would otherwise be taken for a video called 1080p."""
    directories = [path for path in listing.visible(pictures) if path.is_dir()]
    if directories and not listing.files_by_stem(directories[0], listing.FRAME_ENDINGS):
        there = resolutions(pictures.parent, [pictures.name])
        raise UserError(
            f"{pictures / resolution} is not a folder (found there: {', '.join(there)}; set `resolution` to "
            "one of them)"
        )
