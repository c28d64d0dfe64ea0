"""A whole evaluation as users run it: in a process, killed and begun again; the command score beside it."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vos3d_jax import models, storage
from vos3d_jax.data import moving_shapes
from vos3d_jax.evaluation import report

_SEQUENCES = ("blackswan", "bmx-trees", "camel", "cows", "dog", "goat", "kite-surf", "libby")
_SIZE = (48, 64)
_NETWORK = {"depth": 14, "width": 4, "decoder_width": 4}
_CONFIG = f"""
from ml_collections import ConfigDict

def get_config():
    return ConfigDict(dict(
        data_dir="", model={_NETWORK}, stages=(),
        evaluation=dict(benchmark="davis2016_all_frames", data=dict(name="davis2016", split="val"),
                        predictor=dict(clip_length=4, overlap=2, short_edge=0), baselines=True)))
"""


def _write_data(folder):
    """A small DAVIS of generated videos under names of real ones."""
    videos = moving_shapes.videos("val", count=len(_SEQUENCES), length=12, size=_SIZE)
    for name, video in zip(_SEQUENCES, videos, strict=True):
        for index in range(video.length):
            for kind, array in (
                ("JPEGImages", video.read_frame(index)),
                ("Annotations", video.read_mask(index) * np.uint8(255)),
            ):
                place = folder / kind / "480p" / name
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(place / f"{index:05d}.png")
    (folder / "ImageSets" / "2016").mkdir(parents=True)
    (folder / "ImageSets" / "2016" / "val.txt").write_text("\n".join(_SEQUENCES))


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_killed_while_predicting_and_while_scoring_it_ends_as_if_nothing_had_happened(tmp_path):
    data = tmp_path / "DAVIS"
    _write_data(data)
    (tmp_path / "tiny.py").write_text(_CONFIG)
    storage.save_model(models.build_model("dcseg", seed=3, **_NETWORK), tmp_path / "model")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}  # compiled once

    def start(workdir):
        return subprocess.Popen(
            [
                sys.executable,
                *("-m", "vos3d_jax.main", f"--config={tmp_path / 'tiny.py'}", f"--config.data_dir={data}"),
                *("--mode=evaluate", f"--checkpoint={tmp_path / 'model'}", f"--workdir={workdir}"),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(workdir):
        output, _ = start(workdir).communicate(timeout=300)
        assert (workdir / "evaluation" / "scores.json").exists(), output[-2000:]
        return output

    def kill(process):
        process.send_signal(signal.SIGKILL)
        process.communicate()

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole)

    process = start(killed)
    for line in process.stdout:
        if line.startswith("5/8 "):
            break
    kill(process)
    unfinished = killed / "evaluation.tmp"
    done = {path.name for path in (unfinished / "masks").iterdir()}
    assert set(_SEQUENCES[:4]) <= done < set(_SEQUENCES)

    process = start(killed)
    while not list(unfinished.glob("parts/*.part")) and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    kill(process)
    assert unfinished.exists() and not (killed / "evaluation").exists()

    output = finish(killed)
    assert "going on with" in output and "blackswan: " not in output
    assert _files(killed) == _files(whole)

    # The command score finds the same in the masks and maps that main wrote.
    arguments = (f"--results={whole / 'evaluation'}", f"--data_dir={data}", f"--output={tmp_path / 'again'}")
    command = importlib.import_module("vos3d_jax.score")
    assert command.main(["--benchmark=davis2016_all_frames", *arguments]) == 0
    mains, again = report.read(whole / "evaluation"), report.read(tmp_path / "again")
    assert again.rows == mains.rows and again.figures == mains.figures
    assert {"J mean", "T mean", "weighted F", "pooled F"} <= mains.figures.keys()
