"""Clip-wise prediction, for networks that segment a clip: overlapping clips, whose votes are averaged."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from vos3d_jax.errors import UserError
from vos3d_jax.inference import clips


@dataclass(frozen=True)
class ClipWise:
    """The row of clip-wise systems in `PREDICTORS`; the defaults are what 3DC-Seg was published with (DAVIS).

    Attributes:
        clip_length: frames of a clip.
        overlap: frames that neighbouring clips share; "dense", the paper's dense mode, is clip_length - 1.
        tail: how the last clips are made, "code" (the published program) or "paper"; see `inference.clips`.
        short_edge: pixels to which the shorter side is resized; 0 (given as None, too) keeps the frames'
            size. Both sides are then padded with black to multiples of 32.

    Raises:
        UserError: a value cannot be used.
    """

    clip_length: int = field(default=8, metadata={"--clip_length N": "frames of a clip"})
    overlap: int | Literal["dense"] = field(
        default=3,
        metadata={
            "--overlap N": "frames that clips share",
            "--dense": "a clip starts at every frame (slower, a bit better)",
        },
    )
    tail: Literal["code", "paper"] = field(
        default="code",
        metadata={"--tail code|paper": "how the last clips are made: by the published code or by the paper"},
    )
    short_edge: int | None = field(
        default=480,
        metadata={"--short_edge N": "pixels of the shorter side in the network (0 keeps the size)"},
    )

    takes_masks: ClassVar[bool] = False

    def __post_init__(self):
        if self.overlap == "dense":
            object.__setattr__(self, "overlap", self.clip_length - 1)
        object.__setattr__(self, "short_edge", self.short_edge or 0)
        clips.check(self.clip_length, self.overlap, self.tail)
        if self.short_edge < 0:
            raise UserError(
                f"short_edge is {self.short_edge}: give a number of pixels, or 0 to keep the frames' size"
            )

    @property
    def delay(self) -> int:
        """Frames from the start of a clip to that of the next: so many become final at a time."""
        return self.clip_length - self.overlap

    def restart(self, index: int) -> int:
        """Returns the start of the first clip that votes for frame `index`."""
        return max(0, -(-(index - self.clip_length + 1) // self.delay) * self.delay)

    def run(self, network: Any, frames: Iterator[Any]) -> Iterator[tuple]:
        """Returns `voting.mean_probabilities`; see `registry.Kind`."""
        from vos3d_jax.inference import voting  # numpy and more, which the flags of a command do not need

        return voting.mean_probabilities(self, network, frames)
