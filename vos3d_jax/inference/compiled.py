"""A network as predictors call it: compiled once for each size of frames, where the memory is enough."""

import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, UInt8

from vos3d_jax import models
from vos3d_jax.compiling import compiling
from vos3d_jax.errors import UserError
from vos3d_jax.inference import memory
from vos3d_jax.inference.sizes import Fit

_PREPARED_SIZES = 2  # on a CPU each holds transformed weights, 1.5 GB of them for the published network


class CompiledNetwork:
    """Calls a network whose weights are taken over when a size of frames is first seen.

    Attributes:
        announce: is told when a new size makes a compilation necessary, and what it took.
        trained_edge: pixels of the shorter side that the network was trained for; 0: unknown, or no limit.
    """

    def __init__(self, model: nnx.Module, announce: Callable[[str], None], trained_edge: int = 0):
        self._model, self.announce, self.trained_edge = model, announce, trained_edge
        self._prepared: dict[tuple[int, ...], Callable[[Array], Array]] = {}

    def probabilities(
        self, pixels: UInt8[np.ndarray, "t h w 3"], indices: Sequence[int], fit: Fit
    ) -> Float32[np.ndarray, "t h w classes"]:
        """Returns the softmax of the network's logits for a clip.

        Args:
            pixels: the frames as they enter the network.
            indices: of these frames in the video, for errors.
            fit: how they came to their size.

        Raises:
            UserError: the memory is not enough (it names a size for which it is), or a probability of a
                frame is not finite.
        """
        clip = pixels[None]
        if run := self._prepared.get(clip.shape):
            probabilities = np.asarray(_softmax(run(clip)))[0]
        else:
            probabilities = self._prepare_and_run(clip, fit)[0]
        for index, probability in zip(indices, probabilities, strict=True):
            if not np.isfinite(probability.sum()):  # one pass: what is not finite stays so in the sum
                raise UserError(
                    f"frame {index}: the network's probabilities are not finite, so there is no mask: its "
                    "training diverged or its file is damaged: give an earlier --step, or convert the file "
                    "again, which names such tensors"
                )
        return probabilities

    def _prepare_and_run(
        self, clip: UInt8[np.ndarray, "1 t h w 3"], fit: Fit
    ) -> Float32[np.ndarray, "1 t h w classes"]:
        shape = f"{clip.shape[1]} frames of {clip.shape[3]}x{clip.shape[2]}"
        start = time.monotonic()
        while len(self._prepared) >= _PREPARED_SIZES:
            del self._prepared[next(iter(self._prepared))]
        words = f"for clips of {shape} (once for each frame size)"
        with memory.exhaustion_told(shape), compiling(words, self.announce):
            run = models.prepare(self._model, clip)
            if jax.default_backend() == "cpu":
                memory.require(run, clip.shape, fit, memory.available())
            probabilities = np.asarray(_softmax(run(clip)))
        self._prepared[clip.shape] = run
        self.announce(f"first clip of {shape} after {time.monotonic() - start:.1f} s, compilation included")
        return probabilities


@jax.jit
def _softmax(logits: Float[Array, "b t h w classes"]) -> Float[Array, "b t h w classes"]:
    return jax.nn.softmax(logits.astype(jax.numpy.float32), axis=-1)
