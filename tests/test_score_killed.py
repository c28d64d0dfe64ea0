"""A scoring that was stopped goes on: a kill costs nothing."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import score_runs
from mask_folders import moving, write_davis, write_masks
from score_runs import command

from vos3d_jax.evaluation import measuring
from vos3d_jax.evaluation.benchmarks import DAVIS2016_STABLE

folder = score_runs.folder


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
