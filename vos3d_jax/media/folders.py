"""The frames of a video that lie as pictures in a folder."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from vos3d_jax.errors import UserError
from vos3d_jax.media.images import natural_order, orientation, read_image
from vos3d_jax.media.reading import Picture

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")
VIDEO_SUFFIXES = tuple(
    ".mp4 .m4v .mov .3gp .mkv .webm .avi .mpg .mpeg .ts .flv .ogv .wmv .asf .gif .apng".split()
)
FRAMES = "frames"  # the folder of a video's frames, where it has others beside it
_NO_VIDEOS = ("masks", "annotations", "__macosx")  # folders whose pictures are no frames, in lower case
_MOST_NAMED = 3
_MASK = re.compile(r"[_-]masks?$", re.IGNORECASE)  # at the end of a name, before the suffix
# What to do about a folder without frames, by what it holds.
_MENDS = {
    "video": "give the video",
    "mask": "give the folder of the frames; a frame's name may not end with _mask",
}


def frames_folder(folder: Path) -> Path:
    """Returns where the frames of a video are: in `folder`, or where it holds no pictures in its `frames`."""
    inner = folder / FRAMES
    return inner if inner.is_dir() and not _holds_pictures(folder) else folder


def picture_files(folder: Path) -> tuple[list[Path], str | None]:
    """Returns the pictures of a folder in natural order, and what else is in it, in words; None for nothing.

    Pictures whose names end with `_mask` are not frames. Hidden files are not told.

    Raises:
        UserError: there are no frames (then it names what there is), or two for one frame.
    """
    kinds: dict[str, list[str]] = {kind: [] for kind in ("frame", "folder", "video", "mask", "other file")}
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): give yourself the right to") from None
    for path in sorted(paths, key=lambda path: natural_order(path.name)):
        if not path.name.startswith("."):
            kinds[_kind(path)].append(path.name)
    frames = [folder / name for name in kinds.pop("frame")]
    others = {kind: names for kind, names in kinds.items() if names}
    said = ", ".join(_counted(kind, names) for kind, names in others.items())
    if not frames:
        videos = [folder / name for name in kinds["folder"] if _is_video(folder / name)]
        if videos:
            more = " ..." if len(videos) > _MOST_NAMED else ""
            raise UserError(
                f"{folder} holds no frames, but folders with frames: give one or several of them, "
                f"{' '.join(map(str, videos[:_MOST_NAMED]))}{more}"
            )
        mend = _MENDS.get(next(iter(others), None), "give the folder that holds the frames of one video")
        beside = f", but {said}" if said else ""
        raise UserError(f"{folder} holds no frames ({', '.join(IMAGE_SUFFIXES)}){beside}: {mend}")
    [(stem, count)] = Counter(file.stem for file in frames).most_common(1)
    if count > 1:
        raise UserError(f"{folder} holds {count} pictures named {stem}: keep one file for each frame")
    return frames, f"not read: {said}" if said else None


def read_pictures(files: Iterable[Path]) -> Iterator[Picture]:
    """Yields a picture for each file, upright as viewers show it, without pixels where it cannot be decoded.

    That it was turned by its orientation tag is told where the tag is not the one of the picture before.
    """
    before = 1
    for file in files:
        try:
            pixels, tag = read_image(file, upright=True), orientation(file)
        except UserError as error:
            yield Picture(None, said=str(error))
            continue
        turned = f"turned upright by its orientation tag {tag}" if tag > 1 else "no longer turned"
        yield Picture(pixels, said=turned if tag != before else "")
        before = tag


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "mask" if _MASK.search(path.stem) else "frame"
    return "video" if path.suffix.lower() in VIDEO_SUFFIXES else "other file"


def _is_video(folder: Path) -> bool:
    return folder.name.lower() not in _NO_VIDEOS and _holds_pictures(frames_folder(folder))


def _holds_pictures(folder: Path) -> bool:
    with suppress(OSError):
        return any(
            path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()
            for path in folder.iterdir()
        )
    return False


def _counted(kind: str, names: list[str]) -> str:
    """Returns "4 masks (a, b, c, ...)"."""
    plural = "s" if len(names) > 1 else ""
    return f"{len(names)} {kind}{plural} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
