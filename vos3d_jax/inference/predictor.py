"""The streaming predictor of clip-wise networks: frames go in, masks come out, a window is all it holds.

Facts: spec-3dc-seg.md 4.7. Probabilities, not logits, are averaged over the votes of a frame, in float32;
the mask is the argmax of the means at the network's size (a tie gives background), cropped, and brought
to the frame's size by nearest neighbour.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, UInt8

from vos3d_jax import models
from vos3d_jax.errors import UserError
from vos3d_jax.inference import clips
from vos3d_jax.inference.sizes import Fit

_log = logging.getLogger(__name__)
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


class Predictor:
    """Segments videos of any length with a clip-wise network.

    Args:
        model: a network of `vos3d_jax.models`. Its weights are taken over when a frame size is first seen:
            make a new predictor after changing them.
        clip_length: frames of a clip (published: 8).
        overlap: frames that neighbouring clips share (published: 3; dense: clip_length - 1).
        tail: how the last clips are made, "code" (the published program) or "paper"; see `inference.clips`.
        short_edge: the shorter side is resized to this many pixels (published for DAVIS: 480); None leaves
            frames as they are. Both are padded with black to multiples of 32.
        announce: is told when a new frame size makes a compilation necessary, and what it took; by default
            the module's logger.

    Raises:
        UserError: a value cannot be used.
    """

    def __init__(
        self,
        model: nnx.Module,
        *,
        clip_length: int = 8,
        overlap: int = 3,
        tail: str = "code",
        short_edge: int | None = 480,
        announce: Callable[[str], None] = _log.info,
    ):
        clips.check(clip_length, overlap, tail)
        if short_edge is not None and short_edge < 1:
            raise UserError(
                f"short_edge is {short_edge}: give at least 1 pixel; what keeps the frames' size is None in "
                "Python and --short_edge=0 in the command"
            )
        self.clip_length, self.overlap, self.tail, self.short_edge = clip_length, overlap, tail, short_edge
        self._model, self._announce = model, announce
        self._prepared: dict[tuple[int, int], Callable[[Array], Array]] = {}

    def stream(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Frame]:
        """Yields one `Frame` for each of `frames`, in order, as soon as no later clip can vote for it.

        With the published cut that is 3 to 7 frames after it came; at most `clip_length` frames are held.

        Raises:
            UserError: a frame is not uint8 RGB, or not of the first frame's size.
        """
        for index, mean, fit in self.mean_probabilities(frames):
            ids = mean.argmax(-1).astype(np.uint8)
            soft = mean[..., 1] if mean.shape[-1] == 2 else mean
            yield Frame(index, fit.mask(ids), fit.probability(soft))

    def mean_probabilities(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[tuple[int, Float32[np.ndarray, "h w classes"], Fit]]:
        """Yields (index, mean probability of each class, fit) at the network's size, padding cropped.

        These are the maps that the soft measures of the paper are computed on. Otherwise as `stream`.
        """
        schedule = clips.ClipSchedule(self.clip_length, self.overlap, self.tail)
        window: dict[int, _Seen] = {}
        fit = None

        def leave(final: int) -> Iterator[tuple[int, np.ndarray, Fit]]:
            for index in [index for index in window if index < final]:
                yield index, fit.crop(window.pop(index).mean()), fit

        for index, frame in enumerate(frames):
            fit = self._check(index, frame, fit)
            window[index] = _Seen(fit.enter(frame))
            if clip := schedule.arrive():
                self._vote(clip, window, fit)
                yield from leave(schedule.final)
        for clip in schedule.finish():
            self._vote(clip, window, fit)
            yield from leave(schedule.final)
        yield from leave(schedule.arrived)

    def _check(self, index: int, frame: np.ndarray, fit: Fit | None) -> Fit:
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise UserError(
                f"frame {index} is {frame.dtype} {list(frame.shape)}: give uint8 RGB [height, width, 3]"
            )
        size = frame.shape[:2]
        if fit is None:
            return Fit(size, self.short_edge)
        if size != fit.original:
            raise UserError(
                f"frame {index} is {size[1]}x{size[0]} but frame 0 is {fit.original[1]}x{fit.original[0]}: "
                "give a video of one size, or cut it where the size changes"
            )
        return fit

    def _vote(self, clip: clips.Clip, window: dict[int, "_Seen"], fit: Fit) -> None:
        frames = np.stack([window[index].frame for index in clip.frames])[None]
        if fit.network in self._prepared:
            probabilities = np.asarray(_softmax(self._prepared[fit.network](frames)))
        else:
            probabilities = self._prepare_and_run(frames)
        for index, votes, probability in zip(clip.frames, clip.votes, probabilities[0], strict=True):
            if votes:
                window[index].add(probability)

    def _prepare_and_run(
        self, frames: UInt8[np.ndarray, "1 t h w 3"]
    ) -> Float32[np.ndarray, "1 t h w classes"]:
        time_, height, width = frames.shape[1:4]
        shape = f"{time_} frames of {width}x{height}"
        self._announce(f"compiling for clips of {shape} (once for each frame size)")
        start = time.monotonic()
        while len(self._prepared) >= _PREPARED_SIZES:
            del self._prepared[next(iter(self._prepared))]
        run = self._prepared[height, width] = models.prepare(self._model, frames.shape)
        probabilities = np.asarray(_softmax(run(frames)))
        self._announce(f"first clip of {shape} after {time.monotonic() - start:.1f} s, compilation included")
        return probabilities


class _Seen:
    """A frame as the network sees it, and the sum of the votes it has had."""

    def __init__(self, frame: np.ndarray):
        self.frame = frame
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
