"""The command `score`: what it writes, what it refuses and how, and that a kill costs nothing."""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mask_folders import SIZE, box, moving, write_davis, write_grey, write_masks, write_own
from PIL import Image

import vos3d_jax
from vos3d_jax import files
from vos3d_jax.evaluation import measuring, report
from vos3d_jax.evaluation.benchmarks import DAVIS2016_STABLE
from vos3d_jax.media.masks import PALETTE

command = importlib.import_module("vos3d_jax.score")
SEQUENCES = ("bear", "surf")


@pytest.fixture
def folder(tmp_path):
    """A small DAVIS-2016 in `data` and results one pixel off in `results`."""
    write_davis(tmp_path / "data", {name: moving() for name in SEQUENCES})
    for name in SEQUENCES:
        write_masks(tmp_path / "results" / name, moving(shift=1))
    return tmp_path


def run(folder, *more, benchmark="davis2016"):
    return command.main(
        [
            f"--benchmark={benchmark}",
            f"--results={folder / 'results'}",
            f"--data_dir={folder / 'data'}",
            f"--output={folder / 'out'}",
            "--workers=1",
            *more,
        ]
    )


def refused(folder, capsys, *more, **options):
    """The one line on stderr after which nothing was written."""
    capsys.readouterr()
    assert run(folder, *more, **options) == 2
    error = capsys.readouterr().err
    assert error.startswith("vos3d score: error: ") and error.count("\n") == 1
    assert not (folder / "out/scores.json").exists()
    return error.replace(str(folder), "").strip()


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


# Bad results: one line each, with the first offender, how many there are, and the mend.


def test_a_missing_sequence(folder, capsys):
    for path in (folder / "results/surf").iterdir():
        path.unlink()
    (folder / "results/surf").rmdir()
    error = refused(folder, capsys)
    assert "/results/surf is not a folder (the only one, of 2 sequences): write the masks of each" in error


def test_no_sequence_at_all_names_what_is_there_instead(folder, capsys):
    (folder / "results").rename(folder / "480p")
    (folder / "results").mkdir()
    (folder / "480p").rename(folder / "results/480p")
    error = refused(folder, capsys)
    assert "/results/bear is not a folder (the first of 2, of 2 sequences); /results has 480p: " in error


def test_missing_frames(folder, capsys):
    for name in ("00000", "00002", "00003", "00004"):
        (folder / f"results/surf/{name}.png").unlink()
    error = refused(folder, capsys)
    # The first and the last frame are not scored and need no file.
    assert "/results/surf/00002.png is missing (the first of 2, of 6 frames): write a PNG for each" in error


def test_frames_under_other_names(folder, capsys):
    for name in SEQUENCES:
        for path in (folder / "results" / name).iterdir():
            path.rename(path.with_name(path.name[2:]))
    error = refused(folder, capsys)
    assert (
        "/results/bear/00001.png is missing (the first of 6, of 6 frames); /results/bear has 000.png, "
        in error
    )


def test_wrong_size(folder, capsys):
    write_masks(folder / "results/bear", moving(size=(24, 40)))
    error = refused(folder, capsys)
    assert "/results/bear/00001.png is 40x24 but its frame is 32x24 (the first of 3, of 6 frames)" in error
    assert "resize the masks with nearest neighbour" in error


def test_jpeg_masks_by_their_name_or_in_disguise(folder, capsys):
    for name in ("00001", "00002"):
        path = folder / f"results/bear/{name}.png"
        Image.open(path).convert("L").save(path.with_suffix(".jpg"))
        path.unlink()
    error = refused(folder, capsys)
    assert "/results/bear/00001.jpg is a JPEG, which blurs ids (the first of 2, of 6 frames)" in error
    for path in (folder / "results/bear").glob("*.jpg"):
        path.rename(path.with_suffix(".png"))
    assert "/results/bear/00001.png is a JPEG" in refused(folder, capsys)


def test_colours_instead_of_ids(folder, capsys):
    Image.fromarray(PALETTE[box()]).save(folder / "results/surf/00003.png")
    error = refused(folder, capsys)
    assert "/results/surf/00003.png has colours instead of ids (the only one, of 6 frames)" in error
    assert "palette or grey PNG whose pixel values are the object ids" in error


def soft_mask():
    mask = box() * np.uint8(255)
    mask[4], mask[15] = 85, 170
    return mask


def test_anti_aliased_masks(folder, capsys):
    for index in (1, 2):
        write_grey(folder / f"results/bear/0000{index}.png", soft_mask())
    error = refused(folder, capsys)
    assert "/results/bear/00001.png has 3 grey levels, so its edges are soft (the first of 2, of" in error
    assert "threshold the masks in the middle" in error


def test_void_in_a_result_of_one_object(folder, capsys):
    mask = box()
    mask[0] = 255
    write_masks(folder / "results/bear", [mask] * 5)
    error = refused(folder, capsys)
    assert "/results/bear/00001.png has pixels of 255, which is void and no object (the first of 3" in error


def test_trap_7_255_alone_and_other_ids_are_the_object_of_a_benchmark_with_one(folder):
    write_masks(folder / "results/bear", [mask * np.uint8(255) for mask in moving()])
    write_masks(folder / "results/surf", [mask * np.uint8(7) for mask in moving()])
    assert run(folder) == 0
    assert report.read(folder / "out").figures["J mean"] == 1


@pytest.fixture
def objects(tmp_path):
    """Two objects a video, in one's own folder, and right results."""
    masks = [box() + 2 * box(left=20) for _ in range(4)]
    write_own(tmp_path / "data", {name: masks for name in SEQUENCES})
    for name in SEQUENCES:
        write_masks(tmp_path / "results" / name, masks)
    return tmp_path


def test_trap_15_more_objects_than_there_are(objects, capsys):
    write_masks(objects / "results/surf", [3 * box()] * 4)
    error = refused(objects, capsys, benchmark="folder_objects")
    assert (
        "/results/surf/00001.png has the object id 3, but those of the true masks are 1, 2 (the first of 3"
        in error
    )


def test_trap_16_more_than_twenty_proposals(tmp_path, capsys):
    truth = {"bear": [box() + 2 * box(left=20) for _ in range(3)]}
    write_davis(tmp_path / "data", truth, "2017", "Annotations_unsupervised")
    write_masks(tmp_path / "results/bear", [20 * box()] * 3)
    assert run(tmp_path, benchmark="davis2017_unsupervised") == 0
    assert report.read(tmp_path / "out").figures["J mean"] == 0.5
    (tmp_path / "out").rename(tmp_path / "first")
    write_masks(tmp_path / "results/bear", [21 * box()], ["00002"])
    error = refused(tmp_path, capsys, benchmark="davis2017_unsupervised")
    assert "/results/bear/00002.png has the object id 21, but 20 is the largest allowed (the only" in error


@pytest.mark.parametrize("grey", [False, True])
def test_trap_7_255_in_results_of_several_objects(objects, capsys, grey):
    mask = box() * np.uint8(255)
    if grey:
        write_grey(objects / "results/bear/00002.png", mask)
    else:
        write_masks(objects / "results/bear", [mask], ["00002"])
    error = refused(objects, capsys, benchmark="folder_objects")
    assert "/results/bear/00002.png has pixels of 255, which is void and no object (the only one" in error


def test_anti_aliased_masks_of_several_objects(objects, capsys):
    write_grey(objects / "results/bear/00002.png", soft_mask())
    error = refused(objects, capsys, benchmark="folder_objects")
    assert "/results/bear/00002.png has 3 grey levels, so its edges are soft (the only one" in error


def test_damaged_files(folder, capsys):
    (folder / "results/bear/00001.png").write_bytes(b"not a picture")
    error = refused(folder, capsys)
    assert "/results/bear/00001.png cannot be read as a picture (the only one, of 6 frames)" in error
    assert error.endswith(": make these files again")
    whole = (folder / "results/bear/00002.png").read_bytes()
    write_masks(folder / "results/bear", moving())
    (folder / "results/bear/00002.png").write_bytes(whole[:-30])
    assert "/results/bear/00002.png cannot be read" in refused(folder, capsys)
    write_grey(folder / "results/bear/00002.png", box().astype(np.uint16))
    assert "/results/bear/00002.png has the image mode I;16 (the only one" in refused(folder, capsys)


def test_problems_are_counted_over_all_sequences_in_several_processes_too(folder, capsys):
    for name in SEQUENCES:
        write_grey(folder / f"results/{name}/00002.png", soft_mask())
    error = refused(folder, capsys, "--workers=2")
    assert "/results/bear/00002.png has 3 grey levels, so its edges are soft (the first of 2, of 6" in error


def test_maps_are_checked_like_masks(folder, capfd):
    for name in SEQUENCES:
        for index in range(5):
            write_grey(folder / f"maps/{name}/{index:05d}.png", box() * np.uint8(200))
    (folder / "maps/bear/00003.png").unlink()
    options = (f"--maps={folder / 'maps'}",)
    error = refused(folder, capfd, *options, benchmark="davis2016_all_frames")
    assert "/maps/bear/00003.png is missing (the only one, of 10 frames)" in error
    Image.fromarray(PALETTE[box()]).save(folder / "maps/bear/00003.png")
    error = refused(folder, capfd, *options, benchmark="davis2016_all_frames")
    assert "/maps/bear/00003.png is no map: it has the image mode RGB (the only one" in error
    whole = (folder / "maps/bear/00002.png").read_bytes()
    (folder / "maps/bear/00003.png").write_bytes(whole[:-30])
    error = refused(folder, capfd, *options, benchmark="davis2016_all_frames")
    assert "/maps/bear/00003.png cannot be read as a picture (the only one" in error
    write_grey(folder / "maps/bear/00003.png", box() * np.uint8(200))
    assert run(folder, *options, benchmark="davis2016_all_frames") == 0
    assert report.read(folder / "out").figures["pooled F"] == pytest.approx(
        0.8
    )  # one column of ten is wrong on each side


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


# A scoring that was killed goes on.


def wait_for_a_part(process, folder):
    while not list(folder.glob("*.part")):
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended before: {process.returncode}")


def children_of(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def slow_scoring(tmp_path, length=7):
    """Arguments of a scoring of six sequences, by two processes, that takes a while."""
    rng = np.random.default_rng(0)
    noise = rng.random((6, length, 36, 48)) > 0.5  # long outlines, which take T a while
    sequences = dict(zip(DAVIS2016_STABLE, map(list, noise.astype(np.uint8)), strict=False))
    write_davis(tmp_path / "data", sequences)
    for name, masks in sequences.items():
        write_masks(tmp_path / "results" / name, masks[::-1])
    return [f"--results={tmp_path / 'results'}", f"--data_dir={tmp_path / 'data'}", "--workers=2"]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals are held back the Unix way")
def test_ctrl_c_says_how_to_go_on_even_while_the_processes_start(tmp_path):
    # Long enough that on a busy machine, too, the first process is not done before the second has started.
    arguments = [*slow_scoring(tmp_path, length=60), f"--output={tmp_path / 'out'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vos3d_jax.score", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(children_of(process)) < 2:  # a worker, and the one that cleans up behind it
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1].endswith("are kept\nvos3d score: interrupted\n")
    assert process.returncode == 130


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are watched the Linux way")
def test_killed_in_the_middle_and_run_again_it_ends_with_the_same_bytes(tmp_path, monkeypatch):
    arguments = slow_scoring(tmp_path)
    killed = [*arguments, f"--output={tmp_path / 'out'}"]
    process = subprocess.Popen([sys.executable, "-m", "vos3d_jax.score", *killed])
    try:
        wait_for_a_part(process, tmp_path / "out/parts")
        workers = [os.pidfd_open(pid) for pid in children_of(process)]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for worker in workers:
        assert select.select([worker], [], [], 20)[0], "a worker outlived the command"
        os.close(worker)
    done = len(list((tmp_path / "out/parts").glob("*.part")))
    assert 0 < done and not (tmp_path / "out/scores.json").exists()

    measured = []
    measure = measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda *given: measured.append(given) or measure(*given))
    assert command.main([*killed, "--workers=1"]) == 0
    assert len(measured) == 6 - done
    assert command.main([*arguments, f"--output={tmp_path / 'whole'}", "--workers=1"]) == 0
    scores = [(tmp_path / name / "scores.json").read_bytes() for name in ("out", "whole")]
    assert scores[0] == scores[1]
    assert not (tmp_path / "out/parts").exists()


def test_stale_parts_are_never_taken(folder, monkeypatch):
    from vos3d_jax.evaluation import scoring, workers

    def scores():
        return scoring.score(
            folder / "results", data_dir=folder / "data", workers=1, work_dir=folder / "parts"
        )

    measured = []
    measure = measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda *given: measured.append(given) or measure(*given))
    first = scores()
    assert scores() == first and len(measured) == 2  # both were taken
    write_masks(folder / "results/bear", moving(shift=2))
    assert scores().rows[0] != first.rows[0] and len(measured) == 3  # another result
    write_masks(folder / "data/Annotations/480p/surf", moving(shift=3))
    assert scores().rows[1] != first.rows[1] and len(measured) == 4  # another truth
    for path in (folder / "parts").glob("*.part"):
        path.write_bytes(path.read_bytes()[:-100])
    scores()
    assert len(measured) == 6  # damaged ones
    workers.remove_parts(folder / "parts")
    assert not (folder / "parts").exists()


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
