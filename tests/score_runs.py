"""Runs of the command `score` on two small sequences."""

import importlib

import pytest
from mask_folders import moving, write_davis, write_masks

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
