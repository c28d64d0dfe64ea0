"""The videos that a config names, found before anything compiles."""

from collections.abc import Sequence

from vos3d_jax.data import datasets, pipeline
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.training.stages import Config, Data, Stage


def load_videos(config: Config, part: Data) -> list[Video]:
    """Returns the videos of one part of a mixture; UserError when they are missing."""
    videos = datasets.load(part.name, part.split, data_dir=config.data_dir or None, **part.options)
    require_frames(videos, part)
    return videos


def require_frames(videos: Sequence[Video], part: Data) -> None:
    """Returns if `videos`, which `part` asks for, have frames; UserError otherwise."""
    if not sum(video.length for video in videos):
        raise UserError(f"data {part.name} {part.split} has no frames: mend its options {dict(part.options)}")


def load_sources(config: Config, stage: Stage) -> list[pipeline.Source]:
    """Returns the data mixture of `stage` for `pipeline.batches`."""
    return [
        pipeline.Source(
            videos=load_videos(config, part),
            weight=part.weight,
            kind=part.kind,
            sampling=part.sampling,
            augmentation=part.augmentation,
            synthesis=part.synthesis,
        )
        for part in stage.data
    ]
