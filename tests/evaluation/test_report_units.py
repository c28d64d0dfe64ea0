"""Intervals and paired tests: over what a figure is a mean of, the same each time, refused where unequal."""

import math

import numpy as np
import pytest
from synthetic_scores import make_scores

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmarks, report
from vos3d_jax.evaluation.report.attributes import NAMES, SEQUENCES, attribute_means
from vos3d_jax.evaluation.report.units import fewer, interval, units
from vos3d_jax.evaluation.scores import Row

EVERY = pytest.mark.parametrize("benchmark", sorted(benchmarks.BENCHMARKS))


@EVERY
def test_a_figure_is_the_weighted_mean_of_its_units(benchmark):
    scores = make_scores(benchmark)
    with_units = [figure for figure in scores.figures if units(scores, figure) is not None]
    assert with_units
    for figure in with_units:
        found = units(scores, figure)
        mean = np.average(found.values, weights=found.weights)
        assert mean == pytest.approx(scores.figures[figure], abs=1e-12)


@EVERY
def test_the_interval_holds_the_figure_and_is_the_same_each_time(benchmark):
    scores = make_scores(benchmark)
    for figure, value in scores.figures.items():
        found = interval(scores, figure)
        if found is not None:
            assert found.low < value < found.high
            assert found == interval(make_scores(benchmark), figure)


@pytest.mark.parametrize("figure", ["pooled F", "MAE", "max F"])
def test_figures_that_are_no_means_over_units_have_no_interval(figure):
    assert interval(make_scores("fbms"), figure) is None


def test_t_is_over_the_stable_sequences():
    scores = make_scores("davis2016")
    assert set(units(scores, "T mean").names) == {
        row.sequence for row in scores.rows if row.sequence in benchmarks.DAVIS2016_STABLE
    }


def test_an_interval_over_fewer_units_says_so():
    scores = make_scores("davis2016")
    stable = len(units(scores, "T mean").names)
    assert fewer(scores, "T mean") == stable < 6 and fewer(scores, "J mean") is None
    assert f"over {stable} of them" in report.page(scores)


def test_one_result_against_itself_shows_no_difference():
    scores = make_scores("davis2016")
    for difference in report.compare(scores, scores):
        assert difference.value == 0 and difference.test.p_value == 1
        assert "is the same as" in difference.words


def test_a_result_that_is_better_in_every_sequence_is_said_to_be_better():
    before = make_scores("davis2017", method="before")
    rows = tuple(
        Row(row.name, row.sequence, "", row.size, row.frames, {
            metric: tuple(min(1.0, value + 0.2) for value in values) for metric, values in row.series.items()
        })
        for row in before.rows
    )  # fmt: skip
    after = make_scores("davis2017", rows=rows, provenance={})
    difference = next(one for one in report.compare(after, before) if one.figure == "J mean")
    assert difference.test.difference.low > 0 and difference.test.p_value < 0.01
    assert "J mean is 0." in difference.words and "better than that of before" in difference.words
    assert f"{len(rows)} objects" in difference.words and "hardly explains it" in difference.words
    back = next(one for one in report.compare(before, after) if one.figure == "J mean")
    assert "worse than that of a method" in back.words


def test_the_order_of_rows_does_not_matter():
    scores = make_scores("davis2016")
    backwards = make_scores("davis2016", rows=scores.rows[::-1])
    assert all(one.test.p_value == 1 for one in report.compare(scores, backwards))


def test_figures_without_units_are_compared_without_a_test():
    first, second = make_scores("fbms"), make_scores("fbms", 1, provenance={})
    found = next(one for one in report.compare(first, second) if one.figure == "pooled F")
    assert found.test is None and found.words == ""
    assert found.value == first.figures["pooled F"] - second.figures["pooled F"]


def test_lower_is_better_where_it_is_an_error():
    first, second = make_scores("jumpcut", 0), make_scores("jumpcut", 0, method="twice", provenance={})
    rows = tuple(
        Row(row.name, row.sequence, row.group, row.size, row.frames, {"error": (2 * row.series["error"][0],)})
        for row in first.rows
    )
    second = make_scores("jumpcut", rows=rows, method="twice", provenance={})
    words = report.compare(first, second)[0].words
    assert words.startswith("error d8 is") and " % better than that of twice" in words


def test_results_of_different_protocols_are_refused():
    with pytest.raises(UserError, match="are not compared"):
        report.compare(make_scores("davis2016"), make_scores("davis2016_all_frames"))


def test_results_on_other_true_masks_are_refused():
    with pytest.raises(UserError, match="different true masks"):
        report.compare(make_scores("davis2016"), make_scores("davis2016", provenance={"data": "other"}))


def test_attributes_are_the_16_of_davis_2016():
    assert len(NAMES) == 16 and len(SEQUENCES) == 50
    assert {code for codes in SEQUENCES.values() for code in codes.split()} == set(NAMES)
    assert set(benchmarks.DAVIS2016_VAL) <= set(SEQUENCES)


def test_attribute_means_are_of_the_sequences_with_and_without():
    rows = tuple(
        Row(name, name, "", (4, 4), ("00001",), {"J": (value,), "F": (0.5,)})
        for name, value in (("blackswan", 0.9), ("camel", 0.5), ("goat", 0.7))
    )
    found = {one.code: one for one in attribute_means(make_scores("davis2016", rows=rows), "J")}
    assert set(found) == {"CS", "IO", "DEF", "ROT", "EA", "BC"}
    assert (found["CS"].count, found["CS"].having, found["CS"].lacking) == (2, pytest.approx(0.6), 0.9)
    assert found["CS"].difference == pytest.approx(-0.3)


def test_an_attribute_that_all_have_leaves_nothing_to_compare_with():
    rows = (Row("goat", "goat", "", (4, 4), ("00001",), {"J": (0.7,), "F": (0.5,)}),)
    found = attribute_means(make_scores("davis2016", rows=rows), "J")
    assert len(found) == 4 and all(math.isnan(one.lacking) and math.isnan(one.difference) for one in found)


def test_other_data_have_no_attributes():
    assert attribute_means(make_scores("fbms"), "J") == []
    rows = (Row("mine", "mine", "", (4, 4), ("00001",), {"J": (0.7,), "F": (0.5,)}),)
    assert attribute_means(make_scores("davis2016", rows=rows), "J") == []
