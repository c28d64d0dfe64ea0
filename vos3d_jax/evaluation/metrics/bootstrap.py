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
    values: Num[np.ndarray, " n"], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The percentile bootstrap interval of the mean of one value a sequence.

    With one value, low and high are NaN: nothing is known about others.

    Args:
        values: one a sequence; NaN values are left out.
        level: probability, 0..1.
        resamples: how many means of as many values drawn with replacement.
        seed: the same values and seed give the same interval.

    Raises:
        ValueError: there are no values.
    """
    values = _known(values)
    if values.size == 1:
        return Interval(float(values[0]), float("nan"), float("nan"), level)
    low, high = np.quantile(_resampled_means(values, resamples, seed), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high), level)


def paired_test(
    first: Num[np.ndarray, " n"],
    second: Num[np.ndarray, " n"],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Compares two results on the same sequences, in the same order.

    The p-value is that of the sign-flip (randomisation) test, two-sided: if it made no difference which
    result is which, how often would the mean difference be at least as large? Exact for up to 16 sequences.

    Raises:
        ValueError: there are no sequences.
    """
    differences = _known(np.asarray(first, np.float64) - np.asarray(second, np.float64))
    interval = confidence_interval(differences, level=level, resamples=resamples, seed=seed)
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


def _resampled_means(values: np.ndarray, resamples: int, seed: int) -> Float[np.ndarray, " resamples"]:
    random = np.random.default_rng(seed)
    blocks = [min(_BLOCK, resamples - start) for start in range(0, resamples, _BLOCK)]
    return np.concatenate(
        [values[random.integers(0, values.size, (count, values.size))].mean(1) for count in blocks]
    )


def _known(values: np.ndarray) -> Float[np.ndarray, " n"]:
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        raise ValueError("there are no values to resample")
    return values
