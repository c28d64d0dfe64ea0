"""The published rules for bringing frames to the network's size and masks back to the frame's.

As 3DC-Seg's released inference does it. All resizing is Pillow's: its bilinear filter is widened when
shrinking (antialiased), unlike OpenCV's. Masks go back by `media.masks.resize_mask_nearest`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from vos3d_jax.constants import STRIDE
from vos3d_jax.media.images import resize_bilinear, short_edge_size
from vos3d_jax.media.masks import resize_mask_nearest


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
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Pixels above and below, left and right: to the next multiple, an odd one below or right."""
        rows, columns = (-side % STRIDE for side in self.resized)
        return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)

    @property
    def network(self) -> tuple[int, int]:
        """The size the network sees."""
        return self.resized[0] + sum(self.padding[0]), self.resized[1] + sum(self.padding[1])

    def pad(
        self, resized: Shaped[np.ndarray, "h w *rest"]
    ) -> Shaped[np.ndarray, "network_h network_w *rest"]:
        """Returns a picture with black around it (before normalisation, so not the mean), or ids with 0."""
        return np.pad(resized, self.padding + ((0, 0),) * (resized.ndim - 2))

    def crop(
        self, network: Shaped[np.ndarray, "network_h network_w *rest"]
    ) -> Shaped[np.ndarray, "h w *rest"]:
        """Returns what has the network's size without the padding."""
        (top, _), (left, _) = self.padding
        return network[top : top + self.resized[0], left : left + self.resized[1]]

    def to_network(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "network_h network_w 3"]:
        """Returns the frame resized and padded."""
        return self.pad(resize_bilinear(frame, self.resized))

    def mask_to_frame(self, ids: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "original_h original_w"]:
        """Returns cropped ids at the frame's size, by nearest neighbour as published."""
        return resize_mask_nearest(ids, self.original)

    def probability_to_frame(
        self, cropped: Float32[np.ndarray, "h w *classes"]
    ) -> Float32[np.ndarray, "original_h original_w *classes"]:
        """Returns cropped probabilities at the frame's size, bilinear (our choice: none is published)."""
        if cropped.ndim == 2:
            return resize_bilinear(cropped, self.original)
        return np.stack(
            [resize_bilinear(np.ascontiguousarray(c), self.original) for c in np.moveaxis(cropped, -1, 0)], -1
        )
