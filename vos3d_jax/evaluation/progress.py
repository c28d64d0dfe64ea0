"""How a scoring shows that it is going on: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console

from vos3d_jax.bar import progress_bar

_SECONDS_BETWEEN_LINES = 5.0


class ScoringProgress:
    """Counts sequences on stderr, with frames per second; a context manager.

    Its instance is the `progress` that `score` calls.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock, self._frames = clock, 0
        self._start = self._last_line = clock()
        self._console = Console(file=sys.stderr)
        self._bar = progress_bar("scoring", "sequences", self._console)
        self._task = self._bar.add_task("scoring", total=None, rate="")

    def __enter__(self) -> "ScoringProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int, frames: int) -> None:
        """Shows that `done` of `total` sequences are scored, the last of which has so many frames."""
        now = self._clock()
        self._frames += frames
        seconds = max(now - self._start, 1e-9)
        rate = f", {self._frames / seconds:.3g} frames/s"
        self._bar.update(self._task, completed=done, total=total, rate=rate)
        last = done == total
        if not self._console.is_terminal and (last or now - self._last_line >= _SECONDS_BETWEEN_LINES):
            self._last_line = now
            left = f", {seconds / done * (total - done):.0f} s left" if not last else ""
            text = f"scored {done} of {total} sequences{rate}{left}"
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)
