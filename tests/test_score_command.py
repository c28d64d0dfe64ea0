"""The command `score`: what it writes, and what it says of wrong arguments."""

import json
import subprocess
import sys

import numpy as np
import pytest
import score_runs
from mask_folders import SIZE, moving, write_davis, write_masks
from score_runs import refused, run

import vos3d_jax
from vos3d_jax import files
from vos3d_jax.evaluation import report

folder = score_runs.folder


def test_it_writes_scores_tables_and_a_report_and_shows_the_table(folder, capsys):
    assert run(folder, "--method=mine") == 0
    shown = capsys.readouterr()
    assert "bear" in shown.out and "DAVIS-2016 val, not in full: 2 sequences" in shown.out
    assert "scoring: 2 of 2 sequences" in shown.err
    scores = report.read(folder / "out")
    assert (scores.method, scores.protocol, len(scores.rows)) == ("mine", "toolkit", 2)
    written = {path.name for path in (folder / "out").iterdir()}
    assert {"scores.json", "report.html", "rows.csv"} <= written
    assert "parts" not in written
    assert vos3d_jax.score(folder / "results", data_dir=folder / "data", workers=1).rows == scores.rows


def test_scores_of_something_else_are_not_replaced_unless_told(folder, capsys):
    assert run(folder) == 0
    before = (folder / "out/scores.json").read_bytes()
    write_masks(folder / "other" / "bear", moving())
    write_masks(folder / "other" / "surf", moving())
    for options, words in (
        ([f"--results={folder / 'other'}"], "other results"),
        (["--defect=nan_recall"], "protocol toolkit (now toolkit+nan_recall)"),
    ):
        assert run(folder, *options) == 2
        error = capsys.readouterr().err
        assert (
            f"scores.json is there already, with {words}: give another --output, or add --overwrite" in error
        )
    assert (folder / "out/scores.json").read_bytes() == before
    assert run(folder, f"--results={folder / 'other'}", "--overwrite") == 0
    assert (folder / "out/scores.json").read_bytes() != before
    write_masks(folder / "other" / "surf", moving(shift=1))
    before = (folder / "out/scores.json").read_bytes()
    # Trap: the same command is about masks that may have changed, so their old scores would be wrong.
    assert run(folder, f"--results={folder / 'other'}") == 0
    assert (folder / "out/scores.json").read_bytes() != before


def test_chosen_metrics_have_the_values_they_have_among_all(folder):
    assert run(folder) == 0
    every = report.read(folder / "out")
    assert run(folder, "--overwrite", "--metrics=J", "--method=again", f"--compare={folder / 'out'}") == 0
    scores = report.read(folder / "out")
    assert scores.metrics == ("J",) and set(scores.figures) == {"J mean", "J recall", "J decay"}
    assert [row.series for row in scores.rows] == [{"J": row.series["J"]} for row in every.rows]
    assert scores.provenance == every.provenance
    assert run(folder, "--overwrite", "--metrics=F", f"--compare={folder / 'out'}") == 0  # nothing in common


@pytest.mark.parametrize("metrics", ["J", "F", "T"])
def test_one_metric_alone_is_scored_and_reported(folder, metrics):
    assert run(folder, f"--metrics={metrics}") == 0
    assert f"{metrics} mean" in (folder / "out/report.html").read_text("utf-8")


def test_without_report_no_page_stays_that_tells_of_other_scores(folder, capsys):
    assert run(folder) == 0
    assert run(folder, "--no-report") == 0
    assert "scores.json and tables are in" in capsys.readouterr().out
    assert (folder / "out/rows.csv").exists() and not (folder / "out/report.html").exists()


def test_importing_the_command_leaves_the_function_of_the_same_name_callable():
    code = (
        "import vos3d_jax, vos3d_jax.score; assert callable(vos3d_jax.score); assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", f"import sys; {code}"], check=True)


def test_a_script_without_a_main_guard_scores_in_several_processes(folder):
    script = folder / "script.py"
    script.write_text(
        "import vos3d_jax\nprint('once')\n"
        f"results, data = {str(folder / 'results')!r}, {str(folder / 'data')!r}\n"
        "scores = vos3d_jax.score(results, data_dir=data, workers=2)\n"
        "print(len(scores.rows))\n"
    )
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert found.stdout == "once\n2\n"


def test_another_result_stands_beside_it_only_under_the_same_protocol(folder, capsys):
    assert run(folder, "--method=one") == 0
    (folder / "out").rename(folder / "first")
    assert run(folder, "--method=two", f"--compare={folder / 'first'}") == 0
    assert "one" in capsys.readouterr().out
    (folder / "out").rename(folder / "second")
    error = refused(folder, capsys, f"--compare={folder / 'first'}", benchmark="davis2016_all_frames")
    assert (
        "results of different benchmarks are not compared ('davis2016_all_frames' and 'davis2016')" in error
    )
    error = refused(folder, capsys, f"--compare={folder / 'first'}", "--defect=nan_recall")
    assert "results of different protocols are not compared ('toolkit+nan_recall' and 'toolkit')" in error


def test_a_result_against_other_truths_is_written_but_not_compared(folder, capsys):
    assert run(folder) == 0
    (folder / "out").rename(folder / "first")
    write_masks(folder / "data/Annotations/480p/surf", moving(shift=2))
    assert run(folder, f"--compare={folder / 'first'}") == 2
    shown = capsys.readouterr()
    assert f"report.html are in {folder / 'out'}" in shown.out
    (error,) = (line for line in shown.err.splitlines() if "error: " in line)
    assert "the scores are written; the comparison is not made: " in error
    assert "scored against different true masks" in error
    assert "scored against different true masks" in (folder / "out/report.html").read_text("utf-8")


@pytest.mark.parametrize("change", ["a video less", "a video more", "a frame less", "a frame more", "size"])
def test_a_result_of_other_frames_is_refused_before_anything_is_scored(folder, capsys, change):
    lengths, size = {"bear": 5, "surf": 5}, SIZE
    if change == "a video less":
        del lengths["surf"]
    elif change == "a video more":
        lengths["goat"] = 5
    elif change == "size":
        size = (20, 30)
    else:
        lengths["surf"] += 1 if change == "a frame more" else -1
    other = folder / "other"
    write_davis(other / "data", {name: moving(length, size=size) for name, length in lengths.items()})
    for name, length in lengths.items():
        write_masks(other / "results" / name, moving(length, shift=1, size=size))
    assert run(other, "--no-report") == 0
    error = refused(folder, capsys, f"--compare={other / 'out'}")
    name = {"a video more": "goat", "size": "bear"}.get(change, "surf")
    assert f"the two results do not score the same frames of '{name}' at the same size" in error
    assert "scores are written" not in error and not list((folder / "out").glob("*"))


def test_trap_27_nothing_is_written_to_the_results_or_read_from_them_but_masks(folder, capsys):
    for name in ("scores.json", "global_results-val.csv", "parts/x.part"):
        files.write(folder / "results" / name, b"{}")
    before = sorted(folder.glob("results/**/*"))
    assert run(folder) == 0
    assert sorted(folder.glob("results/**/*")) == before
    (folder / "out").rename(folder / "first")
    error = refused(folder, capsys, f"--output={folder / 'results/out'}")
    assert "/results/out is in the results, /results: give another --output" in error
    error = refused(folder, capsys, f"--output={folder / 'data/Annotations/out'}")
    assert "/data/Annotations/out is in the data, /data: give another --output" in error


def test_results_that_main_wrote_are_found_by_their_folder(folder):
    (folder / "results").rename(folder / "masks")
    (folder / "results").mkdir()
    (folder / "masks").rename(folder / "results/masks")
    assert run(folder) == 0
    assert report.read(folder / "out").method == "results"
    assert run(folder, f"--output={folder / 'results'}") == 2  # where main's own scores are
    assert run(folder, f"--output={folder / 'results/again'}") == 0


def test_the_videos_are_looked_up_once(folder, monkeypatch):
    from vos3d_jax.data import datasets

    asked = []
    load = datasets.load
    monkeypatch.setattr(datasets, "load", lambda *given, **more: asked.append(given) or load(*given, **more))
    assert run(folder) == 0
    assert len(asked) == 1  # what is missing is said once


@pytest.mark.parametrize(
    "more, expected",
    [
        (["--metrics="], "does not measure nothing: choose of J, F, T"),
        (["--benchmark=davis"], "there is no benchmark 'davis': choose one of davis2016"),
        (["--benchmark=foldr"], "folder_objects; did you mean folder?"),
        (["--benchmark=moving_shapes"], "moving_shapes is generated: give --option=count=N --option=length"),
        (["--results=nowhere"], "nowhere does not exist: give the folder of the masks"),
        (["--maps=nowhere"], "nowhere does not exist: give a folder of soft maps"),
        (
            ["--maps=."],
            "davis2016 measures no soft maps: leave . out, or score as davis2016_all_frames, fbms",
        ),
        (
            ["--maps=.", "--benchmark=davis2016_all_frames", "--metrics=J,F"],
            "davis2016_all_frames measures no soft maps with these metrics: leave . out",
        ),
        (["--metrics=J,S"], "davis2016 does not measure S: choose of J, F, T"),
        (["--data_dir=nowhere"], "DAVIS-2016 was not found"),
        (["--compare=nowhere.json"], "nowhere.json does not exist: give the scores.json"),
        (["--defect=x"], "there is no defect 'x' to repeat: choose one of decay_8bit"),
        (["--option=x"], "--option=x has no value: give --option=NAME=VALUE"),
        (["--option=x=1"], "cannot be read with the options"),
        (
            ["--option=workers=3"],
            "--option=workers=...: workers is no option of a data set's reader: see --help",
        ),
        (["--option=card=3"], "card is no option of a data set's reader"),
    ],
)
def test_wrong_arguments(folder, capsys, more, expected):
    assert expected in refused(folder, capsys, *more)


def test_an_output_that_cannot_be_written_to(folder, capsys):
    (folder / "out").write_text("a file")
    assert run(folder) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_second_command_with_the_same_output_is_refused(folder, capsys):
    with files.exclusive(folder / "out"):
        error = refused(folder, capsys)
    assert error.endswith(
        "another command is writing to /out: wait until it has ended, or name another folder"
    )
    assert run(folder) == 0


def test_the_stored_file_is_json_without_nan_and_holds_all_that_says_how_it_was_made(folder):
    write_davis(folder / "data", {"cows": moving()})  # one of those whose T is measured
    write_masks(folder / "results/cows", [np.zeros(SIZE, np.uint8)] * 5)
    assert run(folder) == 0
    text = (folder / "out/scores.json").read_text()
    stored = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert stored["rows"][0]["series"]["T"] == [None] * 3
    assert set(stored["provenance"]) == {
        "data",
        "results",
        "model_card",
        "maps",
        "masks",
        "options",
        "versions",
    }
    assert stored["rule"].startswith("all frames but the first and the last")
