"""Results beside others on the same data: each figure's difference, its paired test, and what is chance.

The tests draw the units that a figure is a mean over (`units`). Many figures and results are tested together:
p-values are corrected by Holm's step-down method, which holds however the tests depend on each other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vos3d_jax.evaluation.metrics import PairedTest, holm, paired_test
from vos3d_jax.evaluation.report.figures import UNITS, facts, format_interval, format_value
from vos3d_jax.evaluation.report.units import units
from vos3d_jax.evaluation.scores import Scores, require_comparable

_LIKELY_CHANCE = 0.05


@dataclass(frozen=True)
class Difference:
    """A headline figure of two results; where it is a mean over units a paired test, and that in words.

    Attributes:
        figure: its name.
        first, second: its values.
        test: of the difference, first less second; None where the figure is no mean over units.
        words: the difference in a sentence, "" without test.
        corrected: the p-value of the test, corrected for all tests made together; None without test.
    """

    figure: str
    first: float
    second: float
    test: PairedTest | None
    words: str
    corrected: float | None = None

    @property
    def value(self) -> float:
        """Returns first less second, over the units that both have."""
        return self.first - self.second if self.test is None else self.test.difference.mean

    @property
    def verdict(self) -> str | None:
        """Returns whether the first is "better" or "worse"; None where the interval has 0."""
        if self.test is None or not (self.test.difference.low > 0 or self.test.difference.high < 0):
            return None
        return "better" if (self.value < 0) == facts(self.figure).lower else "worse"


def compare(scores: Scores, other: Scores, percent: bool = False) -> list[Difference]:
    """Returns every headline figure of both, with the paired test of those that are means over units.

    With `percent`, words have fractions in percent.

    Raises:
        UserError: the two follow different protocols, or score different things.
    """
    return compare_all(scores, [other], percent)[0]


def compare_all(scores: Scores, others: Sequence[Scores], percent: bool = False) -> list[list[Difference]]:
    """Returns `compare` with each of the others, p-values corrected for all tests together.

    Raises:
        UserError: one follows a different protocol, or scores different things.
    """
    compared = [_differences(scores, other, percent) for other in others]
    tested = [item for differences in compared for item in differences if item.test is not None]
    corrected = iter(holm(np.array([item.test.p_value for item in tested])).tolist())
    return [
        [item if item.test is None else replace(item, corrected=next(corrected)) for item in differences]
        for differences in compared
    ]


def explained(compared: Sequence[Sequence[Difference]]) -> str:
    """Returns what the columns of a comparison mean, in words."""
    count = sum(item.test is not None for differences in compared for item in differences)
    return (
        "p is how often a difference as large would appear by chance, were the signs of the units' "
        f"differences drawn (paired sign-flip test); p (Holm) is p corrected for the {count} tests made here."
        " A difference has a colour only where its own 95 % interval, which is not corrected, leaves out 0."
    )


def format_p(value: float | None) -> str:
    """Returns a p-value with three decimals; "" for None."""
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _differences(scores: Scores, other: Scores, percent: bool) -> list[Difference]:
    require_comparable(scores, other)
    differences = []
    for figure in scores.figures:
        if figure not in other.figures:
            continue
        first, second = units(scores, figure), units(other, figure)
        test, words = None, ""
        if first is not None and second is not None:
            ours = np.array(first.values)
            by_name = dict(zip(second.names, second.values, strict=True))  # rows may stand in another order
            theirs = np.array([by_name.get(name, math.nan) for name in first.names])
            count = int(np.isfinite(theirs).sum())
            if count:
                test = paired_test(ours, theirs, weights=np.array(first.weights))
                words = _words(figure, test, count, scores, other, percent)
        differences.append(Difference(figure, scores.figures[figure], other.figures[figure], test, words))
    return differences


def _words(figure: str, test: PairedTest, count: int, scores: Scores, other: Scores, percent: bool) -> str:
    difference = test.difference.mean
    name = other.method or "the other result"
    if difference == 0:
        return f"{figure} is the same as that of {name}."
    better = (difference < 0) == facts(figure).lower
    unit = f"{UNITS[scores.average]}{'s' * (count != 1)}"
    bounds = format_interval(figure, test.difference, percent, signed=True)
    sure = f"95 % interval of the difference {bounds}, " if bounds else ""
    verdict = (
        f"it may well be chance in which {unit} there {'is' if count == 1 else 'are'}"
        if test.p_value > _LIKELY_CHANCE
        else f"chance in these {unit} hardly explains it"
    )
    much = f"{format_value(figure, abs(difference), percent)} {'better' if better else 'worse'}"
    return (
        f"{figure} is {much} than that of {name} "
        f"({sure}{count} {unit}, p {format_p(test.p_value)}, not corrected): {verdict}."
    )
