"""Scoring in several processes: what happens to them."""

import multiprocessing
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import workers
from vos3d_jax.evaluation.benchmarks import BENCHMARKS
from vos3d_jax.evaluation.results_folder import Results

VIDEO = Video("bear", 3, abs, abs, (4, 5), ("0", "1", "2"))
RULES = BENCHMARKS["davis2016"]
JOBS = [workers.Job(RULES, RULES.runs(VIDEO)[0], Results(Path("results"), None), (), None)] * 3


def dies(job):
    if multiprocessing.parent_process() is not None:  # the one that asks does a share, too
        os._exit(3)


def test_a_process_that_dies_is_named_and_not_waited_for():
    with pytest.raises(UserError, match="a process that scores has died.*--workers=1"):
        with workers._results_of(dies, JOBS, 2) as found:
            list(found)


def never_ends_but_for_the_first(job):
    if job.run.name == "bear" or multiprocessing.parent_process() is None:
        return
    threading.Event().wait()


def test_ctrl_c_does_not_wait_for_the_sequences_that_are_being_scored():
    others = [replace(JOBS[0], run=replace(JOBS[0].run, name="surf"))] * 2
    with (
        pytest.raises(KeyboardInterrupt),
        workers._results_of(never_ends_but_for_the_first, [JOBS[0], *others], 2) as found,
    ):
        next(found)
        raise KeyboardInterrupt


def test_nothing_is_begun_after_the_first_mistake():
    begun = []
    with workers._results_of(begun.append, JOBS, 1) as found:
        next(found)
    assert begun == JOBS[:1]


def test_parts_are_removed_and_nothing_else(tmp_path):
    for name in ("a.part", ".a.part.x1", "mine.txt"):
        (tmp_path / name).write_text("")
    workers.remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    workers.remove_parts(tmp_path / "none")


@pytest.mark.parametrize(
    "name, frames, size, expected",
    [
        ("dog", 70, (240, 427), 1),  # done before a second process has started
        ("dog", 700, (240, 427), 1),
        ("dog", 2000, (240, 427), 2),
        ("cows", 50, (480, 854), 2),  # T is measured of it
        ("dog", 10_000, (1080, 1920), 64),
    ],
)
def test_processes_are_started_where_their_work_is_worth_their_start(
    monkeypatch, name, frames, size, expected
):
    monkeypatch.setattr(workers, "_cores", lambda: 64)
    video = Video(name, frames, abs, abs, size, tuple(map(str, range(frames))))
    assert workers._worth([replace(JOBS[0], run=RULES.runs(video)[0])]) == expected
