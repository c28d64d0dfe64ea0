"""How good masks are: metrics, the benchmarks that say what is scored, scores and their reports."""

from vos3d_jax.evaluation import benchmarks, metrics
from vos3d_jax.evaluation.scores import Scores, SequenceScores
from vos3d_jax.evaluation.scoring import everything_foreground, masks_on_disk, score, score_predictions

__all__ = [
    "Scores",
    "SequenceScores",
    "benchmarks",
    "everything_foreground",
    "masks_on_disk",
    "metrics",
    "score",
    "score_predictions",
]
