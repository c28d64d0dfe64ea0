"""JumpCut: 22 clips, every frame annotated, for transfer of masks over 8, 16 and 32 frames.

Fan et al., SIGGRAPH Asia 2015. Nobody here has seen the files: the names are recalled from the literature and
the layout is given by patterns.
"""

from pathlib import Path, PurePath

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "the page of its authors (Fan et al., JumpCut, SIGGRAPH Asia 2015)"
_TITLE = "JumpCut"


def jumpcut(
    split: str = "all",
    *,
    data_dir: str | Path | None,
    frames: str = "{clip}/frames/*",
    masks: str = "{clip}/masks/*",
) -> list[Video]:
    """Returns the clips of JumpCut; the object is 1 where its mask is brighter than 127.

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
    listing.require_split(_TITLE, split, ["all"])
    root = listing.find_root(_TITLE, PAGE, data_dir, ())
    videos, missing = [], []
    for group, clips in JUMPCUT.items():
        for clip in clips:
            frame_files = _matching(root, frames, group, clip, listing.FRAME_ENDINGS)
            if not frame_files:
                missing.append(clip)
                continue
            numbered = listing.by_number(_matching(root, masks, group, clip, listing.MASK_ENDINGS))
            paired = listing.paired_by_number(frame_files, numbered)
            if not paired:
                raise UserError(
                    f"{_TITLE}: no mask of {clip!r} has the number of a frame; masks were looked for as "
                    f"{masks}"
                )
            videos.append(listing.make_video(clip, frame_files, paired, listing.foreground))
    if not videos:
        sample = _filled(frames, "ANIMAL", "bear")
        raise UserError(
            f"{_TITLE} was not found: {root} holds nothing like {sample}; fetch it from {PAGE} and say where "
            f'its files are with data_dir, frames="{frames}" and masks="{masks}"'
        )
    listing.report(_TITLE, missing, len(missing) + len(videos), "clips have no frames")
    return videos


def _matching(root: Path, pattern: str, group: str, clip: str, endings: tuple[str, ...]) -> dict[str, Path]:
    place = root / _filled(pattern, group, clip)
    if not place.parent.is_dir():
        return {}
    files = listing.files_by_stem(place.parent, endings)
    return {stem: path for stem, path in files.items() if PurePath(path.name).match(place.name)}


def _filled(pattern: str, group: str, clip: str) -> str:
    return pattern.replace("{group}", group).replace("{clip}", clip)


JUMPCUT = {
    "ANIMAL": ("bear", "giraffe", "goat", "pig"),
    "HUMAN": ("couple", "park", "station"),
    "STATIC": ("car", "cup", "pot", "toy"),
    "FAST": ("bball", "cheetah", "dance", "hiphop", "kongfu", "skater", "supertramp", "tricking"),
    "SNAPCUT": ("animation", "fish", "horse"),
}
