"""What an evaluation leaves behind: files, tables in the terminal, pictures."""

import csv
import io
import math
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from synthetic_scores import make_scores

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmarks, report
from vos3d_jax.evaluation.benchmark_data import BenchmarkData
from vos3d_jax.evaluation.report.pictures import worst_scenes
from vos3d_jax.evaluation.scores import Row
from vos3d_jax.evaluation.scoring import everything_foreground, score_predictions
from vos3d_jax.media.masks import write_palette_png

SIZE = (24, 32)


def make_video(name, length=4):
    truth = np.zeros(SIZE, np.uint8)
    truth[4:16, 4:16] = 1
    frame = np.full((*SIZE, 3), 90, np.uint8)
    names = tuple(f"{index:05d}" for index in range(length))
    return Video(name, length, lambda i: frame, lambda i: truth, SIZE, names)


VIDEOS = [make_video("bear"), make_video("surf")]


DATA = BenchmarkData(benchmarks.find("davis2016"), VIDEOS)


def truth_of(run):
    return map(run.video.read_mask, run.frames)


def write_masks(folder, videos=VIDEOS, sub=""):
    for video in videos:
        for name in video.frame_names:
            write_palette_png(folder / video.name / sub / f"{name}.png", video.read_mask(0))
    return folder


def printed(sheet, width=80):
    console = Console(file=io.StringIO(), width=width)
    report.show(sheet, console)
    return console.file.getvalue()


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_an_evaluation_leaves_scores_csv_page_and_pictures(tmp_path):
    scores = score_predictions(DATA, truth_of)
    report.write(scores, tmp_path / "out", videos=VIDEOS, masks_dir=write_masks(tmp_path / "masks"))
    assert report.read(tmp_path / "out") == report.read(tmp_path / "out/scores.json") == scores
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert found == [
        "figures.csv",
        "global_results-val.csv",
        "per-sequence_results-val.csv",
        "pictures/bear.jpg",
        "pictures/surf.jpg",
        "report.html",
        "rows.csv",
        "scores.json",
        "table.tex",
    ]
    with Image.open(tmp_path / "out/pictures/bear.jpg") as picture:
        assert picture.width > 3 * 320 and picture.height > 2 * 200


def test_pictures_of_jumpcut_are_read_from_the_folder_of_their_key_frame(tmp_path):
    video = make_video("bear", 9)
    row = Row("bear key000+8", "bear", "distance 8", SIZE, ("00008",), {"error": (12.5,)})
    scores = make_scores("jumpcut", rows=(row,))
    folder = write_masks(tmp_path / "masks", [video], "key000")
    (path,) = report.write_pictures(scores, [video], folder, tmp_path / "pictures")
    assert path == tmp_path / "pictures/bear.jpg"


def test_masks_are_shown_as_they_were_scored_whatever_their_greys_look_like(tmp_path):
    (tmp_path / "bear").mkdir()
    greys = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE) // 3
    Image.fromarray(greys.astype(np.uint8)).save(tmp_path / "bear/00001.png")
    row = Row("bear", "bear", "", SIZE, ("00001",), {"J": (0.5,), "F": (0.5,)})
    said = {"results": {"one object (soft edges, cut at the half)": ["bear"]}}
    ids, cut = (make_scores("folder", rows=(row,), provenance={"masks": masks}) for masks in ({}, said))
    (scene,) = worst_scenes(ids, VIDEOS, 1)
    assert np.array_equal(scene.read_mask(tmp_path), greys > 0)
    assert np.array_equal(scene.of(cut).read_mask(tmp_path), greys > 127)


def test_hundreds_of_clips_leave_the_worst_pictures_only(tmp_path):
    videos = [make_video(f"{index:03d}", 3) for index in range(70)]
    rows = tuple(
        Row(video.name, video.name, "", SIZE, ("00001",), {"J": (index / 70,), "F": (0.5,)})
        for index, video in enumerate(videos)
    )
    masks = write_masks(tmp_path / "masks", videos)
    written = report.write_pictures(make_scores("folder", rows=rows), videos, masks, tmp_path / "pictures")
    assert [path.stem for path in written] == [f"{index:03d}" for index in range(60)]


def test_the_official_csv_has_the_tools_columns_and_three_decimals(tmp_path):
    rows = tuple(
        Row(name, "dogs", "", SIZE, ("00001", "00002"), {"J": (value, value), "F": (0.1235, 0.1236)})
        for name, value in (("dogs_1", 0.4444), ("dogs_2", math.nan))
    )
    report.write_csv(make_scores("davis2017", rows=rows), tmp_path)
    assert (tmp_path / "global_results-val.csv").read_text() == (
        "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n0.284,0.444,0.000,0.000,0.124,0.000,-0.000\n"
    )
    assert (tmp_path / "per-sequence_results-val.csv").read_text() == (
        "Sequence,J-Mean,F-Mean\ndogs_1,0.444,0.124\ndogs_2,,0.124\n"
    )


def test_the_official_csv_numbers_the_object_of_a_merged_sequence(tmp_path):
    report.write_csv(make_scores("davis2016_all_frames"), tmp_path)
    rows = read_csv(tmp_path / "per-sequence_results-val.csv")
    assert [row[0] for row in rows[1:]] == [f"{name}_1" for name in benchmarks.DAVIS2016_VAL[:6]]


@pytest.mark.parametrize("benchmark", sorted(benchmarks.BENCHMARKS))
def test_csv_files_hold_all_figures_and_rows_in_full(benchmark, tmp_path):
    scores = make_scores(benchmark)
    written = {path.name for path in report.write_csv(scores, tmp_path)}
    assert written >= {"figures.csv", "rows.csv"}
    assert any("global" in name for name in written) == ("J" in scores.metrics)
    _, *figures = read_csv(tmp_path / "figures.csv")
    assert {name: float(value) for name, value, *_ in figures} == dict(scores.figures)
    heads, *rows = read_csv(tmp_path / "rows.csv")
    for row, cells in zip(scores.rows, rows, strict=True):
        entry = dict(zip(heads, cells, strict=True))
        assert entry["name"] == row.name and int(entry["frames"]) == len(row.frames)
        for metric in row.series:
            for name in ("mean",) if metric in ("T", "error") else ("mean", "recall", "decay"):
                value = getattr(row.statistics(metric), name)
                assert entry[f"{metric} {name}"] == ("" if math.isnan(value) else repr(value))
        if "J" in row.series:
            assert float(entry["J&F"]) == (row.statistics("J").mean + row.statistics("F").mean) / 2


@pytest.mark.parametrize("benchmark", sorted(benchmarks.BENCHMARKS))
def test_the_table_names_protocol_and_rows_in_80_columns(benchmark):
    scores = make_scores(benchmark)
    lines = printed(report.table(scores)).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert any(line.startswith(f"protocol {scores.protocol}: ") for line in lines)
    assert any(line.startswith("means over ") for line in lines)
    firsts = {line.split()[0] for line in lines if line.split()}
    assert {row.name.split()[0] for row in scores.rows[:40]} <= firsts or "worst of" in "\n".join(lines)


def test_the_table_shows_published_results_beside_a_whole_result_only():
    text = printed(report.table(make_scores("davis2016_all_frames", method="ours")))
    assert "3DC-Seg dense" in text and "table 4" in text and "OSVOS" not in text
    text = printed(report.table(make_scores("davis2016_all_frames", complete=False)))
    assert "3DC-Seg dense" not in text and "Published results are of the whole benchmark" in text


def test_names_in_brackets_are_printed_as_they_are():
    rows = (Row("[/red]clip[bold]", "clip", "", SIZE, ("00001",), {"J": (0.5,), "F": (0.5,)}),)
    scores = make_scores("folder", rows=rows, method="[/blue]", notes=("a [note]",))
    text = printed(report.table(scores)) + printed(
        report.tests_table(scores, [scores], report.compare_all(scores, [scores]))
    )
    assert "[/red]clip[bold]" in text and "[/blue]" in text and "a [note]" in text
    assert "[x]" in printed(report.compare_table([("[x]", scores)]))


def test_the_table_of_hundreds_of_clips_shows_the_worst():
    random = np.random.default_rng(0)
    rows = tuple(
        Row(
            f"clip{index:03d}", f"clip{index:03d}", "split1", SIZE, ("1",), {"IoU": (float(random.random()),)}
        )
        for index in range(90)
    )
    text = printed(report.table(make_scores("jhmdb", rows=rows)))
    worst = min(rows, key=lambda row: row.series["IoU"][0])
    assert "the 40 worst of 90" in text and len(re.findall(r"clip\d", text)) == 40 and worst.name in text


def test_baselines_stand_in_one_table():
    rows = [
        ("trained network", score_predictions(DATA, truth_of)),
        ("everything foreground", score_predictions(DATA, everything_foreground)),
    ]
    text = printed(report.compare_table(rows))
    assert "trained network" in text and "everything foreground" in text
    assert f"{144 / 768:.3f}" in text


def test_results_of_different_protocols_are_refused_in_one_table():
    rows = [
        (name, score_predictions(BenchmarkData(benchmarks.find(name), VIDEOS), truth_of))
        for name in ("davis2016", "davis2016_all_frames")
    ]
    with pytest.raises(UserError, match="are not compared"):
        report.compare_table(rows)
    with pytest.raises(UserError, match="no results to compare"):
        report.compare_table([])


def test_a_file_that_is_missing_or_no_scores_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.json is missing"):
        report.read(tmp_path / "none.json")
    (tmp_path / "scores.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"scores\.json is no scores\.json"):
        report.read(tmp_path)


def test_an_output_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/scores.json cannot be written"):
        report.write(make_scores("folder"), tmp_path / "file")
