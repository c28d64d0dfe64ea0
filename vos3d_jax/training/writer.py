"""Where a run's numbers go: one writer for the terminal, `metrics.jsonl` and TensorBoard."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorboardX
from jaxtyping import UInt8

from vos3d_jax import files
from vos3d_jax.progress import StatusLine


class Writer:
    """Writes named scalars and lines of text; a resumed run overwrites what came after its checkpoint.

    Args:
        workdir: an existing folder.
        step: the step the run stands at; lines of later steps are dropped from `metrics.jsonl`.
        seconds: how far apart lines are where the output is no terminal.

    Raises:
        UserError: the files cannot be written.
    """

    def __init__(self, workdir: Path, step: int, seconds: float):
        self._path = workdir / "metrics.jsonl"
        with files.writing(workdir / "tensorboard"):
            # TensorBoard drops the step it is given, too; that of the checkpoint is done.
            self._board = tensorboardX.SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)
        with files.writing(self._path):
            _truncate(self._path, step)
            self._file = self._path.open("a")
        self._line = StatusLine(seconds)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *exception: object) -> None:
        self._line.close()
        self._file.close()
        self._board.close()

    def text(self, line: str) -> None:
        """Prints a line of its own."""
        self._line.say(line)

    def scalars(self, step: int, values: dict[str, float | str]) -> None:
        """Records the `values` after step `step`; text (the stage's name) goes to `metrics.jsonl` only."""
        with files.writing(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        for name, value in values.items():
            if not isinstance(value, str):
                self._board.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: Mapping[str, UInt8[np.ndarray, "_h _w 3"]]) -> None:
        """Shows the `pictures` after step `step` in TensorBoard, under their names."""
        for name, picture in pictures.items():
            self._board.add_image(name, picture, step, dataformats="HWC")

    def progress(self, line: str, last: bool = False) -> None:
        """Shows how far the run is: in place on a terminal, else as a line every few seconds."""
        self._line.show(line, last)


class Meter:
    """Rates between two reports: steps, seconds, seconds in which the device waited for data.

    When a batch arrives while the device is still busy with the step before, nobody has waited for it.
    """

    def __init__(self):
        self._start, self._waited, self._steps = time.monotonic(), 0.0, 0

    def add(self, fetch_seconds: float, device_was_busy: bool) -> None:
        """Counts one step."""
        self._steps += 1
        self._waited += 0.0 if device_was_busy else fetch_seconds

    def leave_out(self, seconds: float) -> None:
        """Takes `seconds` that were spent on something else than training out of the account."""
        self._start += seconds

    def report(self) -> tuple[float, float]:
        """Returns steps per second and the share of time waited for data since the last report."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        result = self._steps / seconds, min(1.0, self._waited / seconds)
        self.__init__()
        return result


def _truncate(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            break  # the line a kill cut short
    files.write(path, "".join(kept).encode())
