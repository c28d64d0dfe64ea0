"""From a trained network and a video to masks: clips, votes, sizes, the streaming predictor."""

from vos3d_jax.inference.predictor import Frame, Predictor

__all__ = ["Frame", "Predictor"]
