"""The published rules for bringing frames to the network's size and masks back to the frame's.

As 3DC-Seg's released inference does it. All resizing is Pillow's: its bilinear filter is widened when
shrinking (antialiased), unlike OpenCV's. Masks go back by `media.masks.resize_mask_nearest`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from vos3d_jax.constants import STRIDE
from vos3d_jax.media.images import resize_bilinear, short_edge_size
from vos3d_jax.media.masks import resize_mask_nearest


class Padding(NamedTuple):
    """Pixels to add on each side."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Fit:
    """How frames of one size enter the network, and how what it says comes back to their size.

    All sizes are (height, width). `short_edge` None leaves the size as it is, but for the padding.
    """

    original: tuple[int, int]
    short_edge: int | None

    @property
    def resized(self) -> tuple[int, int]:
        """The size without the padding."""
        if self.short_edge is None:
            return self.original
        return short_edge_size(self.original, self.short_edge)

    @property
    def network(self) -> tuple[int, int]:
        """The size the network sees."""
        amount = padding(self.resized)
        return self.resized[0] + amount.top + amount.bottom, self.resized[1] + amount.left + amount.right

    def to_network(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "network_h network_w 3"]:
        """Returns the frame resized and padded."""
        return pad(resize_bilinear(frame, self.resized), padding(self.resized))

    def crop(
        self, network: Shaped[np.ndarray, "network_h network_w *rest"]
    ) -> Shaped[np.ndarray, "h w *rest"]:
        """Returns an output of the network without the padding."""
        return crop(network, padding(self.resized))

    def mask_to_frame(self, ids: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "original_h original_w"]:
        """Returns cropped ids at the frame's size, by nearest neighbour as published."""
        return ids if ids.shape == self.original else resize_mask_nearest(ids, self.original)

    def probability_to_frame(
        self, cropped: Float32[np.ndarray, "h w *classes"]
    ) -> Float32[np.ndarray, "original_h original_w *classes"]:
        """Returns cropped probabilities at the frame's size, bilinear (our choice: none is published)."""
        if cropped.ndim == 2:
            return resize_bilinear(cropped, self.original)
        return np.stack(
            [resize_bilinear(np.ascontiguousarray(c), self.original) for c in np.moveaxis(cropped, -1, 0)], -1
        )


def padding(size: tuple[int, int], multiple: int = STRIDE) -> Padding:
    """Returns what brings (height, width) to the next multiple; an odd pixel goes to the bottom or right."""
    height, width = (-side % multiple for side in size)
    return Padding(height // 2, height - height // 2, width // 2, width - width // 2)


def pad(frame: UInt8[np.ndarray, "h w 3"], amount: Padding) -> UInt8[np.ndarray, "padded_h padded_w 3"]:
    """Returns the raw frame with black around it (before normalisation, so not at the mean)."""
    return np.pad(frame, ((amount.top, amount.bottom), (amount.left, amount.right), (0, 0)))


def crop(padded: Shaped[np.ndarray, "h w *rest"], amount: Padding) -> Shaped[np.ndarray, "_h _w *rest"]:
    """Returns the inverse of `pad`, for anything of the padded size."""
    height, width = padded.shape[:2]
    return padded[amount.top : height - amount.bottom, amount.left : width - amount.right]
