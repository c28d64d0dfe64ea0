"""Readers of data sets kept as folders of frames and masks: DAVIS-2016, and one's own videos.

Layouts, list files and their traps: specs/datasets.md sections 1 and 12. Frames and masks are paired by the
stem of their file, never by position; frame numbers are sorted as numbers.
"""

import functools
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.media.images import image_size, read_image, read_mask

DAVIS2016_PAGE = "https://davischallenge.org/davis2016/code.html"
_FRAME_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
_MASK_ENDINGS = (".png", ".bmp")


def davis2016(split: str, *, data_dir: str | Path | None, resolution: str = "480p") -> list[Video]:
    """The sequences of a split of DAVIS-2016.

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
    if not data_dir:
        raise UserError(
            f"no folder was given for DAVIS-2016: fetch it from {DAVIS2016_PAGE} and name its folder with "
            "--config.data_dir=DIR"
        )
    root = Path(data_dir)
    if not (root / "JPEGImages").is_dir() and (root / "DAVIS" / "JPEGImages").is_dir():
        root = root / "DAVIS"
    for needed in (root / "JPEGImages" / resolution, root / "Annotations" / resolution):
        if not needed.is_dir():
            raise UserError(
                f"DAVIS-2016 was not found: {needed} is not a folder; fetch it from {DAVIS2016_PAGE} and "
                "name the folder that holds JPEGImages, Annotations and ImageSets with --config.data_dir=DIR"
                f"{_other_resolutions(root, resolution)}"
            )
    lists = [root / "ImageSets" / kind / f"{split}.txt" for kind in ("2016", resolution)]
    names = _read_list(lists)
    if names is None:
        raise UserError(
            f"DAVIS-2016 has no split {split!r} in {root}: neither {lists[0]} nor {lists[1]} is there; "
            f'use "train" or "val", or fetch the lists from {DAVIS2016_PAGE}'
        )
    return [_davis_video(root, resolution, name, strict=True, merge=True) for name in names]


def folder(
    split: str, *, data_dir: str | Path | None, resolution: str = "480p", strict: bool = True
) -> list[Video]:
    """One's own videos and masks, in the DAVIS layout or one folder a video.

    Layouts (JPEG, PNG or BMP frames; masks are PNG or BMP with ids, stem and size of their frame):

        JPEGImages/<resolution>/<video>/00000.jpg  +  Annotations/<resolution>/<video>/00000.png
        JPEGImages/<video>/00000.jpg               +  Annotations/<video>/00000.png
        <video>/frames/00000.jpg                   +  <video>/masks/00000.png
        <video>/00000.jpg                          +  <video>/masks/00000.png

    Args:
        split: "all" for every video, or the name of a list: `<split>.txt`, in the folder itself, in
            `ImageSets`, `ImageSets/2016` or `ImageSets/<resolution>`, with one video name a line.
        data_dir: the folder.
        resolution: the folder below JPEGImages and Annotations, where there is one.
        strict: every frame must have its mask, of its size, which is checked here (training); otherwise
            `read_mask` gives None where a frame has none, and sizes are checked as files are read.

    Raises:
        UserError: the folder, a list, a video or one of its files is missing or damaged.
    """
    if not data_dir:
        raise UserError("no folder was given for your videos: name it with --config.data_dir=DIR")
    root = Path(data_dir)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name the folder of your videos with --config.data_dir=DIR")
    if (root / "JPEGImages").is_dir():
        has_resolutions = (root / "JPEGImages" / resolution).is_dir()
        middle = resolution if has_resolutions else ""
        _refuse_other_resolution(root, resolution, has_resolutions)
        videos_root, make = (
            root / "JPEGImages" / middle,
            functools.partial(_davis_video, root, middle, strict=strict, merge=False),
        )
    else:
        videos_root, make = root, functools.partial(_plain_video, root, strict=strict)
    if split == "all":
        names = sorted((path.name for path in _visible(videos_root) if path.is_dir()), key=_number_aware)
    else:
        lists = [
            root / f"{split}.txt",
            *(root / "ImageSets" / kind / f"{split}.txt" for kind in ("", "2016", resolution)),
        ]
        names = _read_list(lists)
        if names is None:
            raise UserError(
                f"{root} has no list for the split {split!r}: write the names of its videos, one a line, "
                f'into {lists[0]}, or use the split "all"'
            )
    if not names:
        raise UserError(
            f"{videos_root} holds no videos: expected one folder a video, <video>/frames/00000.jpg with "
            "<video>/masks/00000.png, or the DAVIS layout JPEGImages/ and Annotations/"
        )
    return [make(name) for name in names]


def files_by_stem(directory: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """The files of a folder by stem, in the order of their numbers; hidden files are left out.

    Raises:
        UserError: two files have the same stem (00000.jpg and 00000.png).
    """
    found: dict[str, Path] = {}
    for path in sorted(_visible(directory), key=lambda path: _number_aware(path.stem)):
        if path.suffix.lower() not in endings or not path.is_file():
            continue
        if path.stem in found:
            raise UserError(f"{path} and {found[path.stem].name} have the same name: keep one of them")
        found[path.stem] = path
    return found


def _davis_video(root: Path, middle: str, name: str, *, strict: bool, merge: bool) -> Video:
    frames, masks = root / "JPEGImages" / middle / name, root / "Annotations" / middle / name
    return _folder_video(name, frames, masks, strict=strict, merge=merge)


def _plain_video(root: Path, name: str, *, strict: bool) -> Video:
    video = root / name
    frames = video / "frames" if (video / "frames").is_dir() else video
    return _folder_video(name, frames, video / "masks", strict=strict, merge=False)


def _folder_video(name: str, frames_dir: Path, masks_dir: Path, *, strict: bool, merge: bool) -> Video:
    if not frames_dir.is_dir():
        raise UserError(f"the frames of {name!r} are missing: {frames_dir} is not a folder")
    frames = files_by_stem(frames_dir, _FRAME_ENDINGS)
    if not frames:
        raise UserError(f"{frames_dir} holds no frames: expected files such as 00000.jpg or 00000.png")
    masks = files_by_stem(masks_dir, _MASK_ENDINGS) if masks_dir.is_dir() else {}
    size = image_size(next(iter(frames.values())))
    if strict:
        _check_pairs(frames, masks, masks_dir, size)
    frame_paths = tuple(frames.values())
    return Video(
        name=name,
        length=len(frames),
        read_frame=functools.partial(_read_frame, frame_paths, size),
        read_mask=functools.partial(_read_mask, tuple(masks.get(stem) for stem in frames), size, merge),
        size=size,
        frame_names=tuple(frames),
    )


def _check_pairs(
    frames: dict[str, Path], masks: dict[str, Path], masks_dir: Path, size: tuple[int, int]
) -> None:
    """Every frame has a mask, and all one size, by their headers: better now than hours into training."""
    first = next(iter(frames.values()))
    for stem, frame in frames.items():
        if stem not in masks:
            raise UserError(
                f"{frame} has no mask: expected {masks_dir / stem}.png; add it, or remove the frame"
            )
        _require_frame_size(frame, image_size(frame), first, size)
        _require_mask_size(masks[stem], image_size(masks[stem]), size)


def _read_frame(paths: tuple[Path, ...], size: tuple[int, int], index: int) -> UInt8[np.ndarray, "h w 3"]:
    frame = read_image(paths[index])
    _require_frame_size(paths[index], frame.shape[:2], paths[0], size)
    return frame


def _read_mask(
    paths: tuple[Path | None, ...], size: tuple[int, int], merge: bool, index: int
) -> UInt8[np.ndarray, "h w"] | None:
    path = paths[index]
    if path is None:
        return None
    mask = read_mask(path)
    _require_mask_size(path, mask.shape, size)
    return (mask != 0).astype(np.uint8) if merge else mask


def _require_frame_size(path: Path, found: tuple[int, ...], first: Path, size: tuple[int, int]) -> None:
    if found != size:
        raise UserError(
            f"{path} is {_written(found)} but {first.name} is {_written(size)}: "
            "give all frames of a video one size"
        )


def _require_mask_size(path: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if found != size:
        raise UserError(
            f"{path} is {_written(found)} but its frame is {_written(size)}: "
            "resize the mask with nearest neighbour"
        )


def _read_list(paths: list[Path]) -> list[str] | None:
    """The sequence names of the first list that exists, in its order; None if there is none.

    A line is a name, or (`ImageSets/480p`) a frame and its mask, with a leading slash and a blank at the end.
    """
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    first_words = [line.split()[0] for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    names = dict.fromkeys(Path(word).parent.name if "/" in word else word for word in first_words)
    if not names:
        raise UserError(f"{path} is empty: expected one sequence name a line")
    return list(names)


def _refuse_other_resolution(root: Path, resolution: str, has_resolutions: bool) -> None:
    """JPEGImages/1080p/bear asked for as 480p would otherwise be taken for a video called 1080p."""
    directories = [path for path in _visible(root / "JPEGImages") if path.is_dir()]
    if not has_resolutions and directories and not files_by_stem(directories[0], _FRAME_ENDINGS):
        raise UserError(
            f"{root / 'JPEGImages' / resolution} is not a folder{_other_resolutions(root, resolution)}"
        )


def _other_resolutions(root: Path, resolution: str) -> str:
    parent = root / "JPEGImages"
    others = sorted(path.name for path in _visible(parent)) if parent.is_dir() else []
    others = [name for name in others if name != resolution and (parent / name).is_dir()]
    return f" (found there: {', '.join(others)}; set `resolution` to one of them)" if others else ""


def _visible(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if not path.name.startswith(".")]


def _number_aware(text: str) -> list[tuple[int, int | str]]:
    """A sorting key by which 9 comes before 10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"([0-9]+)", text) if part]


def _written(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
