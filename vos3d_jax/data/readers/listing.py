"""What the readers of folders share: files by stem and number, lists, sizes, and the way to a `Video`.

Frames and masks are paired by the stem or the number in their file names, never by position; numbers are
sorted as numbers; hidden files and masks without frame are left out. Listing reads headers only; pictures are
decoded when they are asked for.
"""

import codecs
import functools
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.media.images import image_size, natural_order, orientation, read_image
from vos3d_jax.media.masks import read_grey, read_ids

FRAME_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
MASK_ENDINGS = (".png", ".bmp")
FLAG = "data_dir (main: --config.data_dir=DIR, score: --data_dir=DIR)"

_log = logging.getLogger(__name__)


def require_split(title: str, split: str, splits: Iterable[str]) -> None:
    """Raises a `UserError` that names the `splits` there are unless `split` is one."""
    if split not in splits:
        known = " or ".join(f'"{name}"' for name in splits)
        raise UserError(f"{title} has no split {split!r}: use {known}")


def find_root(
    title: str, page: str, data_dir: str | Path | None, needed: Sequence[str], names: Sequence[str] = ()
) -> Path:
    """Returns the folder of a data set: `data_dir`, or one of `names` in it, that holds the folders `needed`.

    Raises:
        UserError: none was given or none holds them; the message says where to get the data.
    """
    if not data_dir:
        raise UserError(
            f"no folder was given for {title}: fetch it from {page} and name its folder with {FLAG}"
        )
    roots = [Path(data_dir), *(Path(data_dir) / name for name in names)]
    missing = {root: [name for name in needed if not (root / name).is_dir()] for root in roots}
    root = min(roots, key=lambda root: len(missing[root]))
    if not missing[root]:
        return root
    raise UserError(
        f"{title} was not found: {root / missing[root][0]} is not a folder; fetch it from {page} and name "
        f"the folder that holds {' and '.join(needed)} with {FLAG}"
    )


def present(title: str, page: str, folder: Path, names: Sequence[str]) -> list[str]:
    """Returns the names that have a folder here, in their order; those that have none are reported.

    Raises:
        UserError: none has.
    """
    there = [name for name in names if (folder / name).is_dir()]
    if not there:
        raise UserError(
            f"{title}: none of its {len(names)} sequences ({', '.join(names[:2])}, ...) is a folder in "
            f"{folder}; fetch them from {page}"
        )
    report(title, [name for name in names if name not in there], len(names), f"sequences are not in {folder}")
    return there


def report(title: str, which: Sequence[object], total: int, fact: str) -> None:
    """Logs of how many of `total` things, and of which first, the `fact` holds; of none nothing."""
    if which:
        _log.warning("%s: %d of %d %s (the first: %s)", title, len(which), total, fact, which[0])


def files_by_stem(directory: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Returns the files of a folder by stem, in the order of their numbers; hidden files are left out.

    Raises:
        UserError: two files have the same stem (00000.jpg and 00000.png), or one is no file (a pipe).
    """
    files: dict[str, Path] = {}
    for path in sorted(visible(directory), key=lambda path: natural_order(path.stem)):
        if path.suffix.lower() not in endings or path.is_dir():
            continue
        if not path.is_file():  # left out, a frame would go unscored without a word
            raise UserError(f"{path} is no file: put the picture itself there, or remove it")
        if path.stem in files:
            raise UserError(f"{path} and {files[path.stem].name} have the same name: keep one of them")
        files[path.stem] = path
    return files


def frames_of(name: str, directory: Path) -> dict[str, Path]:
    """Returns the frames of a sequence by stem, in order, at least one; errors as `files_by_stem`."""
    if not directory.is_dir():
        raise UserError(f"the frames of {name!r} are missing: {directory} is not a folder")
    frames = files_by_stem(directory, FRAME_ENDINGS)
    if not frames:
        raise UserError(f"{directory} holds no frames: expected files such as 00000.jpg or 00000.png")
    return frames


def by_number(paths: Mapping[str, Path]) -> dict[int, Path]:
    """Returns the files by the number at the end of their stem, sorted.

    "bear01_0019" and "tennis019" are 19: the padding does not matter; stems without a number are left out.

    Raises:
        UserError: two files have the same number (bear_01 and bear_001).
    """
    files: dict[int, Path] = {}
    for stem, path in paths.items():
        number = re.search(r"[0-9]+$", stem)
        if number is None:
            continue
        other = files.setdefault(int(number[0]), path)
        if other != path:
            raise UserError(f"{path} and {other.name} have the same number: keep one of them")
    return dict(sorted(files.items()))


def paired_by_number(frames: Mapping[str, Path], masks: Mapping[int, Any]) -> dict[str, Any]:
    """Returns stem of a frame -> the mask of its number, for those that have one, sorted; errors as there."""
    numbered = by_number(frames)
    return {path.stem: masks[number] for number, path in numbered.items() if number in masks}


def masks_folder(name: str, directory: Path, page: str) -> Path:
    """Returns the folder of a sequence's masks; UserError when it is none."""
    if not directory.is_dir():
        raise UserError(
            f"the masks of {name!r} are missing: {directory} is not a folder; fetch them from {page}"
        )
    return directory


def make_video(
    name: str,
    frames: Mapping[str, Path] | None,
    masks: Mapping[str, Any],
    decode: Callable[[Any, tuple[int, int]], UInt8[np.ndarray, "h w"]],
    *,
    upright: bool = False,
) -> Video:
    """Returns the video of frames (stem -> file, in order) and masks (stem -> what `decode` reads).

    Without frames (None) those that have a mask, a file, are the video; they are black. `decode` must be
    picklable; it is called when a mask is asked for. With `upright`, for one's own files, frames are turned
    as their orientation tags say, and masks (then files) are taken to be upright.

    Raises:
        UserError: there are neither frames nor masks.
    """
    stems = masks if frames is None else frames
    if not stems:
        raise UserError(f"{name!r} has neither frames nor masks: add some, or leave the video out")
    paths = tuple(stems.values())
    sources = tuple(masks.get(stem) for stem in stems)
    upright = upright and frames is not None
    size = image_size(paths[0], upright)
    if upright and (tag := orientation(paths[0])) > 1:
        _log.warning(
            "%s has the orientation tag %d: frames of %s are turned upright, as viewers show them, and masks "
            "are taken to be upright", paths[0], tag, name,
        )  # fmt: skip
    read = _black if frames is None else functools.partial(_read_frame, paths, upright)
    return Video(
        name=name,
        length=len(paths),
        read_frame=functools.partial(read, size),
        read_mask=functools.partial(_read_mask, sources, size, decode, paths if upright else ()),
        size=size,
        frame_names=tuple(stems),
        annotated=tuple(index for index, source in enumerate(sources) if source is not None),
        frames_known=frames is not None,
        files=tuple(dict.fromkeys((*paths, *_paths_in(sources)))),
    )


def frames_if_any(name: str, directory: Path) -> dict[str, Path] | None:
    """Returns `frames_of`, or None where there is no such folder: masks can be scored without frames."""
    return frames_of(name, directory) if directory.is_dir() else None


def _paths_in(source: Any) -> Iterator[Path]:
    """The files in what `decode` reads: one, or one among other things, as a tuple."""
    if isinstance(source, Path):
        yield source
    elif isinstance(source, tuple):
        for part in source:
            yield from _paths_in(part)


def ids(path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Returns the values of an id mask as they are: 0 background, 1.. objects, 255 void."""
    mask = read_ids(path)
    require_mask_size(path, mask.shape, size)
    return mask


def merged(path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Returns 1 where an id or grey mask is not 0 (255 too), else 0."""
    return (ids(path, size) != 0).astype(np.uint8)


def foreground(path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Returns 1 where a black and white mask is brighter than 127, else 0: soft edges are cut at the half.

    A mask of 0 and 1, which would be black everywhere, is taken as it is.
    """
    grey = read_grey(path)
    require_mask_size(path, grey.shape, size)
    return (grey > (127 if grey.max() > 1 else 0)).astype(np.uint8)


def require_pairs(
    frames: Mapping[str, Path],
    masks: Mapping[str, Path],
    masks_dir: Path,
    *,
    mend: str = "add it, or remove the frame",
    upright: bool = False,
) -> None:
    """Every frame has its mask and all are of one size, by their headers: better now than hours later.

    Raises:
        UserError: names the first that has none, or another size.
    """
    first = next(iter(frames.values()))
    size = image_size(first, upright)
    for stem, frame in frames.items():
        if stem not in masks:
            raise UserError(f"{frame} has no mask: expected {masks_dir / stem}.png; {mend}")
        _require_frame_size(frame, image_size(frame, upright), first, size)
        require_mask_size(masks[stem], image_size(masks[stem]), size, frame)


def require_mask_size(
    path: Path, mask_size: tuple[int, ...], size: tuple[int, int], frame: Path | None = None
) -> None:
    """Raises a `UserError` with both sizes (height, width) unless they are equal.

    Where they are swapped and `frame`, the mask's own, has an orientation tag, that is named.
    """
    if mask_size == size:
        return
    tag = orientation(frame) if frame is not None and tuple(mask_size) == size[::-1] else 1
    mend = "resize the mask with nearest neighbour"
    if tag > 1:
        mend = (
            f"{frame.name} has the orientation tag {tag}; save frames and masks in the same orientation, "
            "the frames without a tag"
        )
    raise UserError(f"{path} is {_written(mask_size)} but its frame is {_written(size)}: {mend}")


def read_list(paths: Sequence[Path]) -> list[str] | None:
    """Returns the sequence names of the first list that exists, in its order; None if there is none.

    A line is a name, which may hold blanks, or (`ImageSets/480p`) a frame and its mask, with a leading slash
    and a blank at the end.

    Raises:
        UserError: the list is empty, or no text.
    """
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    names = dict.fromkeys(Path(line.split()[0]).parent.name if "/" in line else line for line in lines)
    if not names:
        raise UserError(f"{path} is empty: expected one sequence name a line")
    return list(names)


def read_text(path: Path) -> str:
    """Returns the text of a list or table of any editor: UTF-8, UTF-16 with its mark, else Latin-1.

    Names in another encoding than these come out wrong, and are then refused as names of nothing.

    Raises:
        UserError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): expected a text file") from None
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UserError(f"{path} is no text: save it as UTF-8")


def folders_in(directory: Path) -> list[str]:
    """Returns the names of the folders in a folder that hold something, in the order of their numbers."""
    names = [path.name for path in visible(directory) if path.is_dir() and any(visible(path))]
    return sorted(names, key=natural_order)


def visible(directory: Path) -> list[Path]:
    """Returns what a folder holds, without hidden files, in no order.

    Raises:
        UserError: a link in it leads to nothing, as where a disk is missing: what it stands for would be
            left out without a word; a name is not UTF-8, which scores and reports cannot hold.
    """
    with os.scandir(directory) as entries:
        entries_shown = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in entries_shown:
        try:
            entry.path.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"{ascii(entry.path)} is not UTF-8: rename it (or set PYTHONUTF8=1, if it is and your locale "
                "is another)"
            ) from None
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise UserError(
                f"{entry.path} is a link to nothing: restore what it leads to, {os.readlink(entry.path)}, or "
                "remove it"
            )
    return [directory / entry.name for entry in entries_shown]


def _read_frame(
    paths: tuple[Path, ...], upright: bool, size: tuple[int, int], index: int
) -> UInt8[np.ndarray, "h w 3"]:
    frame = read_image(paths[index], upright)
    _require_frame_size(paths[index], frame.shape[:2], paths[0], size)
    return frame


def _black(size: tuple[int, int], index: int) -> UInt8[np.ndarray, "h w 3"]:
    return np.zeros((*size, 3), np.uint8)


def _read_mask(
    sources: tuple, size: tuple[int, int], decode: Callable, tagged: tuple[Path, ...], index: int
) -> UInt8[np.ndarray, "h w"] | None:
    source = sources[index]
    if source is not None and tagged:
        require_mask_size(source, image_size(source), size, tagged[index])
    return None if source is None else decode(source, size)


def _require_frame_size(path: Path, frame_size: tuple[int, ...], first: Path, size: tuple[int, int]) -> None:
    if frame_size != size:
        raise UserError(
            f"{path} is {_written(frame_size)} but {first.name} is {_written(size)}: "
            "give all frames of a video one size"
        )


def _written(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
