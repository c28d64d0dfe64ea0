"""The data sets by name: one row a reader. Loading one gives a list of `Video`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vos3d_jax.data.readers.davis import davis2016, davis2017
from vos3d_jax.data.readers.fbms import fbms
from vos3d_jax.data.readers.folder import folder
from vos3d_jax.data.readers.jhmdb import jhmdb
from vos3d_jax.data.readers.jumpcut import jumpcut
from vos3d_jax.data.readers.sa_v import sa_v
from vos3d_jax.data.readers.segtrack import segtrack_v2
from vos3d_jax.data.readers.visal import visal
from vos3d_jax.data.readers.youtube_vos import youtube_vos
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError


def _moving_shapes(split: str, *, count: int, length: int, size: Sequence[int], seed: int = 0) -> list[Video]:
    from vos3d_jax.data import moving_shapes

    return moving_shapes.videos(split, count=count, length=length, size=(size[0], size[1]), seed=seed)


DATASETS: dict[str, Callable[..., list[Video]]] = {
    "davis2016": davis2016,
    "davis2017": davis2017,
    "fbms": fbms,
    "visal": visal,
    "segtrack_v2": segtrack_v2,
    "jhmdb": jhmdb,
    "jumpcut": jumpcut,
    "youtube_vos": youtube_vos,
    "sa_v": sa_v,
    "folder": folder,
    "moving_shapes": _moving_shapes,
}
_GENERATED = ("moving_shapes",)


def load(
    name: str, split: str, *, data_dir: str | Path | None = None, resolution: str | None = None, **options
) -> list[Video]:
    """Returns the videos of a data set's split.

    Args:
        name: a row of `DATASETS`.
        split: "train", "val" and so on, as its reader says; "all" for `folder` (every video, no list needed)
            and where there is no split.
        data_dir: the folder of the data set; `moving_shapes` is generated and needs none.
        resolution: the folder below JPEGImages and Annotations ("480p", "240p") where there is one; None or
            "" for the reader's own default.
        options: what the reader takes besides: `task` (`davis2017`), `complete` (`youtube_vos`), `objects`
            (`segtrack_v2`), `frames` and `masks` (`jumpcut`), `strict` and `mask_values` (`folder`), `count`,
            `length`, `size`, `seed` (`moving_shapes`).

    Raises:
        UserError: no such data set or option; data missing or damaged (what, where it was looked for, where
            to get it, which flag).
    """
    if name not in DATASETS:
        raise UserError(f"there is no data set {name!r}: choose one of {', '.join(DATASETS)}")
    reader = DATASETS[name]
    if name not in _GENERATED:
        options = {"data_dir": data_dir, **({"resolution": resolution} if resolution else {}), **options}
    try:
        inspect.signature(reader).bind(split, **options)
    except TypeError as error:
        raise UserError(f"the data set {name} cannot be read with the options {options}: {error}") from None
    return reader(split, **options)


def require_readable(videos: Sequence[Video], name: str, split: str, options: Mapping[str, Any]) -> None:
    """Returns if `videos`, which `load` gave, have frames, and masks whose values mean something.

    All masks are read where their reader has no rule: better now than hours later.

    Raises:
        UserError: not so.
    """
    if not sum(video.length for video in videos):
        raise UserError(f"data {name} {split} has no frames: mend its options {dict(options)}")
    for video in videos:
        if not video.frames_known:
            raise UserError(
                f"data {name} {split}: the frames of {video.name} are not there, only its masks, which is"
                " enough for scoring alone: add the frames"
            )
        if video.meaning is not None:
            video.meaning()
