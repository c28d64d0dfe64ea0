"""A pass over the frames of a video, and what happens where one cannot be decoded."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

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
_MOST_SAID = 10  # lines about single frames; the summary counts them all
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


class Reading:
    """Yields (number, picture) for the frames of a video, from the first one on, each with its pixels.

    What its source ends early with (a `UserError` after the first frames) ends the reading, and is told.

    Args:
        source: name of the video, for messages.
        pictures: the frames in order, those that cannot be decoded among them.
        length: how many frames the source says that it has, None if nothing.
        bad_frames: what stands for a frame that cannot be decoded: "repeat" the picture before it (before the
            first good one, that), so that a frame's number is its place; "skip" it: its number is left out;
            "stop" before it.
        tell: is told of every frame that needs a word, up to ten.

    Raises:
        UserError: no frame can be decoded, or another word for `bad_frames`.
    """

    def __init__(
        self,
        source: str,
        pictures: Iterable[Picture],
        length: int | None = None,
        bad_frames: str = "repeat",
        tell: Callable[[str], None] = _log.warning,
    ):
        if bad_frames not in BAD_FRAMES:
            raise UserError(f"bad_frames is {bad_frames!r}: give one of {', '.join(BAD_FRAMES)}")
        self.stopped: str | None = None  # why it stopped before the end, where it had to
        self._source, self._pictures, self._length = source, pictures, length
        self._rule, self._tell = bad_frames, tell
        self._number, self._said = 0, 0
        self._bad: list[int] = []
        self._early = ""

    def __iter__(self) -> Iterator[tuple[int, Picture]]:
        last: Picture | None = None
        waiting: list[tuple[int, Picture]] = []  # before the first good frame
        try:
            for number, picture in enumerate(self._pictures):
                self._number = number + 1
                if picture.pixels is not None or self._rule != "stop":
                    self._say(number, picture)
                if picture.pixels is None:
                    self._bad.append(number)
                    if self._rule == "stop":
                        words = f"{_words(number, picture)} cannot be decoded ({picture.said})"
                        self.stopped = f"{self._source}: {words}"
                        break
                    if self._rule == "skip":
                        continue
                    if last is None:
                        waiting.append((number, picture))
                        continue
                    yield number, replace(picture, pixels=last.pixels)
                else:
                    for earlier, bad in waiting:
                        yield earlier, replace(bad, pixels=picture.pixels)
                    waiting.clear()
                    last = picture
                    yield number, picture
        except UserError as error:
            if self.decoded == 0:
                raise
            self._early = str(error)
            if self._rule == "stop":
                self.stopped = self._early
        if self.decoded == 0:
            raise UserError(self.stopped or f"{self._source} has no frame that can be decoded: make it again")

    @property
    def decoded(self) -> int:
        """Frames that were decoded so far."""
        return self._number - len(self._bad)

    def summary(self) -> str | None:
        """Returns "20 of 24 frames decoded" and what came of the others; None if all is well."""
        if not self._bad and not self._early:
            return None
        parts = [f"{self.decoded} of {max(self._number, self._length or 0)} frames decoded"]
        if self._bad:
            parts.append(f"{BAD_FRAMES[self._rule]} frame{'s' * (len(self._bad) > 1)} {_ranges(self._bad)}")
        return "; ".join([*parts, *filter(None, [self._early])])

    def _say(self, number: int, picture: Picture) -> None:
        if not picture.said:
            return
        self._said += 1
        if self._said <= _MOST_SAID:
            cannot = " cannot be decoded" if picture.pixels is None else ""
            self._tell(f"{_words(number, picture)}{cannot}: {picture.said}")
        elif self._said == _MOST_SAID + 1:
            self._tell("more such frames are counted, and not told one by one")


def _words(number: int, picture: Picture) -> str:
    return f"frame {number}" + (f" at {float(picture.time):.3f} s" if picture.time is not None else "")


def _ranges(numbers: list[int]) -> str:
    """Returns "3, 12-15" for [3, 12, 13, 14, 15], the first ten of them."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [f"{first}-{last}" if last > first else str(first) for first, last in spans]
    return ", ".join(words[:10] + ["..."] * (len(words) > 10))
