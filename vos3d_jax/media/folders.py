"""The frames of a video that lie as pictures in a folder."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from vos3d_jax.errors import UserError
from vos3d_jax.media.images import natural_order, read_upright
from vos3d_jax.media.reading import Picture

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".gif")
FRAMES = "frames"  # the folder of a video's frames, where it has others beside it
_NO_VIDEOS = ("masks", "annotations", "__macosx")  # folders whose pictures are no frames, in lower case
_MOST_NAMED = 3
_MASK = re.compile(r"[_-]masks?$", re.IGNORECASE)  # at the end of a name, before the suffix


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
    kinds: dict[str, list[str]] = {kind: [] for kind in ("folder", "video", "mask", "other file")}
    found = []
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): give yourself the right to") from None
    for path in sorted(paths, key=lambda path: natural_order(path.name)):
        suffix = path.suffix.lower()
        if path.name.startswith("."):
            continue
        if path.is_dir():
            kinds["folder"].append(path.name)
        elif suffix in VIDEO_SUFFIXES:
            kinds["video"].append(path.name)
        elif suffix not in IMAGE_SUFFIXES:
            kinds["other file"].append(path.name)
        elif _MASK.search(path.stem):
            kinds["mask"].append(path.name)
        else:
            found.append(path)
    others = {kind: names for kind, names in kinds.items() if names}
    said = ", ".join(_counted(kind, names) for kind, names in others.items())
    if not found:
        videos = [folder / name for name in kinds["folder"] if _is_video(folder / name)]
        if videos:
            more = " ..." if len(videos) > _MOST_NAMED else ""
            raise UserError(
                f"{folder} holds no frames, but folders with frames: give one or several of them, "
                f"{' '.join(map(str, videos[:_MOST_NAMED]))}{more}"
            )
        raise UserError(
            f"{folder} holds no frames ({', '.join(IMAGE_SUFFIXES)}){said and f', but {said}'}: "
            f"{_MENDS[next(iter(others), None)]}"
        )
    [(stem, count)] = Counter(file.stem for file in found).most_common(1)
    if count > 1:
        raise UserError(f"{folder} holds {count} pictures named {stem}: keep one file for each frame")
    return found, f"not read: {said}" if said else None


_MENDS = {
    "folder": "give the folder that holds the frames of one video",
    "video": "give the video",
    "mask": "give the folder of the frames; a frame's name may not end with _mask",
    "other file": "give the folder that holds the frames of one video",
    None: "give the folder that holds the frames of one video",
}


def read_pictures(files: Iterable[Path]) -> Iterator[Picture]:
    """Yields a picture for each file, upright as viewers show it, without pixels where it cannot be decoded.

    That it was turned by its orientation tag is told where the tag is not the one of the picture before.
    """
    before = 1
    for file in files:
        try:
            pixels, tag = read_upright(file)
        except UserError as error:
            yield Picture(None, said=str(error))
            continue
        turned = f"turned upright by its orientation tag {tag}" if tag > 1 else "no longer turned"
        yield Picture(pixels, said=turned if tag != before else "")
        before = tag


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
