"""The files that a segmented video leaves: masks in DAVIS layout, an overlay video, soft maps.

OUT/<video>/<frame>.png are palette PNGs of ids, OUT/<video>.mp4 is the overlay, and
OUT/soft/<video>/<frame>.png are 16-bit grey PNGs of the foreground probability (65535 is 1). All of them
are made in OUT/.<video>.partial and appear under their names when the last frame is written.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Frame
from vos3d_jax.media.images import write_palette_png
from vos3d_jax.media.overlay import overlay as draw_overlay
from vos3d_jax.media.video import DEFAULT_RATE, Frames, VideoWriter


class Results:
    """Writes the results of one video; a context manager that leaves everything or nothing.

    Args:
        output: the folder OUT; made if it is missing.
        video: the frames that are segmented: their names, their rate, and what must not be overwritten.
        overlay: whether to write the overlay video.
        soft: whether to write the foreground probabilities.
        overwrite: whether results that are there already are replaced (at the end, when the new ones are
            complete) or refused.

    Raises:
        UserError: results are there already, or cannot be written.
    """

    def __init__(self, output: Path, video: Frames, *, overlay: bool, soft: bool, overwrite: bool):
        self.masks = output / video.name
        self.overlay = output / f"{video.name}.mp4" if overlay else None
        self.soft = output / "soft" / video.name if soft else None
        self._output, self._video = output, video
        self._partial = output / f".{video.name}.partial"
        for path in self._paths():
            if path.exists() and path.samefile(video.path):
                raise UserError(f"{path} is the input itself: give another --output")
            if path.exists() and not overwrite:
                raise UserError(f"{path} is there already: give another --output, or add --overwrite")

    def __enter__(self) -> "Results":
        self._made_output = not self._output.exists()
        self._stack = ExitStack()
        try:
            if self._partial.exists():
                shutil.rmtree(self._partial)  # of a run that was killed
            (self._partial / "masks").mkdir(parents=True)
            if self.soft:
                (self._partial / "soft").mkdir()
            if self.overlay:
                writer = VideoWriter(self._partial / "overlay.mp4", self._video.rate or DEFAULT_RATE)
                self._writer = self._stack.enter_context(writer)
        except OSError as error:
            self._clean_up()
            raise self._unwritable(error) from error
        return self

    def write(self, frame: Frame, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Writes what was found in `picture`."""
        name = f"{self._video.frame_name(frame.index)}.png"
        try:
            write_palette_png(self._partial / "masks" / name, frame.mask)
            if self.overlay:
                self._writer.write(draw_overlay(picture, frame.mask))
            if self.soft:
                probability = frame.probability
                if probability.ndim == 3:
                    probability = 1 - probability[..., 0]
                grey = np.round(np.clip(probability, 0, 1) * 65535).astype(np.uint16)
                Image.fromarray(grey).save(self._partial / "soft" / name)
        except OSError as error:
            raise self._unwritable(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.__exit__(kind, error, trace)
            if kind is None:
                self._put_in_place()
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        if self._made_output and self._output.is_dir() and not any(self._output.iterdir()):
            self._output.rmdir()

    def _put_in_place(self) -> None:
        for name, path in (("overlay.mp4", self.overlay), ("soft", self.soft), ("masks", self.masks)):
            if path is None:
                continue
            path.parent.mkdir(exist_ok=True)
            if path.exists():
                path.rename(self._partial / f"{name}.old")
            (self._partial / name).rename(path)

    def _paths(self) -> list[Path]:
        return [path for path in (self.masks, self.overlay, self.soft) if path is not None]

    def _unwritable(self, error: OSError) -> UserError:
        reason = error.strerror or error
        return UserError(f"cannot write to {self._output} ({reason}): give an --output folder with space")
