"""One's own videos and masks, in the layout of DAVIS or one folder a video."""

import functools
from pathlib import Path

from vos3d_jax.data.readers import files, parts
from vos3d_jax.data.readers.davis import other_resolutions
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.media.images import natural_order
from vos3d_jax.media.masks import read_mask


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
            `ImageSets`, `ImageSets/2016` or `ImageSets/<resolution>`, with one video name a line. "train" and
            "val" need no list: one that is missing holds the videos that the other does not name, and where
            both are, every fifth video (or the last of fewer than five) is "val". Which it is, is logged.
        data_dir: the folder.
        resolution: the folder below JPEGImages and Annotations, where there is one.
        strict: every frame must have its mask, of its size, which is checked here (training); otherwise
            `read_mask` gives None where a frame has none, and sizes are checked as files are read.

    Raises:
        UserError: the folder, a list, a video or one of its files is missing or damaged.
    """
    if not data_dir:
        raise UserError(f"no folder was given for your videos: name it with {files.FLAG}")
    root = Path(data_dir)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name the folder of your videos with {files.FLAG}")
    if (root / "JPEGImages").is_dir():
        has_resolutions = (root / "JPEGImages" / resolution).is_dir()
        middle = resolution if has_resolutions else ""
        _refuse_other_resolution(root, resolution, has_resolutions)
        videos_root = root / "JPEGImages" / middle
        make = functools.partial(_davis_video, root, middle, strict)
    else:
        videos_root, make = root, functools.partial(_plain_video, root, strict)
    directories = [path for path in files.visible(videos_root) if path.is_dir()]
    every = sorted((path.name for path in directories), key=natural_order)
    if split == "all":
        names = every
    elif split in parts.NAMES:
        lists = {name: _list(root, name, resolution) for name in parts.NAMES}
        names = parts.of(root, every, lists)[split]
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
    return [make(name) for name in names]


def _list(root: Path, split: str, resolution: str) -> list[str] | None:
    folders = (root, *(root / "ImageSets" / kind for kind in ("", "2016", resolution)))
    return files.read_list([folder / f"{split}.txt" for folder in folders])


def _davis_video(root: Path, middle: str, strict: bool, name: str) -> Video:
    return _video(name, root / "JPEGImages" / middle / name, root / "Annotations" / middle / name, strict)


def _plain_video(root: Path, strict: bool, name: str) -> Video:
    video = root / name
    frames_dir = video / "frames" if (video / "frames").is_dir() else video
    return _video(name, frames_dir, video / "masks", strict)


def _video(name: str, frames_dir: Path, masks_dir: Path, strict: bool) -> Video:
    frames = files.frames_of(name, frames_dir)
    masks = files.files_by_stem(masks_dir, files.MASK_ENDINGS) if masks_dir.is_dir() else {}
    if strict:
        files.require_pairs(frames, masks, masks_dir)
    return files.make_video(name, frames, masks, _own_mask)


def _own_mask(path: Path, size: tuple[int, int]):
    """The ids of a mask whose encoding nobody has promised: black and white is one object."""
    mask = read_mask(path)
    files.require_mask_size(path, mask.shape, size)
    return mask


def _refuse_other_resolution(root: Path, resolution: str, has_resolutions: bool) -> None:
    """JPEGImages/1080p/bear asked for as 480p would otherwise be taken for a video called 1080p."""
    directories = [path for path in files.visible(root / "JPEGImages") if path.is_dir()]
    if not has_resolutions and directories and not files.files_by_stem(directories[0], files.FRAME_ENDINGS):
        raise UserError(
            f"{root / 'JPEGImages' / resolution} is not a folder{other_resolutions(root, resolution)}"
        )
