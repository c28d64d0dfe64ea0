"""The files that a segmented video leaves: masks in DAVIS layout, an overlay video, soft maps, a record.

OUT/<video>/<frame>.png are palette PNGs of ids, OUT/<video>.mp4 is the overlay, OUT/soft/<video>/<frame>.png
are 16-bit grey PNGs of the foreground probability (65535 is 1), and OUT/<video>.json says what they are of.
All of them are made in OUT/.<video>.partial and appear under their names when the last frame is written. What
they replace waits there until all of them are in place; after an error, or a kill in between, it is put back.
"""

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vos3d_jax import files, records
from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Frame
from vos3d_jax.media.frames import Frames
from vos3d_jax.media.images import write_map_png
from vos3d_jax.media.masks import read_ids, write_palette_png
from vos3d_jax.media.overlay import overlay as draw_overlay
from vos3d_jax.media.reading import Picture
from vos3d_jax.media.video_writer import DEFAULT_RATE, VideoWriter

_SOFT = "soft"  # the folder of OUT with the soft maps of all videos
_WORDS = {"overlay.mp4": "an overlay", "soft": "soft maps", "masks": "masks", "record.json": "a record"}
_PLACING = "placing"  # in a partial folder: names of what goes into its place, and is there if it is not here


class VideoResults:
    """The results of one video; a context manager that leaves all of them or none, and goes on after a kill.

    Entering it puts back what a killed run had taken away and not replaced, and says where to begin:
    `finished` if the results are there, made of the same, and else `done`, the number of the first frames
    whose masks an unfinished run of the same has left. What can go on is kept, as after a kill, Ctrl-C, or a
    full disk. After an error of the input or the weights nothing is left of a run that began with nothing.

    Args:
        output: the folder OUT; made if it is missing.
        video: the frames that are segmented: their names, their rate, and what must not be overwritten.
        key: what the masks depend on, see `records`.
        overlay: whether to write the overlay video.
        soft: whether to write the foreground probabilities.
        overwrite: whether results of something else are replaced (at the end, when the new ones are
            complete) or refused.

    Raises:
        UserError: the video is called `soft`; on entering: results of something else are there, finished or
            not, or they cannot be written, or another command is writing them.
    """

    def __init__(
        self,
        output: Path,
        video: Frames,
        key: Mapping[str, Any],
        *,
        overlay: bool,
        soft: bool,
        overwrite: bool,
    ):
        if video.name.casefold() == _SOFT:  # its masks would stand among, or replace, the others' soft maps
            raise UserError(
                f"{video.path} would have its masks in {output / video.name}, where soft maps go: "
                "rename the input"
            )
        self._output, self._video, self._key, self._overwrite = output, video, key, overwrite
        self.masks = output / video.name
        self.overlay = output / f"{video.name}.mp4" if overlay else None
        self.soft = output / _SOFT / video.name if soft else None
        self._partial = output / f".{video.name}.partial"
        self._replaced = output / f".{video.name}.replaced"
        self.finished, self.done = False, 0
        self._with_objects: set[str] = set()  # names of masks
        # What else stands in the record is for people, who may move the input: `same` leaves it out.
        self.record = {**key, "path": str(video.path), "files": list(self._places(chosen=True))}
        self._keep = True  # the partial folder, which may be another's

    def __enter__(self) -> "VideoResults":
        self._made_output = not self._output.exists()
        self._lock, self._closing = ExitStack(), ExitStack()
        try:
            with files.writing(self._output):
                self._partial.mkdir(parents=True, exist_ok=True)
                self._lock.enter_context(files.exclusive(self._partial))
                self._keep = any(self._partial.iterdir())
                self._put_back()
                shutil.rmtree(self._replaced, ignore_errors=True)  # what a killed run had begun to delete
                self.finished = self._look()
                if not self.finished:
                    self._begin()
        except BaseException:
            self._leave()
            raise
        return self

    def write(self, frame: Frame, picture: Picture) -> None:
        """Writes what was found in `picture`, which has pixels."""
        try:
            if self.soft:
                write_map_png(self._file("soft", frame.index), frame.foreground)
            file = self._file("masks", frame.index)
            write_palette_png(file, frame.mask)
            if frame.mask.any():
                self._with_objects.add(file.name)
            self._draw(picture, frame.mask)
        except UserError:
            self._keep = True  # there may be room for it later
            raise

    def show(self, index: int, picture: Picture) -> None:
        """Shows in the overlay, which is made anew, the mask of a frame that is done."""
        if self.overlay:
            self._draw(picture, read_ids(self._file("masks", index)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whatever ends it that may not be so the next time: a kill, a full disk.
        self._keep |= not self.finished and (kind is None or not issubclass(kind, UserError))
        try:
            with files.writing(self._output):
                self._closing.__exit__(kind, error, trace)
                if kind is None and not self.finished:
                    self._put_in_place()
        finally:
            self._leave()

    def _look(self) -> bool:
        """Whether the results are there, made of the same."""
        for path in self._in_the_way().values():
            if path.samefile(self._video.path):
                raise UserError(f"{path} is the input itself: give another --output")
        places = self._places(chosen=True)
        there = [path for path in places.values() if path.exists()]
        if self._overwrite or not there:
            return False
        before = records.read(places["record.json"])
        difference = records.differences(before, self._key)
        if records.same(before, self._key):
            missing = [_WORDS[name] for name, path in places.items() if not path.exists()]
            if not missing:
                self.record = before
                return True
            difference = f"without {' and '.join(missing)}"
        raise records.occupied(self.masks if self.masks.exists() else there[0], difference)

    def _begin(self) -> None:
        """Takes what an unfinished run of the same has left; masks of something else are refused."""
        before = records.read(self._partial / "record.json")
        if records.same(before, self._key):
            for begun in self._partial.glob("*/.*"):  # files that were being written
                begun.unlink()
            # Masks are written in the order of the frames, each behind its soft map.
            masks = (self._partial / "masks").glob("*.png")
            done = [path for path in masks if not self.soft or (self._partial / "soft" / path.name).exists()]
            self.done, self._with_objects = len(done), {path.name for path in done if read_ids(path).any()}
        else:
            masks = len(list((self._partial / "masks").glob("[!.]*.png")))
            if masks and not self._overwrite:
                what = f"{masks} mask{'s' * (masks > 1)} of an unfinished run"
                raise records.unfinished(self._partial, what, records.differences(before, self._key))
            for left in self._partial.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            self._keep = False
        self._write_record()
        (self._partial / "masks").mkdir(exist_ok=True)
        if self.soft:
            (self._partial / "soft").mkdir(exist_ok=True)
        if self.overlay:
            writer = VideoWriter(self._partial / "overlay.mp4", self._video.rate or DEFAULT_RATE)
            self._writer = self._closing.enter_context(writer)

    def _write_record(self) -> None:
        text = json.dumps(self.record, indent=1) + "\n"
        files.write(self._partial / "record.json", text.encode())

    def _file(self, kind: str, index: int) -> Path:
        return self._partial / kind / f"{self._video.frame_name(index)}.png"

    def _draw(self, picture: Picture, mask: np.ndarray) -> None:
        if self.overlay:
            with files.writing(self._output):
                shown = draw_overlay(picture.pixels, mask)
                self._writer.write(shown, picture.time, picture.pixel_aspect)

    def _leave(self) -> None:
        if not self._keep:
            shutil.rmtree(self._partial, ignore_errors=True)
        if self._made_output and self._output.is_dir() and not any(self._output.iterdir()):
            self._output.rmdir()
        self._lock.close()

    def _put_in_place(self) -> None:
        self.record["frames with objects"] = len(self._with_objects)
        self._write_record()
        chosen, replaced = self._places(chosen=True), self._in_the_way()
        # From here on what was chosen and the partial folder lacks is in place, until it has another name.
        files.write(self._partial / _PLACING, json.dumps(list(chosen)).encode())
        try:
            for name, path in self._places().items():
                if name in replaced:
                    path.rename(self._partial / f"{name}.old")
                if name in chosen:
                    path.parent.mkdir(exist_ok=True)
                    (self._partial / name).rename(path)
            self._partial.rename(self._replaced)
        except BaseException:
            self._put_back()
            raise
        shutil.rmtree(self._replaced, ignore_errors=True)
        with suppress(OSError):  # while it holds soft maps of other videos
            (self._output / _SOFT).rmdir()

    def _put_back(self) -> None:
        """Undoes what a run that did not get to its end has put in place, with whichever options it ran."""
        placing = self._partial / _PLACING
        if not placing.exists():
            return
        chosen = json.loads(placing.read_bytes())
        for name, path in self._places().items():
            new, old = self._partial / name, self._partial / f"{name}.old"
            if name in chosen and path.exists() and not new.exists():
                path.rename(new)
            if old.exists():
                old.rename(path)
        placing.unlink()

    def _in_the_way(self) -> dict[str, Path]:
        """What is there and makes way, among it what the last run made and this one does not."""
        chosen = self._places(chosen=True)
        names = {*chosen, *records.read(chosen["record.json"]).get("files", ())}
        return {name: path for name, path in self._places().items() if name in names and path.exists()}

    def _places(self, chosen: bool = False) -> dict[str, Path]:
        """Where what is in the partial folder goes: all of it, or what was chosen. The record comes last."""
        name = self._video.name
        places = {
            "overlay.mp4": self._output / f"{name}.mp4",
            "soft": self._output / _SOFT / name,
            "masks": self.masks,
            "record.json": self._output / f"{name}.json",
        }
        wanted = (self.overlay, self.soft, self.masks, places["record.json"])
        return {name: path for name, path in places.items() if path in wanted} if chosen else places
