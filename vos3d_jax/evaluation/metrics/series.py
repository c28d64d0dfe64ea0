"""Mean, recall and decay of a sequence's values (Perazzi et al., CVPR 2016)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Num

_NAMES = ("mean", "recall", "decay")


@dataclass(frozen=True)
class Statistics:
    """What is reported of the values of one sequence: `mean`, `recall` and `decay` (see `statistics`)."""

    mean: float
    recall: float
    decay: float


def statistics(
    values: Sequence[float] | Num[np.ndarray, " n"],
    *,
    decay_edges: Literal["wide", "8-bit"] = "wide",
    nan_recall: Literal["counted", "left out"] = "left out",
) -> Statistics:
    """Returns mean, recall and decay of the values of a sequence's frames, in order.

    - mean: without NaN.
    - recall: the share of values above 0.5 (0.5 itself is not), without NaN.
    - decay: mean of the first quarter minus mean of the last. Quarters share their edge value; a single value
      has decay 0.

    No values at all: NaN throughout.

    Args:
        values: of one object in one sequence, in the order of the frames.
        decay_edges: "8-bit" is the official Python tools' defect: the edges of the quarters wrap around
            from 256 values on (no DAVIS sequence is that long).
        nan_recall: "counted" is the official 2017 tool's defect: NaN counts as not above 0.5.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        return Statistics(math.nan, math.nan, math.nan)
    # 1e-10 lifts the .5 that n = 3, 7, 11... give above numpy's rounding to even.
    edges = np.round(np.linspace(1, values.size, 5) + 1e-10).astype(int) - 1
    if decay_edges == "8-bit":
        edges = edges.astype(np.uint8)
    ends = edges + edges.dtype.type(1)
    first, last = values[edges[0] : ends[1]], values[edges[3] : ends[4]]
    counted = values if nan_recall == "counted" else values[~np.isnan(values)]
    return Statistics(
        mean=_mean(values),
        recall=float(np.mean(counted > 0.5)) if counted.size else math.nan,
        decay=_mean(first) - _mean(last),
    )


def mean_over_objects(sequences: Sequence[Sequence[Statistics]]) -> Statistics:
    """Returns the plain mean over all objects of all sequences: the rule of DAVIS-2017.

    A sequence with five objects weighs five times one with a single object.
    """
    rows = [row for sequence in sequences for row in sequence]
    return Statistics(*(float(np.mean([getattr(row, name) for row in rows])) for name in _NAMES))


def mean_over_sequences(sequences: Sequence[Sequence[Statistics]]) -> Statistics:
    """Returns the mean over each sequence's objects, then over sequences: DAVIS-2016's rule for one."""
    return mean_over_objects([[mean_over_objects([sequence]) for sequence in sequences]])


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan
