"""What training samples are made of videos: one file and one row each; a config names the row as `kind`."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from vos3d_jax.data.augmentation import Augmentation
from vos3d_jax.data.footage import Footage
from vos3d_jax.data.samples.clip import Clip
from vos3d_jax.data.samples.still import Still


@runtime_checkable
class Sample(Protocol):
    """A way to make samples: a frozen data class of its options.

    Attributes:
        sparse: frames may be without a mask (it is then all void), and only those that have one are samples;
            otherwise every frame of a video is one.
        augmentation: its short edge is what frames are resized to when they are read.
    """

    sparse: bool
    augmentation: Augmentation

    def draw(self, footage: Footage, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Returns sample `index`, a frame's number, as arrays that a batch stacks.

        Pictures are [t, h, w, ...] of `footage.size`, so that a batch of them has rank 4 or more and can be
        cut along its rows; everything else (a label, boxes [t, 4]) has a lower rank. All chance is in `rng`.
        """


SAMPLES: dict[str, type[Sample]] = {"clip": Clip, "still": Still}
