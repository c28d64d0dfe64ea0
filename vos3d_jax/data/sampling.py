"""Which frames of a video make a training clip (3DC-Seg, section 3.3).

One sample is a (video, start frame) pair: every frame of every video is a start. The paper and the
released code choose the other frames by different rules; both are here by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vos3d_jax.errors import UserError


@dataclass(frozen=True)
class ClipSampling:
    """How clips are drawn: a rule of `RULES` and how many frames from the start one may reach.

    `gap` is the released code's `MAX_TEMPORAL_GAP` (12) for rule "code" and the paper's S (32) for "paper".
    With rule "code" and a gap of at most the clip length the frames are consecutive.
    """

    rule: str = "code"
    gap: int = 12

    def __post_init__(self):
        if self.rule not in RULES:
            raise UserError(f"sampling rule {self.rule!r} is unknown: choose one of {', '.join(RULES)}")
        if self.gap < 1:
            raise UserError(f"gap is {self.gap}: a clip reaches at least 1 frame")

    def draw(self, length: int, start: int, clip_length: int, rng: np.random.Generator) -> list[int]:
        """The `clip_length` frame numbers of a clip, sorted, from a video of `length` frames."""
        return RULES[self.rule](length, start, clip_length, self.gap, rng)

    def draw_around(self, length: int, frame: int, clip_length: int, rng: np.random.Generator) -> list[int]:
        """As `draw`, for a clip that holds `frame`: it may begin `clip_length` - 1 frames before it.

        Where the rule does not draw `frame`, the nearest one gives way to it.
        """
        start = max(0, frame - int(rng.integers(clip_length)))
        times = self.draw(length, start, clip_length, rng)
        nearest = min(range(clip_length), key=lambda place: abs(times[place] - frame))
        return [*times[:nearest], frame, *times[nearest + 1 :]]


def code_window(length: int, start: int, clip_length: int, gap: int) -> range:
    """The frames the released code draws from: max(gap, clip length) of them, cut at the video's end."""
    return range(start, min(length, start + max(gap, clip_length)))


def code_clip(length: int, start: int, clip_length: int, gap: int, rng: np.random.Generator) -> list[int]:
    """A clip by the released code: drawn from the whole window without replacement, sorted.

    The start frame has no place reserved (gap 12, 8 frames: it is in 2/3 of the clips). A window that is
    too short gives all its frames, with the start frame repeated in front. Difference: the released code
    draws once, when the data set is constructed, and shows the same clips in every epoch; here every
    visit draws anew.
    """
    window = code_window(length, start, clip_length, gap)
    if len(window) < clip_length:
        return [start] * (clip_length - len(window)) + list(window)
    return sorted(start + int(i) for i in rng.choice(len(window), clip_length, replace=False))


def paper_clip(length: int, start: int, clip_length: int, gap: int, rng: np.random.Generator) -> list[int]:
    """A clip by the paper: the start frame, the others from the `gap` frames after it, sorted.

    A video that ends too early is padded with its last frame.
    """
    following = range(start + 1, min(length, start + 1 + gap))
    count = min(clip_length - 1, len(following))
    chosen = (
        sorted(start + 1 + int(i) for i in rng.choice(len(following), count, replace=False)) if count else []
    )
    return [start, *chosen] + [length - 1] * (clip_length - 1 - count)


RULES = {"code": code_clip, "paper": paper_clip}


def locate(lengths: Sequence[int], index: int) -> tuple[int, int]:
    """The (video, start frame) of sample `index`; samples are numbered video by video.

    Raises:
        IndexError: `index` is not in 0 .. sum(lengths) - 1.
    """
    ends = np.cumsum(lengths)
    if not 0 <= index < ends[-1]:
        raise IndexError(f"sample {index} of {ends[-1]}")
    video = int(np.searchsorted(ends, index, side="right"))
    return video, int(index - (ends[video - 1] if video else 0))
