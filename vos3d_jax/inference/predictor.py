"""The streaming predictor of clip-wise networks: frames go in, masks come out, a window is all it holds.

As 3DC-Seg's released inference does it: probabilities, not logits, are averaged over the votes of a frame, in
float32; the mask is the argmax of the means at the network's size (a tie gives background), cropped, and
brought to the frame's size by nearest neighbour.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, UInt8

from vos3d_jax import models, storage
from vos3d_jax.compiling import compiling, to_stderr
from vos3d_jax.errors import UserError
from vos3d_jax.inference import clips, memory
from vos3d_jax.inference.frame import frames_of
from vos3d_jax.inference.settings import Settings
from vos3d_jax.inference.sizes import Fit
from vos3d_jax.media.reading import MOST_PIXELS
from vos3d_jax.models.description import describe, doubt_of, settings_of

_PREPARED_SIZES = 2  # on a CPU each holds transformed weights, 1.5 GB of them for the published network


@dataclass(frozen=True)
class Frame:
    """What the predictor says about frame `index`, at the frame's own size.

    `mask` holds ids, 0 is background. `probability` is that of the foreground, or of every id for networks
    of more than two classes; it is resized bilinearly, the mask by nearest neighbour, so at borders the
    mask is not quite `probability > 0.5` where the network's size differs from the frame's.
    """

    index: int
    mask: UInt8[np.ndarray, "h w"]
    probability: Float32[np.ndarray, "h w"] | Float32[np.ndarray, "h w ids"]

    @property
    def foreground(self) -> Float32[np.ndarray, "h w"]:
        """The probability of any id but background."""
        return self.probability if self.probability.ndim == 2 else 1 - self.probability[..., 0]


class Predictor:
    """Segments videos of any length with a clip-wise network.

    Args:
        model: a network of `vos3d_jax.models`, or the folder of one (its latest step). Its weights are taken
            over when a frame size is first seen: make a new predictor after changing them.
        announce: is told at once why the masks cannot be good, where the card of the model tells it; when a
            new frame size makes a compilation necessary, and what it took. By default on stderr.
        **settings: `clip_length`, `overlap`, `tail`, `short_edge`, as `inference.settings.Settings` says.
            What is not given is as the card of the model has it, or else as published, as in the command
            `segment`: both give the same masks.

    Raises:
        UserError: a value cannot be used; the model is none, or gives no masks.
    """

    def __init__(
        self,
        model: Any,
        *,
        announce: Callable[[str], None] = to_stderr,
        **settings: Any,
    ):
        if isinstance(model, str | os.PathLike):
            model = storage.load_model(model)
        if not isinstance(model, nnx.Module):
            raise UserError(f"a {type(model).__name__} is no model: give a network, or the folder of one")
        if not getattr(model, "segments", True):
            raise UserError(f"a {model.system} gives no masks: give a dcseg")
        self.settings = Settings().changed(settings_of(model), "the model's card: ").changed(settings)
        self._model, self.announce = model, announce
        if doubt := doubt_of(model):
            announce(f"warning: its masks cannot be good: {doubt}")
        self._prepared: dict[tuple[int, int], Callable[[Array], Array]] = {}

    def __repr__(self) -> str:
        """Three lines: the network, its size, the settings."""
        network, size, _ = describe(self._model).split("\n")
        return f"Predictor of {network}\n{size}\n  {self.settings}"

    def stream(self, video: Any, first: int = 0) -> Iterator[Frame]:
        """Returns an iterator over the `Frame` of each frame, in order, each as soon as it is final.

        That is when no later clip can vote for it: with the published cut 3 to 7 frames after it came; at
        most `clip_length` frames are held.

        Args:
            video: a path, as the command's `--input`; uint8 RGB [time, height, width, 3]; or an iterable of
                frames, uint8 RGB [height, width, 3] or pictures of Pillow.
            first: the index that the first of them has.

        Raises:
            UserError: that is no video; while iterating: a frame is of another kind, or not of the first
                one's size; the network's probabilities are not finite.
        """
        return map(_as_frame, self.mean_probabilities(video, first))

    def restart(self, index: int) -> int:
        """Returns where to begin a stream that is to give the same as a whole one from frame `index` on.

        That is the start of the first clip that votes for it; for the frames before it votes are missing.
        """
        stride = self.settings.clip_length - self.settings.overlap
        return max(0, -(-(index - self.settings.clip_length + 1) // stride) * stride)

    def mean_probabilities(
        self, video: Any, first: int = 0
    ) -> Iterator[tuple[int, Float32[np.ndarray, "h w classes"], Fit]]:
        """Returns what yields (index, mean probability of each class, fit) at the network's size, no padding.

        These are the maps that the soft measures of the paper are computed on. Otherwise as `stream`.
        """
        return self._run(frames_of(video, first), first)

    def _run(
        self, frames: Iterator[UInt8[np.ndarray, "h w 3"]], first: int
    ) -> Iterator[tuple[int, Float32[np.ndarray, "h w classes"], Fit]]:
        schedule = clips.ClipSchedule(self.settings.clip_length, self.settings.overlap, self.settings.tail)
        window: dict[int, _PendingFrame] = {}  # by their place in the schedule, which begins at 0
        fit = None

        def emit(final: int) -> Iterator[tuple[int, np.ndarray, Fit]]:
            for place in [place for place in window if place < final]:
                seen = window.pop(place)
                yield seen.index, fit.crop(seen.mean()), fit

        for place, frame in enumerate(frames):
            fit = self._fit(first + place, frame, fit)
            window[place] = _PendingFrame(first + place, fit.to_network(frame))
            if clip := schedule.arrive():
                self._vote(clip, window, fit)
                yield from emit(schedule.final)
        for clip in schedule.finish():
            self._vote(clip, window, fit)
            yield from emit(schedule.final)
        yield from emit(schedule.arrived)

    def _fit(self, index: int, frame: np.ndarray, fit: Fit | None) -> Fit:
        size = frame.shape[:2]
        if fit is None:
            fit = Fit(size, self.settings.edge(size))
            height, width = fit.resized
            if height * width > MOST_PIXELS:  # before a frame is resized: the memory is estimated later
                raise UserError(
                    f"short_edge {fit.short_edge} makes frames of {width}x{height}, more than {MOST_PIXELS} "
                    "pixels: give a smaller one"
                )
            if fit.short_edge != (self.settings.short_edge or None):
                self.announce(
                    f"frames of {size[1]}x{size[0]} enter the network with a shorter side of "
                    f"{fit.short_edge} pixels, for which it was trained; give short_edge to choose another "
                    "(0: theirs)"
                )
            return fit
        if size != fit.original:
            raise UserError(
                f"frame {index} is {size[1]}x{size[0]} but those before are "
                f"{fit.original[1]}x{fit.original[0]}: give a video of one size, or cut it where "
                "the size changes"
            )
        return fit

    def _vote(self, clip: clips.Clip, window: dict[int, "_PendingFrame"], fit: Fit) -> None:
        seen = [window[place] for place in clip.frames]
        frames = np.stack([one.frame for one in seen])[None]
        if fit.network in self._prepared:
            probabilities = np.asarray(_softmax(self._prepared[fit.network](frames)))
        else:
            probabilities = self._prepare_and_run(frames, fit)
        for one, votes, probability in zip(seen, clip.votes, probabilities[0], strict=True):
            if not np.isfinite(probability.sum()):  # one pass: what is not finite stays so in the sum
                raise UserError(
                    f"frame {one.index}: the network's probabilities are not finite, so there is no mask: "
                    "its training diverged or its file is damaged: give an earlier --step, or convert the "
                    "file again, which names such tensors"
                )
            if votes:
                one.add(probability)

    def _prepare_and_run(
        self, frames: UInt8[np.ndarray, "1 t h w 3"], fit: Fit
    ) -> Float32[np.ndarray, "1 t h w classes"]:
        time_, height, width = frames.shape[1:4]
        shape = f"{time_} frames of {width}x{height}"
        start = time.monotonic()
        while len(self._prepared) >= _PREPARED_SIZES:
            del self._prepared[next(iter(self._prepared))]
        words = f"for clips of {shape} (once for each frame size)"
        with memory.exhaustion_told(shape), compiling(words, self.announce):
            run = models.prepare(self._model, frames.shape)
            if jax.default_backend() == "cpu":
                memory.require(run, frames.shape, fit, memory.available())
            probabilities = np.asarray(_softmax(run(frames)))
        self._prepared[height, width] = run
        self.announce(f"first clip of {shape} after {time.monotonic() - start:.1f} s, compilation included")
        return probabilities


def _as_frame(found: tuple[int, Float32[np.ndarray, "h w classes"], Fit]) -> Frame:
    index, mean, fit = found
    soft = mean[..., 1] if mean.shape[-1] == 2 else mean
    return Frame(index, fit.mask_to_frame(mean.argmax(-1).astype(np.uint8)), fit.probability_to_frame(soft))


class _PendingFrame:
    """A frame as the network sees it, and the sum of the votes it has had."""

    def __init__(self, index: int, frame: np.ndarray):
        self.index, self.frame = index, frame
        self._sum: np.ndarray | None = None
        self._count = 0

    def add(self, probability: np.ndarray) -> None:
        self._sum = probability.copy() if self._sum is None else np.add(self._sum, probability, out=self._sum)
        self._count += 1

    def mean(self) -> np.ndarray:
        return self._sum / np.float32(self._count)


@jax.jit
def _softmax(logits: Float[Array, "b t h w classes"]) -> Float[Array, "b t h w classes"]:
    return jax.nn.softmax(logits.astype(jax.numpy.float32), axis=-1)
