"""`score` on results as they come: a zip file, a part of them, masks without frames."""

import importlib
import shutil
import zipfile

import numpy as np
import pytest
from mask_folders import box, moving, write_davis, write_masks, write_own
from PIL import Image

import vos3d_jax
from vos3d_jax.evaluation import report

command = importlib.import_module("vos3d_jax.score")
SEQUENCES = ("bear", "surf")


@pytest.fixture
def folder(tmp_path):
    """DAVIS-2017 with one object a sequence in `data`, and results one pixel off in `results`."""
    write_davis(tmp_path / "data", {name: moving(length=8) for name in SEQUENCES}, year="2017")
    for name in SEQUENCES:
        write_masks(tmp_path / "results" / name, moving(length=8, shift=1))
    return tmp_path


def run(folder, *more, benchmark="davis2017", results="results", out="out"):
    return command.main(
        [
            f"--benchmark={benchmark}",
            f"--results={folder / results}",
            f"--data_dir={folder / 'data'}",
            f"--output={folder / out}",
            "--workers=1",
            *more,
        ]
    )


def refused(capsys, folder, *more, **options):
    capsys.readouterr()
    assert run(folder, *more, **options) == 2
    error = capsys.readouterr().err
    assert error.startswith("vos3d score: error: ") and error.count("\n") == 1
    return error.replace(str(folder), "")


def pack(folder, root=""):
    """The results as a zip file, below a folder of that name."""
    with zipfile.ZipFile(folder / "mine.zip", "w") as archive:
        for path in sorted((folder / "results").rglob("*.png")):
            archive.write(path, f"{root}{path.relative_to(folder / 'results')}")


def test_a_zip_file_scores_as_its_folder_does_in_the_command_and_in_python(folder):
    pack(folder)
    assert run(folder) == 0 and run(folder, results="mine.zip", out="zipped") == 0
    plain, zipped = (report.read(folder / name) for name in ("out", "zipped"))
    assert zipped.method == "mine" and zipped.rows == plain.rows and zipped.figures == plain.figures
    assert (folder / "zipped/pictures/bear.jpg").is_file()
    again = vos3d_jax.score(folder / "mine.zip", "davis2017", folder / "data", workers=1)
    assert again.to_json() == zipped.to_json()


def test_a_zip_file_that_davis_server_refuses_is_refused_and_errors_name_files_in_it(folder, capsys):
    pack(folder, root="Annotations/")
    error = refused(capsys, folder, results="mine.zip")
    assert "/mine.zip has the layout 'Annotations/bear/00000.png', but the server of DAVIS-2017" in error
    (folder / "results/surf/00003.png").unlink()
    pack(folder)
    assert "/mine.zip/surf/00003.png is missing" in refused(capsys, folder, results="mine.zip")
    assert not (folder / "out/scores.json").exists()


@pytest.mark.parametrize("name", ["masks", "Annotations", "res"])
def test_the_folder_that_holds_the_results_will_do(folder, name):
    (folder / "results").rename(folder / name)
    (folder / "results").mkdir()
    (folder / name).rename(folder / "results" / name)
    assert run(folder) == 0


def test_masks_in_a_zip_file_are_shown_beside_those_of_another_method(folder):
    pack(folder)
    assert run(folder, results="mine.zip", out="first") == 0
    assert run(folder, "--method=other", f"--compare={folder / 'first'}") == 0
    assert (folder / "out/report.html").read_text("utf-8").count('class="theirs"') == len(SEQUENCES)


def test_what_is_missing_is_refused_unless_a_part_is_asked_for_and_that_is_said_everywhere(folder, capsys):
    assert run(folder, out="whole") == 0
    shutil.rmtree(folder / "results/surf")
    (folder / "results/bear/00004.png").unlink()
    assert "surf is not a folder" in refused(capsys, folder)
    assert run(folder, "--partial") == 0
    shown = capsys.readouterr().out
    words = "PARTIAL RESULTS: 7 of 12 frames have no mask and are left out; 1 of 2 sequences are scored"
    assert words in " ".join(shown.split()) and "partial results, not in full" in shown
    scores = report.read(folder / "out")
    assert (scores.complete, scores.protocol) == (False, "semi_supervised+partial")
    assert scores.rows[0].frames == ("00001", "00002", "00003", "00005", "00006")
    assert words in (folder / "out/report.html").read_text("utf-8")
    assert "partial results" in (folder / "out/table.tex").read_text("utf-8")


def test_a_part_compares_with_the_same_part_and_never_with_the_whole(folder, capsys):
    assert run(folder, out="whole") == 0
    shutil.rmtree(folder / "results/surf")
    assert run(folder, "--partial", out="part") == 0
    error = refused(capsys, folder, "--partial", f"--compare={folder / 'whole'}")
    assert "('semi_supervised+partial' and 'semi_supervised')" in error
    assert run(folder, "--partial", f"--compare={folder / 'part'}") == 0


def test_a_part_of_nothing_is_refused(folder, capsys):
    shutil.rmtree(folder / "results")
    (folder / "results").mkdir()
    assert "is not a folder (the first of 2, of 2 sequences)" in refused(capsys, folder, "--partial")


def test_a_part_with_everything_has_the_figures_of_the_whole(folder):
    assert run(folder, out="whole") == 0 and run(folder, "--partial") == 0
    part, whole = (report.read(folder / name) for name in ("out", "whole"))
    assert part.figures == whole.figures and not part.complete


def test_t_is_not_measured_across_frames_that_are_left_out(tmp_path):
    write_davis(tmp_path / "data", {"camel": moving(length=8)})  # one of the stable sequences
    write_masks(tmp_path / "results/camel", moving(length=8, shift=1))
    assert run(tmp_path, benchmark="davis2016", out="whole") == 0
    (tmp_path / "results/camel/00003.png").unlink()
    assert run(tmp_path, "--partial", benchmark="davis2016") == 0
    (whole,), (part,) = (report.read(tmp_path / name).rows for name in ("whole", "out"))
    assert np.isnan(part.series["T"]).tolist() == [False, False, True, False, False]
    assert part.series["T"][-1] == whole.series["T"][-1]


@pytest.mark.parametrize("layout", ["plain", "davis", "resolution"])
@pytest.mark.parametrize("benchmark", ["folder", "folder_objects"])
def test_two_folders_of_masks_suffice(layout, benchmark, tmp_path):
    masks = [box() + 2 * box(left=20) for _ in range(4)]
    write_own(tmp_path / "framed", {name: masks for name in SEQUENCES})
    for name in SEQUENCES:
        place = {"plain": name, "davis": f"Annotations/{name}", "resolution": f"Annotations/480p/{name}"}
        write_masks(tmp_path / "data" / place[layout], masks)
        write_masks(tmp_path / "results" / name, [box(left=5) + 2 * box(left=20)] * 4)
    assert run(tmp_path, benchmark=benchmark) == 0
    scores = report.read(tmp_path / "out")
    framed = vos3d_jax.score(tmp_path / "results", benchmark, tmp_path / "framed", workers=1)
    assert scores.figures == framed.figures and scores.rows == framed.rows
    assert (tmp_path / "out/pictures/bear.jpg").is_file()


def test_frames_given_for_true_masks_are_refused_by_name(tmp_path, capsys):
    for name in SEQUENCES:
        write_masks(tmp_path / "results" / name, moving())
        (tmp_path / "data" / name).mkdir(parents=True)
        noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
        for index in range(5):
            Image.fromarray(noise).save(tmp_path / f"data/{name}/{index:05d}.png")
    assert "/data/bear/00000.png has colours" in refused(capsys, tmp_path, benchmark="folder")
