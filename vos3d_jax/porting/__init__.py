"""From published files to our parameters and back: readers, name rules, conversion."""

from vos3d_jax.porting.readers import Checkpoint, LazyTensor, open_checkpoint

__all__ = ["Checkpoint", "LazyTensor", "open_checkpoint"]
