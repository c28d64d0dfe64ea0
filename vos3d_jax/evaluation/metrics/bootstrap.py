"""How sure a mean over sequences is: bootstrap confidence intervals, and a paired test of two results.

The unit is the sequence (or object), since frames of one sequence are far from independent. Both ask "what if
the benchmark had other sequences of the same kind", not "what if the network were trained again".
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

_BLOCK = 1000  # resamples drawn together
_EXACT = 16  # up to so many differences, all patterns of signs are tried


@dataclass(frozen=True)
class Interval:
    """A mean with the bounds between which it lies with probability `level`."""

    mean: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PairedTest:
    """`difference` of two results (first - second) with its interval, and how likely chance does as much."""

    difference: Interval
    p_value: float


def confidence_interval(
    values: Num[np.ndarray, " n"],
    *,
    weights: Num[np.ndarray, " n"] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Returns the percentile bootstrap interval of the mean of one value a sequence.

    With one value, low and high are NaN: nothing is known about others.

    Args:
        values: one a sequence; NaN values are left out.
        weights: of a weighted mean, positive (a mean over groups of unequal size); None: all count the same.
        level: probability, 0..1.
        resamples: how many means of as many values drawn with replacement.
        seed: the same values and seed give the same interval.

    Raises:
        ValueError: there are no values.
    """
    values, weights = _known(values, weights)
    if values.size == 1:
        return Interval(float(values[0]), float("nan"), float("nan"), level)
    means = _resampled_means(values, weights, resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.average(values, weights=weights)), float(low), float(high), level)


def paired_test(
    first: Num[np.ndarray, " n"],
    second: Num[np.ndarray, " n"],
    *,
    weights: Num[np.ndarray, " n"] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Returns the comparison of two results on the same sequences, in the same order.

    The p-value is that of the sign-flip (randomisation) test, two-sided: if it made no difference which
    result is which, how often would the mean difference be at least as large? Exact for up to 16 sequences.
    Arguments as `confidence_interval`.

    Raises:
        ValueError: there are no sequences.
    """
    differences, weights = _known(np.asarray(first, np.float64) - np.asarray(second, np.float64), weights)
    interval = confidence_interval(differences, weights=weights, level=level, resamples=resamples, seed=seed)
    differences = weights * differences
    observed = abs(differences.sum())
    slack = 1e-12 * np.abs(differences).sum()  # rounding must not part equal sums
    if differences.size <= _EXACT:
        patterns = np.arange(2**differences.size)[:, None] >> np.arange(differences.size) & 1
        sums = (1 - 2 * patterns) @ differences
        return PairedTest(interval, float(np.mean(np.abs(sums) >= observed - slack)))
    random = np.random.default_rng(seed)
    larger = 0
    for start in range(0, resamples, _BLOCK):
        count = min(_BLOCK, resamples - start)
        signs = random.integers(0, 2, (count, differences.size)) * 2 - 1
        larger += int(np.count_nonzero(np.abs(signs @ differences) >= observed - slack))
    return PairedTest(interval, (larger + 1) / (resamples + 1))  # the observed pattern is one of them


def holm(p_values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns p-values of tests made together, corrected by Holm's method (Scand. J. Statist. 6, 1979).

    That one of them falls below a level by chance alone is then no likelier than the level, however the
    tests depend on each other.
    """
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(p_values.size, 0, -1))
    corrected = np.empty(p_values.size)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _resampled_means(
    values: np.ndarray, weights: np.ndarray, resamples: int, seed: int
) -> Float[np.ndarray, " resamples"]:
    random = np.random.default_rng(seed)
    blocks = [min(_BLOCK, resamples - start) for start in range(0, resamples, _BLOCK)]
    means = []
    for count in blocks:
        drawn = random.integers(0, values.size, (count, values.size))
        means.append((weights * values)[drawn].sum(1) / weights[drawn].sum(1))
    return np.concatenate(means)


def _known(
    values: np.ndarray, weights: np.ndarray | None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The values that are known, and their weights."""
    values = np.asarray(values, np.float64)
    weights = np.ones(values.shape) if weights is None else np.asarray(weights, np.float64)
    known = ~np.isnan(values)
    if not known.any():
        raise ValueError("there are no values to resample")
    return values[known], weights[known]
