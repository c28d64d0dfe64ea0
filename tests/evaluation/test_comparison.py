"""A result beside others: one table of methods, differences with their tests, LaTeX rows, percent."""

import io
import os
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import read_page
from rich.console import Console
from synthetic_scores import make_scores

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import metrics, report
from vos3d_jax.evaluation.report import Made, Other
from vos3d_jax.evaluation.report.figures import format_value
from vos3d_jax.evaluation.scores import Row
from vos3d_jax.media.masks import write_palette_png

NAMES = tuple(f"clip{index}" for index in range(8))


def of_means(method, shift=0.0, spread=0.0, names=NAMES):
    """Scores of some sequences whose J and F are `shift` above those of the plain one, `spread` by turns."""
    rows = []
    for place, name in enumerate(names):
        value = 0.3 + 0.05 * place + shift + (spread if place % 2 else -spread)
        rows.append(Row(name, name, "", (24, 32), ("1", "2"), {"J": (value, value), "F": (value, value)}))
    return make_scores("folder", rows=tuple(rows), method=method, provenance={})


def printed(*sheets, width=80, colours=False):
    more = {"force_terminal": True, "color_system": "standard"} if colours else {}
    console = Console(file=io.StringIO(), width=width, **more)
    for sheet in sheets:
        report.show(sheet, console)
    return console.file.getvalue()


def sheets(first, *others):
    compared = report.compare_all(first, others)
    return (
        report.compare_table([(one.method, one) for one in (first, *others)]),
        report.tests_table(first, others, compared),
    )


def test_of_one_sequence_there_is_a_difference_without_an_interval():
    differences = report.compare(of_means("ours", 0.1, names=("bear",)), of_means("theirs", names=("bear",)))
    assert "(1 sequence, p 1.000, not corrected)" in differences[0].words
    assert all("–" not in item.words for item in differences)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holms_correction_keeps_the_order_and_lies_between_p_and_bonferronis(values):
    p_values = np.array(values)
    corrected = metrics.holm(p_values)
    assert ((p_values <= corrected) & (corrected <= np.minimum(1, p_values * p_values.size) + 1e-15)).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
    assert corrected[order[0]] == min(1, p_values[order[0]] * p_values.size)


def test_holms_correction_by_hand():
    assert metrics.holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])


def test_all_tests_of_all_methods_are_corrected_together():
    ours, one, two = of_means("ours"), of_means("one", -0.1), of_means("two", spread=0.1)
    alone, (first, _) = report.compare(ours, one), report.compare_all(ours, [one, two])
    assert [item.test for item in alone] == [item.test for item in first]
    for one_alone, item in zip(alone, first, strict=True):
        assert item.corrected >= one_alone.corrected >= item.test.p_value
    assert any(item.corrected > one_alone.corrected for one_alone, item in zip(alone, first, strict=True))


@pytest.mark.parametrize(
    "shift, spread, verdict",
    [(0.1, 0.02, "better"), (-0.1, 0.02, "worse"), (0.0, 0.1, None), (0.0, 0.0, None)],
)
def test_a_difference_has_a_verdict_only_where_its_interval_leaves_out_0(shift, spread, verdict):
    item = next(
        i for i in report.compare(of_means("a", shift, spread), of_means("b")) if i.figure == "J mean"
    )
    assert item.verdict == verdict
    page = report.page(of_means("a", shift, spread), others=[Other(of_means("b"))])
    assert ('class="small better"' in page, 'class="small worse"' in page) == (
        verdict == "better",
        verdict == "worse",
    )
    text = printed(*sheets(of_means("a", shift, spread), of_means("b")), colours=True)
    assert ("\x1b[32m" in text, "\x1b[31m" in text) == (verdict == "better", verdict == "worse")


def test_lower_is_better_where_less_is_lost():
    def losing(method, lost):
        rows = tuple(
            Row(n, n, "", (4, 4), tuple("12345678"), {"J": (0.9,) * 6 + (0.9 - lost,) * 2, "F": (0.5,) * 8})
            for n in NAMES
        )
        return make_scores("folder", rows=rows, method=method, provenance={})

    by_name = {item.figure: item for item in report.compare(losing("a", 0.1), losing("b", 0.3))}
    assert by_name["J decay"].value < 0 and by_name["J decay"].verdict == "better"


def test_one_table_of_methods_in_the_page_and_p_under_the_same_name_in_page_and_terminal():
    ours = of_means("ours")
    others = [of_means("one", -0.1), of_means("two", 0.05)]
    page = read_page(report.page(ours, others=[Other(one) for one in others]))
    heads, rows = page.tables["Methods"]
    assert [row[0][0] for row in rows] == ["ours", "one", "two"]
    for row, scores in zip(rows, (ours, *others), strict=True):
        cells = dict(zip(heads, row, strict=True))
        assert {name: float(cells[name][1]) for name in scores.figures} == dict(scores.figures)
    assert page.tables["Against one"][0][-2:] == page.tables["Against two"][0][-2:] == ["p", "p (Holm)"]
    text = printed(*sheets(ours, *others), width=500)
    assert "p (Holm)" in text and "corrected for the 14 tests made here" in text
    assert "J&F is 0.100 better than that of one" in text and "J&F is 0.050 worse than that of two" in text
    assert "corrected for the 14 tests made here" in page.text


@pytest.mark.parametrize("count", [1, 3, 9])
def test_many_methods_fit_into_80_columns_with_whole_numbers(count):
    ours = of_means("a-method-with-a-long-name")
    others = [of_means(f"another-long-name-{place}", 0.01 * place) for place in range(count)]
    text = printed(*sheets(ours, *others))
    assert max(map(len, text.splitlines())) <= 80
    for scores in (ours, *others):
        assert re.search(rf"\b{re.escape(format_value('J mean', scores.figures['J mean']))}\b", text)


def test_units_too_few_to_say_anything_are_named():
    ours, other = (of_means(name, names=NAMES[:5]) for name in ("ours", "other"))
    assert "intervals over 5 sequences mean little" in printed(*sheets(ours, other), width=200)


def test_results_that_are_not_comparable_stand_as_reasons_beside_those_that_are():
    ours = of_means("ours")
    page = read_page(report.page(ours, others=[Other(of_means("fine")), Other(make_scores("davis2016"))]))
    assert [row[0][0] for row in page.tables["Methods"][1]] == ["ours", "fine"]
    assert "Not compared with a method: results of different benchmarks are not compared" in page.text
    with pytest.raises(UserError, match="are not compared"):
        report.compare_all(ours, [of_means("fine"), make_scores("davis2016")])


def test_in_percent_tables_page_and_latex_show_a_hundred_times_as_much_and_files_stay_fractions(tmp_path):
    ours = of_means("ours")
    assert format_value("J mean", 0.8123, percent=True) == "81.2"
    assert format_value("J mean", -0.0001, percent=True, signed=True) == "+0.0"
    assert format_value("error d8", 4.5, percent=True) == format_value("error d8", 4.5) == "4.50 %"
    assert format_value("J mean", 0.8123) == "0.812"
    report.write(ours, tmp_path, percent=True)
    page = read_page((tmp_path / "report.html").read_text("utf-8"))
    assert page.figures["J mean"] == (f"{100 * ours.figures['J mean']:.1f}", repr(ours.figures["J mean"]))
    assert "From 0 at the bottom to 100.0 at the top" in page.text
    assert f"{100 * ours.figures['J mean']:.1f}" in (tmp_path / "table.tex").read_text("utf-8")
    assert report.read(tmp_path) == ours


def test_latex_rows_have_the_best_in_bold_by_what_is_written_and_escape_names():
    rows = report.latex([of_means("a_b & 100%"), of_means("c", 0.1), of_means("d", 0.1 + 1e-6)]).splitlines()
    (a,) = (line for line in rows if line.startswith(r"a\_b \& 100\% & "))
    c, d = (next(line for line in rows if line.startswith(f"{name} & ")) for name in "cd")
    assert all(line.endswith(r" \\") for line in (a, c, d)) and a.count(" & ") == c.count(" & ") == 7
    assert r"\textbf{0.575}" in c and r"\textbf{0.575}" in d and r"\textbf{0.475}" not in a
    assert "$\\downarrow$" in rows[rows.index(next(line for line in rows if line.startswith("Method")))]
    assert "textbf" not in report.latex([of_means("alone")])


def written_masks(folder):
    for name in NAMES:
        mask = np.zeros((24, 32), np.uint8)
        mask[4:12, 4:12] = 1
        for frame in ("1", "2"):
            write_palette_png(folder / name / f"{frame}.png", mask)
    return folder


def videos():
    frame, truth = np.full((24, 32, 3), 90, np.uint8), np.ones((24, 32), np.uint8)
    return [Video(name, 2, lambda _: frame, lambda _: truth, (24, 32), ("1", "2")) for name in NAMES]


def test_the_others_curve_and_mask_stand_in_the_pictures_and_how_it_was_made_at_the_end(tmp_path):
    masks = written_masks(tmp_path / "masks-of-b")
    report.write(of_means("b"), tmp_path / "b", made=Made.now("score b", masks, {}))
    other = report.read_other(tmp_path / "b/scores.json")
    assert other.results == masks and other == report.read_other(tmp_path / "b")
    ours = of_means("a", 0.1)
    made = Made.now("python -m vos3d_jax.score --method='a b'", masks, {})
    text = report.page(ours, videos=videos(), masks_dir=masks, others=[other], made=made)
    page = read_page(text)
    assert sum(values.get("class") == "theirs" for tag, values in page.tags if tag == "div") == len(NAMES)
    curves = [v["class"] for tag, v in page.tags if tag == "polyline"]
    assert curves.count("line theirs0") == curves.count("line J") == len(NAMES)
    assert "J 0.400, F 0.400; b J 0.300, F 0.300" in page.text
    assert "--method='a b'" in page.text and made.date in page.text


@pytest.mark.parametrize("what", ["newer", "gone", "unknown"])
def test_masks_that_may_not_be_those_that_were_scored_are_not_shown_and_it_is_said(what, tmp_path):
    masks = written_masks(tmp_path / "masks")
    report.write(of_means("b"), tmp_path / "b", made=Made.now("score b", masks, {}))
    if what == "newer":  # another method has written there since
        later = (tmp_path / "b/scores.json").stat().st_mtime + 10
        os.utime(masks / NAMES[3] / "2.png", (later, later))
    if what == "gone":
        masks = masks.rename(tmp_path / "elsewhere")
    if what == "unknown":
        (tmp_path / "b/made.json").unlink()
    other = report.read_other(tmp_path / "b")
    assert other.results is None
    page = read_page(report.page(of_means("a"), videos=videos(), masks_dir=masks, others=[other]))
    assert f"The masks of b are not shown: {other.absent}." in page.text
    assert not any(values.get("class") == "theirs" for tag, values in page.tags if tag == "div")


def test_masks_beside_the_scores_are_found_where_main_writes_them(tmp_path):
    masks = written_masks(tmp_path / "evaluation/masks")
    report.write(of_means("network"), tmp_path / "evaluation")
    assert report.read_other(tmp_path / "evaluation/scores.json").results == masks
