"""Mean, recall and decay of a sequence's values (specs/spec-metrics.md section 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from vos3d_jax.evaluation.metrics.masks import count


@dataclass(frozen=True)
class Statistics:
    """What is reported of the values of one sequence: `mean`, `recall` and `decay` (see `statistics`)."""

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float] | Num[np.ndarray, " n"]) -> Statistics:
    """Mean, recall and decay of the values of a sequence's frames, in order.

    - mean: without NaN.
    - recall: the share of values above 0.5 (0.5 itself is not); NaN counts as not above.
    - decay: mean of the first quarter minus mean of the last. Quarters share their edge value; a single value
      has decay 0. The official Python tools keep the edges in 8 bits and go wrong from 256 values on; ours
      are wide (no DAVIS sequence is that long).

    No values at all: NaN throughout.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        return Statistics(math.nan, math.nan, math.nan)
    # 1e-10 lifts the .5 that n = 3, 7, 11... give above numpy's rounding to even.
    edges = np.round(np.linspace(1, values.size, 5) + 1e-10).astype(int) - 1
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    return Statistics(
        mean=_mean(values),
        recall=count(values > 0.5) / values.size,
        decay=_mean(first) - _mean(last),
    )


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan
