"""The streaming predictor: frames go in, masks come out, a window is all it holds.

What is the same for all networks is here; how one kind of network is run is a row of `registry.PREDICTORS`.
The mask is the argmax of the probabilities at the network's size (a tie gives the lowest id), cropped, and
brought to the frame's size by nearest neighbour.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import Float32

from vos3d_jax import schema, storage
from vos3d_jax.compiling import to_stderr
from vos3d_jax.errors import UserError
from vos3d_jax.inference import registry
from vos3d_jax.inference.compiled import CompiledNetwork
from vos3d_jax.inference.frame import Frame, given_frames
from vos3d_jax.inference.sizes import Fit
from vos3d_jax.models.description import describe, remembered

_NOTHING: Mapping[int, Any] = {}


class Predictor:
    """Segments videos of any length.

    Args:
        model: a network of `vos3d_jax.models`, or the folder of one (its latest step). Its weights are taken
            over when a frame size is first seen: make a new predictor after changing them.
        announce: is told at once why the masks cannot be good, where the card of the model tells it; when a
            new frame size makes a compilation necessary, and what it took. By default on stderr.
        **settings: those of the model's kind of predictor, for a dcseg `ClipWise`. What is not given is as
            the card of the model has it, or else as published, as in the command `segment`: both give the
            same masks.

    Attributes:
        settings: the settings, of the kind that `registry.PREDICTORS` has for the model.
        delay: masks leave so many at a time, after as many frames.
        takes_masks: whether `stream` takes masks.

    Raises:
        UserError: a value cannot be used; the model is none, or gives no masks.
    """

    def __init__(self, model: Any, *, announce: Callable[[str], None] = to_stderr, **settings: Any):
        if isinstance(model, str | os.PathLike):
            model = storage.load_model(model)
        if not isinstance(model, nnx.Module):
            raise UserError(f"a {type(model).__name__} is no model: give a network, or the folder of one")
        kind = registry.kind_of(getattr(model, "system", type(model).__name__))
        card = dict(remembered(model).get("settings", {}))
        limit = card.pop("trained_edge", 0)
        # Of a size that is given nobody asks whether it is that of the training.
        trained_edge = 0 if "short_edge" in settings else limit
        own = schema.parse(card, kind, "the model's card")
        self.settings = schema.parse({**asdict(own), **settings}, kind, "predictor")
        self.delay, self.takes_masks = self.settings.delay, self.settings.takes_masks
        self._model, self.announce = model, announce
        self._network = CompiledNetwork(model, lambda line: self.announce(line), trained_edge)
        if doubt := remembered(model).get("doubt"):
            announce(f"warning: its masks cannot be good: {doubt}")

    def __repr__(self) -> str:
        """Three lines: the network, its size, the settings."""
        network, size, _ = describe(self._model).split("\n")
        settings = ", ".join(f"{name}={value!r}" for name, value in self.described().items())
        return f"Predictor of {network}\n{size}\n  {settings}"

    def described(self) -> dict[str, Any]:
        """Returns the settings by name; `short_edge` in words where it is a limit."""
        values, edge = asdict(self.settings), self._network.trained_edge
        limited = edge and not values.get("short_edge", edge)
        return {**values, "short_edge": f"that of the frames, at most {edge}"} if limited else values

    def stream(self, video: Any, given: Mapping[int, Any] = _NOTHING, *, first: int = 0) -> Iterator[Frame]:
        """Returns an iterator over the `Frame` of each frame, in order, each as soon as it is final.

        Args:
            video: a path, as the command's `--input`; uint8 RGB [time, height, width, 3]; or an iterable of
                frames, uint8 RGB [height, width, 3] or pictures of Pillow.
            given: masks by the index of their frame: ids, uint8 [height, width] of the frame's size. The
                first mask of an object, that of one that appears later and a correction are the same
                thing: each id of a mask is where it says, other objects go on, 0 says nothing about them.
            first: the index that the first frame of `video` has.

        Raises:
            UserError: that is no video; masks are given, and the network takes none; while iterating: a
                frame or mask is of another kind or size, or the video ends before the frame of a mask; the
                network's probabilities are not finite.
        """
        return map(_as_frame, self.mean_probabilities(video, given, first=first))

    def restart(self, index: int) -> int:
        """Returns where to begin a stream that is to give the same as a whole one from frame `index` on."""
        return self.settings.restart(index)

    def mean_probabilities(
        self, video: Any, given: Mapping[int, Any] = _NOTHING, *, first: int = 0
    ) -> Iterator[tuple[int, Float32[np.ndarray, "h w ids"], Fit]]:
        """Returns what yields (index, probability of each id, fit) at the network's size, no padding.

        These are the maps that the soft measures of the paper are computed on. Otherwise as `stream`.
        """
        frames = given_frames(video, given, first)
        if given and not self.takes_masks:
            raise UserError(f"a {self._model.system} takes no masks: leave those of `given` out")
        return self.settings.run(self._network, frames)


def _as_frame(final: tuple[int, Float32[np.ndarray, "h w ids"], Fit]) -> Frame:
    index, mean, fit = final
    soft = mean[..., 1] if mean.shape[-1] == 2 else mean
    return Frame(index, fit.mask_to_frame(mean.argmax(-1).astype(np.uint8)), fit.probability_to_frame(soft))
