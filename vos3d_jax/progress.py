"""How commands show that they go on: in place on a terminal, elsewhere a line every few seconds."""

import shutil
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts on stderr what is done, with frames per second; a context manager.

    Args:
        verb: what is done, "segmenting".
        things: what is counted, "frames".
        total: things to come, None if not known.
        warm_up: frames of the first clip, which wait for the compilation: the rate counts after them.
        clock: seconds.
    """

    def __init__(
        self,
        verb: str,
        things: str,
        total: int | None = None,
        warm_up: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.done = self._frames = 0
        self._verb, self._things, self._total, self._warm_up = verb, things, total, warm_up
        self._clock = clock
        self._start = self._first = self._last_line = clock()
        self._console = Console(file=sys.stderr)
        columns = (TextColumn(verb), BarColumn(), MofNCompleteColumn())
        columns += (TextColumn(things + "{task.fields[rate]}"), TimeRemainingColumn())
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(verb, total=total, rate="")

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def advance(self, frames: int = 1, last: bool = False) -> None:
        """Counts a thing of so many frames."""
        now = self._clock()
        if self._warm_up and not self.done:
            self._first = self._last_line = now
        self.done += 1
        self._frames += frames
        seconds, counted = now - self._first, self._counted()
        rate = f", {counted / seconds:.3g} frames/s" if counted > 0 < seconds else ""
        self._bar.update(self._task, completed=self.done, total=self._total, rate=rate)
        if not self._console.is_terminal and (last or now - self._last_line >= _SECONDS_BETWEEN_LINES):
            self._last_line = now
            of = f" of {self._total}" if self._total else ""
            left = ""
            if rate and of and not last:
                each = seconds * self._frames / (counted * self.done)
                left = f", {(self._total - self.done) * each:.0f} s left"
            self.say(f"{self._verb}: {self.done}{of} {self._things}{rate}{left}")

    def scored(self, done: int, total: int, frames: int) -> None:
        """Counts a sequence of so many frames, of `total`: what a scoring tells its progress."""
        self._total = total
        self.advance(frames, last=done == total)

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

    def _counted(self) -> int:
        """Frames on which the time since the first one was spent: they leave a clip at a time."""
        clip = self._warm_up or 1
        return -(-(self._frames - self._warm_up) // clip) * clip


class StatusLine:
    """A line on stdout that changes in place on a terminal; elsewhere it is printed every few `seconds`."""

    def __init__(self, seconds: float):
        self._seconds, self._last = seconds, time.monotonic()
        self._open = False

    def show(self, line: str, last: bool = False) -> None:
        """Shows how far the run is; `last`: whatever the time."""
        if sys.stdout.isatty():
            print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
            self._open = True
        elif last or time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
            print(line, flush=True)

    def say(self, line: str) -> None:
        """Prints a line of its own."""
        self.close()
        print(line, flush=True)

    def close(self) -> None:
        """Ends the line that is shown, which stays."""
        if self._open:
            print(flush=True)
            self._open = False


def duration(seconds: float | int) -> str:
    """Returns "42 s", "3 min 05 s" or "2 h 07 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
