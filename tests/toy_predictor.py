"""A predictor that takes masks and carries soft ones from frame to frame."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from vos3d_jax.inference.sizes import Fit


@dataclass(frozen=True)
class Following:
    """Objects stay where they were, but fade where the network sees no foreground.

    Attributes:
        trust: the share of an object that stays whatever the network says.
    """

    trust: float = field(default=0.25, metadata={"--trust SHARE": "what stays"})

    takes_masks: ClassVar[bool] = True
    delay: ClassVar[int] = 1

    def restart(self, index):
        return 0  # a soft mask comes of all frames before

    def run(self, network, frames):
        fit, soft = None, None
        for frame in frames:
            if fit is None:
                fit = Fit(frame.pixels.shape[:2], None)
                soft = np.zeros((*fit.network, 2), np.float32)
            pixels = fit.to_network(frame.pixels)[None]
            foreground = network.probabilities(pixels, [frame.index], fit)[0, ..., 1:]
            soft = soft * (self.trust + (1 - self.trust) * foreground)
            if frame.ids is not None:
                soft = _placed(soft, frame.ids, fit)
            soft[..., 0] = 1 - soft[..., 1:].sum(-1)
            yield frame.index, fit.crop(soft), fit


def _placed(soft, ids, fit):
    """The soft masks with each of `ids` where it says, and nothing else there."""
    ids = fit.pad(ids)
    more = max(0, int(ids.max()) + 1 - soft.shape[-1])
    soft = np.pad(soft, ((0, 0), (0, 0), (0, more)))
    soft[ids > 0] = 0
    for one in np.unique(ids[ids > 0]):
        soft[..., one] = ids == one
    return soft
