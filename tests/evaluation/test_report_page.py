"""report.html: its numbers are those of scores.json, it needs nothing else, and nothing can break it."""

import base64
import hashlib
import html
import math
import re
from functools import cache

import numpy as np
import pytest
from pages import read_page
from synthetic_scores import make_scores

from vos3d_jax.data.video import Video
from vos3d_jax.evaluation import benchmarks, report
from vos3d_jax.evaluation.report import Other
from vos3d_jax.evaluation.report.figures import format_value
from vos3d_jax.evaluation.report.pictures import worst_scenes
from vos3d_jax.evaluation.scores import Row, Scores
from vos3d_jax.media.masks import write_palette_png

EVERY = pytest.mark.parametrize("benchmark", sorted(benchmarks.BENCHMARKS))
NASTY = """<script>alert("x")</script>&amp;'"""


@cache
def scores_of(benchmark):
    return Scores.from_json(make_scores(benchmark).to_json())


@cache
def text_of(benchmark):
    """The page with a comparison."""
    return report.page(
        scores_of(benchmark), others=[Other(make_scores(benchmark, 1, method="before", provenance={}))]
    )


@cache
def page_of(benchmark):
    return read_page(text_of(benchmark))


def unit_table(page):
    (label,) = (name for name in page.tables if name.startswith("Scores of each"))
    return page.tables[label]


@EVERY
def test_every_figure_on_the_page_is_that_of_scores_json(benchmark):
    scores, page = scores_of(benchmark), page_of(benchmark)
    _, rows = page.tables["All figures"]
    values = [row[1] for row in rows]
    assert [float(full) for _, full in values] == list(scores.figures.values())
    assert [text for text, _ in values] == [
        format_value(name, value) for name, value in scores.figures.items()
    ]
    for name, (text, full) in page.figures.items():
        assert float(full) == scores.figures[name] and text == format_value(name, scores.figures[name])
    assert page.figures


@EVERY
def test_every_row_on_the_page_is_that_of_scores_json(benchmark):
    scores = scores_of(benchmark)
    heads, rows = unit_table(page_of(benchmark))
    by_name = {row[0][0]: dict(zip(heads, row, strict=True)) for row in rows}
    assert set(by_name) == {row.name for row in scores.rows}
    for row in scores.rows:
        cells = by_name[row.name]
        assert int(cells["Frames"][0]) == len(row.frames)
        for metric in row.series:
            for statistic in ("mean", "recall", "decay"):
                if f"{metric} {statistic}" not in cells:
                    assert metric in ("T", "error") and statistic != "mean"
                    continue
                value = getattr(row.statistics(metric), statistic)
                text, full = cells[f"{metric} {statistic}"]
                assert text == format_value(metric, value)
                assert float(full) == pytest.approx(value, abs=0, nan_ok=True)


def test_rows_stand_worst_first_and_undefined_ones_last():
    rows = tuple(
        Row(name, name, "", (4, 4), ("00001",), {"J": (value,), "F": (value,)})
        for name, value in (("good", 0.9), ("unknown", math.nan), ("bad", 0.1))
    )
    page = read_page(report.page(make_scores("folder", rows=rows)))
    assert [row[0][0] for row in unit_table(page)[1]] == ["bad", "good", "unknown"]


@EVERY
def test_the_page_asks_for_nothing_outside_itself(benchmark):
    text, page = text_of(benchmark), page_of(benchmark)
    assert all(reference.startswith(("#", "data:image/jpeg;base64,")) for reference in page.references)
    assert not re.search(r"https?:|@import|url\(|//[a-z]", text.replace("// Sorts", ""))
    (policy,) = (values["content"] for tag, values in page.tags if values.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}


def test_the_only_script_is_allowed_by_its_hash():
    text = text_of("davis2016")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(text)


@EVERY
def test_names_cannot_break_the_page(benchmark):
    before = make_scores(benchmark)
    rows = tuple(
        Row(
            f"{row.name}{NASTY}",
            f"{row.sequence}{NASTY}",
            row.group,
            row.size,
            (NASTY,) * len(row.frames),
            row.series,
        )
        for row in before.rows
    )
    scores = make_scores(benchmark, rows=rows, method=NASTY, provenance={NASTY: NASTY}, notes=(NASTY,))
    text = report.page(scores, others=[Other(make_scores(benchmark, rows=rows, method=NASTY, provenance={}))])
    assert NASTY not in text and text.count("<script>") == 1
    page = read_page(text)
    assert NASTY in page.text
    plain = read_page(report.page(before, others=[Other(before)]))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}


@EVERY
def test_pages_are_small(benchmark):
    assert len(text_of(benchmark)) < 120_000


def test_hundreds_of_clips_and_long_videos_make_a_page_of_bounded_size():
    random = np.random.default_rng(0)
    long = tuple(f"{index:06d}" for index in range(1000))
    rows = tuple(
        Row(
            f"{number:04d}",
            f"{number:04d}",
            "",
            (4, 4),
            long,
            {"J": tuple(random.random(1000)), "F": (0.5,) * 1000},
        )
        for number in range(70)
    )
    text = report.page(make_scores("folder", rows=rows))
    assert len(text) < 1_200_000
    assert text.count("<figure>") == 60 and "60 worst are shown, 10 are left out" in text


def test_undefined_values_are_a_dash():
    rows = (
        Row(
            "bear",
            "bear",
            "",
            (4, 4),
            ("00001", "00002"),
            {"J": (1.0, 1.0), "F": (1.0, 1.0), "T": (math.nan,)},
        ),
    )
    page = read_page(report.page(make_scores("davis2016", rows=rows)))
    heads, cells = unit_table(page)
    assert dict(zip(heads, cells[0], strict=True))["T mean"] == ("–", "nan")
    assert page.figures["T mean"] == ("–", "nan")
    assert "nan" not in page.text


def test_published_results_stand_beside_a_whole_result_only():
    heads, rows = page_of("davis2016").tables["Published: The toolkit's 21 techniques"]
    assert len(rows) == 22 and [row[0][0] for row in rows].count("a method") == 1
    values = [float(row[2][1]) for row in rows]
    assert values == sorted(values, reverse=True)
    part = read_page(report.page(make_scores("davis2016", method="ours", complete=False)))
    assert len(part.tables["Published: The toolkit's 21 techniques"][1]) == 21
    assert "Not the whole benchmark" in part.text and "none of these figures compare" in part.text


def test_results_of_another_protocol_never_share_a_table_with_ours():
    _, rows = page_of("davis2016").tables["Published: 3DC-Seg"]
    assert "a method" not in [row[0][0] for row in rows]
    page = page_of("davis2016_all_frames")
    assert "a method" in [row[0][0] for row in page.tables["Published: 3DC-Seg"][1]]
    assert "a method" not in [row[0][0] for row in page.tables["Published: The toolkit's 21 techniques"][1]]


@pytest.mark.parametrize("benchmark", ["fbms", "visal", "davis2016_all_frames"])
def test_trap_23_pooled_f_and_pysod_f_are_never_in_one_column(benchmark):
    for label, (heads, _) in page_of(benchmark).tables.items():
        if label.startswith("Published"):
            assert not {"max F", "mean F", "MAE"} & set(heads)


def test_a_comparison_shows_both_results_and_the_difference():
    first, second = scores_of("davis2016"), make_scores("davis2016", 1)
    page = page_of("davis2016")
    heads, rows = page.tables["Against before"]
    assert heads[1:3] == ["a method", "before"] and [row[0][0] for row in rows] == list(first.figures)
    for row in rows:
        name = row[0][0]
        assert (float(row[1][1]), float(row[2][1])) == (first.figures[name], second.figures[name])
    heads, rows = unit_table(page)
    theirs = {row.name: row.statistics("J").mean for row in second.rows}
    ours = {row.name: row.statistics("J").mean for row in first.rows}
    for row in rows:
        difference = float(dict(zip(heads, row, strict=True))["J less before"][1])
        assert difference == ours[row[0][0]] - theirs[row[0][0]]


def test_results_of_different_protocols_are_not_compared_and_the_page_says_so():
    page = read_page(
        report.page(make_scores("davis2016"), others=[Other(make_scores("davis2016_all_frames"))])
    )
    assert "Methods" not in page.tables
    assert "Not compared with a method: results of different benchmarks are not compared" in page.text


def test_attributes_stand_on_pages_of_davis2016_only():
    heads, rows = page_of("davis2016").tables["Scores by attribute"]
    assert heads[0] == "Attribute" and len(rows) <= 16
    for row in rows:
        cells = dict(zip(heads, row, strict=True))
        having, lacking = (float(cells[f"J {kind}"][1]) for kind in ("with", "without"))
        assert float(cells["J difference"][1]) == pytest.approx(having - lacking, nan_ok=True)
    assert "Scores by attribute" not in page_of("fbms").tables


def test_every_picture_and_chart_has_words(tmp_path):
    text = report.page(make_scores("davis2016"), videos=VIDEOS, masks_dir=write_masks(tmp_path))
    page = read_page(text)
    images = [values for tag, values in page.tags if tag == "img"]
    assert len(images) == 6 and all(values["alt"] for values in images)
    charts = [values for tag, values in page.tags if tag == "svg"]
    assert all(values.get("aria-hidden") == "true" or values.get("role") == "img" for values in charts)
    assert text.count('role="img"') == text.count("<title>") - 1  # the page's own


def test_the_worst_frames_are_shown_worst_first_with_their_scores(tmp_path):
    rows = tuple(
        Row(name, name, "", (24, 32), ("00001", "00002"), {"J": values, "F": (0.5, 0.6)})
        for name, values in (("blackswan", (0.4, 0.3)), ("camel", (0.9, 0.05)), ("elsewhere", (0.0, 0.0)))
    )
    scores = make_scores("davis2016", rows=rows)
    page = read_page(report.page(scores, videos=VIDEOS, masks_dir=write_masks(tmp_path)))
    section = page.text[page.text.index("The worst scored frame of each sequence, by J") :]
    camel = section.index("camel frame 00002: J 0.050, F 0.600")
    assert camel < section.index("blackswan frame 00002: J 0.300, F 0.600")


def test_merged_objects_are_drawn_as_one_and_void_stays_where_it_does_not_count(tmp_path):
    truth = np.array([[0, 1, 2, 255]], np.uint8)
    video = Video("clip", 1, lambda _: np.zeros((1, 4, 3), np.uint8), lambda _: truth, (1, 4), ("0",))
    write_palette_png(tmp_path / "clip" / "0.png", np.array([[0, 3, 1, 0]], np.uint8))
    rows = (Row("clip", "clip", "", (1, 4), ("0",), {"J": (0.5,), "F": (0.5,)}),)
    for benchmark, drawn in (
        ("fbms", [0, 1, 1, 1]),
        ("folder", [0, 1, 1, 255]),
        ("folder_objects", [0, 1, 2, 255]),
    ):
        (scene,) = worst_scenes(make_scores(benchmark, rows=rows), [video], 1)
        _, found, mask = scene.read(tmp_path)
        assert found.tolist() == [drawn]
        assert mask.tolist() == [[0, 3, 1, 0] if benchmark == "folder_objects" else [0, 1, 1, 0]]


def test_pictures_are_bounded_however_large_and_noisy_the_frames_are(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 700, 3), dtype=np.uint8)
    mask = np.zeros((900, 700), np.uint8)
    names = benchmarks.DAVIS2016_VAL[:14]
    frames = ("00000", "00001", "00002")
    videos = [Video(name, 3, lambda _: noise, lambda _: mask, (900, 700), frames) for name in names]
    for name in names:
        write_palette_png(tmp_path / name / "00001.png", mask)
    rows = tuple(Row(name, name, "", (900, 700), ("00001",), {"J": (0.5,), "F": (0.5,)}) for name in names)
    text = report.page(make_scores("davis2016", rows=rows), videos=videos, masks_dir=tmp_path)
    assert text.count("<img") == 12 * 3 and len(text) < 6_000_000


def make_video(name):
    truth = np.zeros((24, 32), np.uint8)
    truth[4:16, 4:16] = 1
    frame = np.full((24, 32, 3), 90, np.uint8)
    names = tuple(f"{index:05d}" for index in range(9))
    return Video(name, 9, lambda _: frame, lambda _: truth, (24, 32), names)


VIDEOS = [make_video("blackswan"), make_video("camel")]


def write_masks(folder):
    for video in VIDEOS:
        for name in video.frame_names:
            write_palette_png(folder / video.name / f"{name}.png", video.read_mask(0))
    return folder


def test_the_page_is_the_same_each_time():
    other = make_scores("davis2016", 1, method="before", provenance={})
    assert report.page(make_scores("davis2016"), others=[Other(other)]) == text_of("davis2016")


def test_rows_without_frames_over_time_have_no_charts():
    assert "Over time" not in page_of("jumpcut").text and "Over time" in page_of("jhmdb").text
