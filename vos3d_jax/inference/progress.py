"""How a command shows that it is segmenting: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console

from vos3d_jax.bar import progress_bar

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts frames on stderr, with frames per second; a context manager.

    Args:
        length: frames to come, None if not known.
        warm_up: frames that a clip brings. The rate counts after the first clip, which waits for the
            compilation.
    """

    def __init__(self, length: int | None, warm_up: int, clock: Callable[[], float] = time.monotonic):
        self.done = 0
        self._length, self._warm_up, self._clock = length, warm_up, clock
        self._start = clock()
        self._first = self._last_line = self._start
        self._console = Console(file=sys.stderr)
        self._bar = progress_bar("segmenting", "frames", self._console)
        self._task = self._bar.add_task("segmenting", total=length, rate="")

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def advance(self) -> None:
        """Counts a frame."""
        now = self._clock()
        if not self.done:
            self._first = self._last_line = now
        self.done += 1
        self._bar.update(self._task, advance=1, rate=self._rate(now))
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            of = f" of {self._length}" if self._length else ""
            self.say(f"{self.done}{of} frames{self._rate(now)}{self._left(now)}")

    def summary(self) -> str:
        """Returns what it took, in words."""
        now = self._clock()
        said = (
            f"{self.done} frames in {now - self._start:.1f} s, {self._first - self._start:.1f} s of them "
            "before the first mask (compilation included)"
        )
        others = self.done - self._warm_up  # those that did not come with the first mask
        if others <= 0 or now <= self._first:
            return said
        return f"{said}, the last {others} at {others / (now - self._first):.3g} frames/s"

    def _per_second(self, now: float) -> float | None:
        if self.done <= self._warm_up or now <= self._first:
            return None
        # Frames leave a clip at a time: when its first one counts, its time was spent on all of them.
        clips = -(-(self.done - self._warm_up) // self._warm_up)
        return clips * self._warm_up / (now - self._first)

    def _rate(self, now: float) -> str:
        rate = self._per_second(now)
        return f", {rate:.3g} frames/s" if rate else ""

    def _left(self, now: float) -> str:
        rate = self._per_second(now)
        return f", {(self._length - self.done) / rate:.0f} s left" if rate and self._length else ""
