"""A training clip cut from a video (3DC-Seg, section 3.3).

Every frame of every video is the start of one. The paper and the released code choose the other frames by
different rules; both are here by name.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vos3d_jax.data.augmentation import Augmentation, augment
from vos3d_jax.data.footage import Footage
from vos3d_jax.errors import UserError


def code_clip(length: int, start: int, clip_length: int, gap: int, rng: np.random.Generator) -> list[int]:
    """Returns a clip by the released code: drawn from a whole window without replacement, sorted.

    The window is the next max(gap, clip length) frames, cut at the video's end. The start frame has no place
    reserved (gap 12, 8 frames: it is in 2/3 of the clips). A window that is too short gives all its frames,
    with the start frame repeated in front. Difference: the released code draws once, when the data set is
    constructed, and shows the same clips in every epoch; here every visit draws anew.
    """
    window = range(start, min(length, start + max(gap, clip_length)))
    if len(window) < clip_length:
        return [start] * (clip_length - len(window)) + list(window)
    return sorted(start + int(i) for i in rng.choice(len(window), clip_length, replace=False))


def paper_clip(length: int, start: int, clip_length: int, gap: int, rng: np.random.Generator) -> list[int]:
    """Returns a clip by the paper: the start frame, the others from the `gap` frames after it, sorted.

    A video that ends too early is padded with its last frame.
    """
    following = range(start + 1, min(length, start + 1 + gap))
    count = min(clip_length - 1, len(following))
    chosen = sorted(int(time) for time in rng.choice(following, count, replace=False)) if count else []
    return [start, *chosen] + [length - 1] * (clip_length - 1 - count)


RULES = {"code": code_clip, "paper": paper_clip}


@dataclass(frozen=True)
class ClipSampling:
    """Which frames make a clip: a rule of `RULES` and how many frames from the start one may reach.

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

    def frames(self, length: int, start: int, clip_length: int, rng: np.random.Generator) -> list[int]:
        """Returns `clip_length` frame numbers, sorted, of a clip from a video of `length` frames."""
        return RULES[self.rule](length, start, clip_length, self.gap, rng)

    def frames_around(self, length: int, frame: int, clip_length: int, rng: np.random.Generator) -> list[int]:
        """Returns what `frames` does, of a clip that holds `frame` at a random place.

        Where the rule does not draw `frame`, the nearest one gives way to it.
        """
        start = max(0, frame - int(rng.integers(clip_length)))
        times = self.frames(length, start, clip_length, rng)
        nearest = min(range(clip_length), key=lambda place: abs(times[place] - frame))
        return [*times[:nearest], frame, *times[nearest + 1 :]]


@dataclass(frozen=True)
class Clip:
    """Clips of a video's own frames: `clip` uint8 [t, h, w, 3] and `mask`, ids, uint8 [t, h, w].

    Attributes:
        sparse: frames may be without a mask: a sample is then a frame that has one, at a random place in its
            clip, and the other frames count where they have masks.
        sampling: which frames make a clip.
        augmentation: how frames become clips of the stage's size.
    """

    sparse: bool = False
    sampling: ClipSampling = ClipSampling()
    augmentation: Augmentation = Augmentation()

    def draw(self, footage: Footage, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Returns a clip that begins with frame `index` or, where masks are sparse, holds it."""
        choose = self.sampling.frames_around if self.sparse else self.sampling.frames
        times = choose(footage.video.length, index, footage.clip_length, rng)
        frames, masks = zip(*map(footage.read, times), strict=True)
        clip, mask = augment(self.augmentation, list(frames), list(masks), footage.size, rng)
        return {"clip": clip, "mask": mask}
