"""Which frames of a video make which clips, and which positions of a clip vote for their frame.

3DC-Seg, section 3.3. `tail="code"` is the published program: a clip starts at every multiple of clip_length -
overlap below the video's length, a clip that is too short repeats its first frame in front, and every
position votes, the repeated ones too. `tail="paper"` is our reading of the paper, which gives no rule: clips
start until one reaches the last frame, missing frames are filled with the last frame, and filled positions do
not vote. The paper's dense mode is the code's rule with overlap = clip_length - 1.

Positions that vote name consecutive frames in both rules, so a video can be cut while it arrives: the
frames before the start of the next clip are final.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vos3d_jax.errors import UserError

TAILS: tuple[str, ...] = ("code", "paper")


@dataclass(frozen=True)
class ClipFrames:
    """The frame index at each position of a clip, and whether the position votes for it."""

    frames: tuple[int, ...]
    votes: tuple[bool, ...]


class ClipSchedule:
    """The clips of a video whose length is not known, in order, each as soon as its frames are there.

    Call `arrive()` for each frame, then exhaust `finish()`. After each of them the frames below `final`
    have all their votes, and no later clip shows them.
    """

    def __init__(self, clip_length: int = 8, overlap: int = 3, tail: str = "code"):
        check(clip_length, overlap, tail)
        self.clip_length, self.stride, self.tail = clip_length, clip_length - overlap, tail
        self.arrived = 0
        self.final = 0

    def arrive(self) -> ClipFrames | None:
        """Returns the clip that the next frame completes, if it completes one."""
        self.arrived += 1
        if self.final + self.clip_length > self.arrived:
            return None
        return self._next()

    def finish(self) -> Iterator[ClipFrames]:
        """Yields the clips at the end of the video, when no further frame comes."""
        while self.final < self.arrived:
            last_clip_ends = self.final - self.stride + self.clip_length
            if self.tail == "paper" and self.final > 0 and last_clip_ends >= self.arrived:
                self.final = self.arrived
                return
            yield self._next()

    def _next(self) -> ClipFrames:
        clip = _clip(self.final, self.arrived, self.clip_length, self.tail)
        self.final += self.stride
        return clip


def check(clip_length: int, overlap: int, tail: str) -> None:
    """Raises `UserError` when no clips can be made with these values."""
    if clip_length < 1:
        raise UserError(f"clip_length is {clip_length}: give a number of frames of at least 1 (published: 8)")
    if not 0 <= overlap < clip_length:
        raise UserError(
            f"overlap is {overlap}: give 0 to {clip_length - 1}, less than clip_length {clip_length} "
            "(published: 3 of 8; dense: clip_length - 1)"
        )
    if tail not in TAILS:
        raise UserError(f"tail is {tail!r}: give 'code' (the published program) or 'paper'")


def _clip(start: int, length: int, clip_length: int, tail: str) -> ClipFrames:
    present = tuple(range(start, min(start + clip_length, length)))
    missing = clip_length - len(present)
    if tail == "code":
        return ClipFrames((start,) * missing + present, (True,) * clip_length)
    return ClipFrames(present + (length - 1,) * missing, (True,) * len(present) + (False,) * missing)
