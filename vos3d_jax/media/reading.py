"""A pass over the frames of a video, and what happens where one cannot be decoded."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.errors import UserError

# What is done about frames that cannot be decoded, and how it is said.
BAD_FRAMES = {
    "repeat": "the picture before is used in the place of",
    "skip": "no picture for",
    "stop": "stopped at",
}
MOST_PIXELS = 2**25  # of a frame: 7680x4320 fits, and what a decoder holds of it fits into memory
_MOST_TOLD = 10  # lines about single frames; the summary counts them all
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """A frame as a reader gives it.

    `pixels` are RGB, or None where the frame cannot be decoded. `time` is in seconds from the first frame,
    None where the source has none. `said` is why it cannot be decoded, or what else has to be told of it.
    `pixel_aspect` is the width of a pixel by its height.
    """

    pixels: UInt8[np.ndarray, "h w 3"] | None
    time: Fraction | None = None
    said: str = ""
    pixel_aspect: Fraction = Fraction(1)


@dataclass
class Reading:
    """Yields (number, picture) for the frames of a video, from the first one on, each with its pixels.

    What its source ends early with (a `UserError` after the first frames) ends the reading, and is told.

    Attributes:
        source: name of the video, for messages.
        pictures: the frames in order, those that cannot be decoded among them.
        length: how many frames the source says that it has, None if nothing.
        bad_frames: what stands for a frame that cannot be decoded: "repeat" the picture before it (before the
            first good one, that), so that a frame's number is its place; "skip" it: its number is left out;
            "stop" before it.
        tell: is told of every frame that needs a word, up to ten.
        stopped: why it stopped before the end, where it had to.
        decoded: frames that were decoded so far.

    Raises:
        UserError: no frame can be decoded, or another word for `bad_frames`.
    """

    source: str
    pictures: Iterable[Picture]
    length: int | None = None
    bad_frames: str = "repeat"
    tell: Callable[[str], None] = _log.warning
    stopped: str | None = field(default=None, init=False)
    decoded: int = field(default=0, init=False)

    def __post_init__(self):
        if self.bad_frames not in BAD_FRAMES:
            raise UserError(f"bad_frames is {self.bad_frames!r}: give one of {', '.join(BAD_FRAMES)}")
        self._bad: list[int] = []
        self._told = 0
        self._early = ""

    def __iter__(self) -> Iterator[tuple[int, Picture]]:
        latest = None  # pixels
        waiting: deque[tuple[int, Picture]] = deque()  # for the first good frame
        try:
            for number, picture in enumerate(self.pictures):
                if picture.pixels is not None:
                    self.decoded += 1
                    latest = picture.pixels
                else:
                    self._bad.append(number)
                    if self.bad_frames == "stop":
                        words = f"{_words(number, picture)} cannot be decoded ({picture.said})"
                        self.stopped = f"{self.source}: {words}"
                        break
                self._tell_of(number, picture)
                if picture.pixels is not None or self.bad_frames == "repeat":
                    waiting.append((number, picture))
                while latest is not None and waiting:
                    place, one = waiting.popleft()
                    yield place, one if one.pixels is not None else replace(one, pixels=latest)
        except UserError as error:
            if self.decoded == 0:
                raise
            self._early = str(error)
            if self.bad_frames == "stop":
                self.stopped = self._early
        if self.decoded == 0:
            raise UserError(self.stopped or f"{self.source} has no frame that can be decoded: make it again")

    def summary(self) -> str | None:
        """Returns "20 of 24 frames decoded" and what came of the others; None if all is well."""
        if not self._bad and not self._early:
            return None
        parts = [f"{self.decoded} of {max(self.decoded + len(self._bad), self.length or 0)} frames decoded"]
        if self._bad:
            plural = "s" * (len(self._bad) > 1)
            parts.append(f"{BAD_FRAMES[self.bad_frames]} frame{plural} {_ranges(self._bad)}")
        return "; ".join([*parts, *filter(None, [self._early])])

    def _tell_of(self, number: int, picture: Picture) -> None:
        if not picture.said:
            return
        self._told += 1
        if self._told <= _MOST_TOLD:
            cannot = " cannot be decoded" if picture.pixels is None else ""
            self.tell(f"{_words(number, picture)}{cannot}: {picture.said}")
        elif self._told == _MOST_TOLD + 1:
            self.tell("more such frames are counted, and not told one by one")


def _words(number: int, picture: Picture) -> str:
    return f"frame {number}" + (f" at {float(picture.time):.3f} s" if picture.time is not None else "")


def _ranges(numbers: list[int]) -> str:
    """Returns "3, 12-15" for [3, 12, 13, 14, 15], the first ten of them."""
    runs = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    words = [f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans]
    return ", ".join(words[:10] + ["..."] * (len(words) > 10))
