"""A training clip made from one frame, as 3DC-Seg does with still pictures (section 4.2)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vos3d_jax.data.augmentation import Augmentation, augment
from vos3d_jax.data.footage import Footage
from vos3d_jax.data.synthesis import Synthesis, synthesise


@dataclass(frozen=True)
class Still:
    """Clips made from single frames: `clip` uint8 [t, h, w, 3] and `mask`, ids, uint8 [t, h, w].

    Attributes:
        sparse: frames may be without a mask; those that have one are the samples.
        augmentation: how the frame becomes a picture of the stage's size, before it moves, as in the released
            code.
        synthesis: how it moves from there.
    """

    sparse: bool = False
    augmentation: Augmentation = Augmentation()
    synthesis: Synthesis = Synthesis()

    def draw(self, footage: Footage, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Returns the clip that begins with frame `index`."""
        frame, mask = footage.read(index)
        clip, masks = augment(self.augmentation, [frame], [mask], footage.size, rng)
        clip, masks = synthesise(self.synthesis, clip[0], masks[0], footage.clip_length, rng)
        return {"clip": clip, "mask": masks}
