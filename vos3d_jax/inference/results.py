"""The files that a segmented video leaves: masks in DAVIS layout, an overlay video, soft maps.

OUT/<video>/<frame>.png are palette PNGs of ids, OUT/<video>.mp4 is the overlay, and
OUT/soft/<video>/<frame>.png are 16-bit grey PNGs of the foreground probability (65535 is 1). All of them
are made in OUT/.<video>.partial and appear under their names when the last frame is written. What they
replace waits there until all of them are in place; after an error, or a kill in between, it is put back.
"""

import errno
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Frame
from vos3d_jax.media.frames import Frames
from vos3d_jax.media.images import write_map_png
from vos3d_jax.media.masks import write_palette_png
from vos3d_jax.media.overlay import overlay as draw_overlay
from vos3d_jax.media.reading import Picture
from vos3d_jax.media.video_writer import DEFAULT_RATE, VideoWriter

_SOFT = "soft"  # the folder of OUT with the soft maps of all videos
# What to do about an output folder that cannot be written to; for anything else, another one.
_NOT_YOURS = "give an --output folder that you may write to"
_FULL = "free some space, or give an --output folder on another disk"
_A_FILE = "a file stands where a folder is needed, so give another --output"
_MENDS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _NOT_YOURS),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), _A_FILE),
}


class Results:
    """Writes the results of one video; a context manager that leaves everything or nothing.

    First of all it puts back the results that a killed run had taken away and not replaced.

    Args:
        output: the folder OUT; made if it is missing.
        video: the frames that are segmented: their names, their rate, and what must not be overwritten.
        overlay: whether to write the overlay video.
        soft: whether to write the foreground probabilities.
        overwrite: whether results that are there already are replaced (at the end, when the new ones are
            complete) or refused.

    Raises:
        UserError: results are there already, or cannot be written; the video is called `soft`.
    """

    def __init__(self, output: Path, video: Frames, *, overlay: bool, soft: bool, overwrite: bool):
        if video.name.casefold() == _SOFT:  # its masks would stand among, or replace, the others' soft maps
            raise UserError(
                f"{video.path} would have its masks in {output / video.name}, where soft maps go: "
                "rename the input"
            )
        self._output, self._video = output, video
        places = self._places()
        self.masks = places["masks"]
        self.overlay = places["overlay.mp4"] if overlay else None
        self.soft = places["soft"] if soft else None
        self._partial = output / f".{video.name}.partial"
        self._replaced = output / f".{video.name}.replaced"
        try:
            self._put_back()
        except OSError as error:
            raise self._unwritable(error) from error
        for path in filter(None, (self.masks, self.overlay, self.soft)):
            if path.exists() and path.samefile(video.path):
                raise UserError(f"{path} is the input itself: give another --output")
            if path.exists() and not overwrite:
                raise UserError(f"{path} is there already: give another --output, or add --overwrite")

    def __enter__(self) -> "Results":
        self._made_output = not self._output.exists()
        self._stack = ExitStack()
        try:
            for left in (self._partial, self._replaced):
                if left.exists():
                    shutil.rmtree(left)  # of a run that was killed
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

    def write(self, frame: Frame, picture: Picture) -> None:
        """Writes what was found in `picture`, which has pixels."""
        name = f"{self._video.frame_name(frame.index)}.png"
        try:
            write_palette_png(self._partial / "masks" / name, frame.mask)
            if self.overlay:
                shown = draw_overlay(picture.pixels, frame.mask)
                self._writer.write(shown, picture.time, picture.pixel_aspect)
            if self.soft:
                probability = frame.probability
                if probability.ndim == 3:
                    probability = 1 - probability[..., 0]
                write_map_png(self._partial / "soft" / name, probability)
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
        shutil.rmtree(self._replaced, ignore_errors=True)
        if not any(self._partial.glob("*.old")):  # else the next run puts them back
            shutil.rmtree(self._partial, ignore_errors=True)
        if self._made_output and self._output.is_dir() and not any(self._output.iterdir()):
            self._output.rmdir()

    def _put_in_place(self) -> None:
        chosen = self._chosen()
        first = [name for name, path in chosen.items() if not path.exists()]
        try:
            for name, path in chosen.items():
                path.parent.mkdir(exist_ok=True)
                if path.exists():
                    path.rename(self._partial / f"{name}.old")
                (self._partial / name).rename(path)
            # From here on the old results are no more to be put back, however far deleting them gets.
            self._partial.rename(self._replaced)
        except BaseException:
            for name in first:
                if not (self._partial / name).exists():
                    chosen[name].rename(self._partial / name)
            self._put_back()
            raise

    def _put_back(self) -> None:
        """Undoes what a run that did not get to its end has replaced, with whichever options it ran."""
        for name, path in self._places().items():
            old = self._partial / f"{name}.old"
            if old.exists():
                if path.exists():
                    path.rename(self._partial / name)
                old.rename(path)

    def _places(self) -> dict[str, Path]:
        name = self._video.name
        return {
            "overlay.mp4": self._output / f"{name}.mp4",
            "soft": self._output / _SOFT / name,
            "masks": self._output / name,
        }

    def _chosen(self) -> dict[str, Path]:
        wanted = (self.overlay, self.soft, self.masks)
        return {name: path for name, path in self._places().items() if path in wanted}

    def _unwritable(self, error: OSError) -> UserError:
        reason = error.strerror or error
        mend = _MENDS.get(error.errno, "give another --output folder")
        return UserError(f"cannot write to {self._output} ({reason}): {mend}")
