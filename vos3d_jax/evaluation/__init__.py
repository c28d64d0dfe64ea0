"""How good masks are: metrics, the benchmarks that say what is scored, scores and their reports."""

from vos3d_jax.evaluation import benchmarks, metrics
from vos3d_jax.evaluation.scores import Row, Scores
from vos3d_jax.evaluation.scoring import everything_foreground, score, score_predictions

__all__ = ["Row", "Scores", "benchmarks", "everything_foreground", "metrics", "score", "score_predictions"]
