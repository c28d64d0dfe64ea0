"""JumpCut: 22 clips, every frame annotated, for transfer of masks over 8, 16 and 32 frames.

Fan et al., SIGGRAPH Asia 2015. Nobody here has seen the files: the names are recalled from the literature and
the layout is given by patterns.
"""

import logging
from pathlib import Path, PurePath

from vos3d_jax.data.readers import files
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "the page of its authors (Fan et al., JumpCut, SIGGRAPH Asia 2015)"
_TITLE = "JumpCut"

_log = logging.getLogger(__name__)


def jumpcut(
    split: str = "all",
    *,
    data_dir: str | Path | None,
    frames: str = "{clip}/frames/*",
    masks: str = "{clip}/masks/*",
) -> list[Video]:
    """The clips of JumpCut; the object is 1 where its mask is brighter than 127.

    The layout of the release could not be checked. Say where the files are by two patterns, in which {clip}
    and {group} (ANIMAL, HUMAN, STATIC, FAST, SNAPCUT) stand for names; in the last part * and ? may be used.
    A mask belongs to the frame with the same number at the end of its stem.

    Args:
        split: "all".
        data_dir: the folder that the patterns start from.
        frames: where the frames of a clip are, JPEG, PNG or BMP: "{clip}/frames/*" by default, or for example
            "{group}/{clip}/{clip}_*.jpg".
        masks: where its masks are, PNG or BMP: "{clip}/masks/*" by default.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    if split != "all":
        raise UserError(f'{_TITLE} has no split {split!r}: use "all"')
    root = files.find_root(_TITLE, PAGE, data_dir, ())
    videos, missing = [], []
    for group, clips in JUMPCUT.items():
        for clip in clips:
            frame_files = _matching(root, frames, group, clip, files.FRAME_ENDINGS)
            if not frame_files:
                missing.append(clip)
                continue
            mask_files = _matching(root, masks, group, clip, files.MASK_ENDINGS)
            videos.append(_video(clip, frame_files, mask_files, masks))
    if not videos:
        sample = _filled(frames, "ANIMAL", "bear")
        raise UserError(
            f"{_TITLE} was not found: {root} holds nothing like {sample}; fetch it from {PAGE} and say where "
            f'its files are with data_dir, frames="{frames}" and masks="{masks}"'
        )
    if missing:
        _log.warning("%s: %d of 22 clips have no frames (the first: %s)", _TITLE, len(missing), missing[0])
    return videos


def _video(clip: str, frame_files: dict[str, Path], mask_files: dict[str, Path], pattern: str) -> Video:
    by_number = files.by_number(mask_files)
    masks = {
        path.stem: by_number[number]
        for number, path in files.by_number(frame_files).items()
        if number in by_number
    }
    if not masks:
        raise UserError(
            f"{_TITLE}: no mask of {clip!r} has the number of a frame; masks were looked for as {pattern}"
        )
    return files.make_video(clip, frame_files, masks, files.foreground)


def _matching(root: Path, pattern: str, group: str, clip: str, endings: tuple[str, ...]) -> dict[str, Path]:
    place = root / _filled(pattern, group, clip)
    if not place.parent.is_dir():
        return {}
    found = files.files_by_stem(place.parent, endings)
    return {stem: path for stem, path in found.items() if PurePath(path.name).match(place.name)}


def _filled(pattern: str, group: str, clip: str) -> str:
    return pattern.replace("{group}", group).replace("{clip}", clip)


JUMPCUT = {
    "ANIMAL": ("bear", "giraffe", "goat", "pig"),
    "HUMAN": ("couple", "park", "station"),
    "STATIC": ("car", "cup", "pot", "toy"),
    "FAST": ("bball", "cheetah", "dance", "hiphop", "kongfu", "skater", "supertramp", "tricking"),
    "SNAPCUT": ("animation", "fish", "horse"),
}
