"""Confidence intervals over sequences and the paired test of two results."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos3d_jax.evaluation import metrics

VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=12).map(np.array)


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_an_interval_holds_between_the_extremes_and_is_the_same_each_time(values):
    found = metrics.confidence_interval(values, resamples=500)
    assert found.mean == pytest.approx(values.mean())
    assert values.min() - 1e-12 <= found.low <= found.high <= values.max() + 1e-12
    assert found == metrics.confidence_interval(values, resamples=500)


@settings(max_examples=20, deadline=None)
@given(VALUES, st.floats(-1, 1))
def test_shifting_all_values_shifts_the_interval(values, shift):
    before, after = (metrics.confidence_interval(v, resamples=300) for v in (values, values + shift))
    assert (after.low, after.high) == pytest.approx((before.low + shift, before.high + shift), abs=1e-9)


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(0.5, 0.1, 400)
    found = metrics.confidence_interval(values, level=0.9)
    half = 1.645 * values.std() / 20
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=6e-4)


def test_one_value_has_no_interval_and_none_are_refused():
    found = metrics.confidence_interval(np.array([0.3, math.nan]))
    assert found.mean == 0.3
    assert math.isnan(found.low) and math.isnan(found.high)
    with pytest.raises(ValueError, match="no values"):
        metrics.confidence_interval(np.array([math.nan]))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**31))
def test_the_p_value_counts_all_patterns_of_signs(count, seed):
    first, second = np.random.default_rng(seed).random((2, count)).round(1)
    differences = first - second
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=count)
    ]
    expected = np.mean([total >= abs(differences.sum()) - 1e-9 for total in sums])
    found = metrics.paired_test(first, second, resamples=200)
    assert found.p_value == pytest.approx(expected)
    assert found.difference.mean == pytest.approx(differences.mean())
    swapped = metrics.paired_test(second, first, resamples=200)
    assert swapped.p_value == found.p_value


def test_equal_results_differ_by_chance_and_clearly_different_ones_do_not():
    random = np.random.default_rng(0)
    first = random.random(20)
    assert metrics.paired_test(first, first).p_value == 1
    found = metrics.paired_test(first, first - 0.05 - random.random(20) * 0.01)
    assert found.p_value < 0.001
    assert found.difference.low > 0.04
