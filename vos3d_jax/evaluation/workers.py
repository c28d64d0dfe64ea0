"""Runs are scored one by one or in several processes; what is done survives a kill, in a folder of parts.

Processes are spawned (jax, OpenCV and threads do not survive a fork), and none outlives the one that asked.
"""

import contextlib
import dataclasses
import hashlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import cv2

import vos3d_jax
from vos3d_jax import files, runtime
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import measuring, result_masks, run_measures
from vos3d_jax.evaluation.problems import BadResult, Problem, refuse
from vos3d_jax.evaluation.results_folder import Results
from vos3d_jax.evaluation.run_measures import RunMeasures
from vos3d_jax.evaluation.runs import MAP_METRICS, Benchmark, Run
from vos3d_jax.media.encodings import Levels

_ENDING = ".part"
# Of a core, a pixel: reading two masks, J and F; and with T or measures of soft maps (docs/performance.md).
_SECONDS, _SECONDS_SLOW, _SLOW = 5e-9, 1e-7, frozenset(("T", *MAP_METRICS))
_WORTH_A_START = 1.0  # seconds of work for which a process is started, which takes a third of that

# (runs done, of how many, frames of the run just done) -> what to show of it.
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Job:
    """A run to score from files; `work_dir` keeps its part, if not None."""

    rules: Benchmark
    run: Run
    results: Results
    defects: tuple[str, ...]
    work_dir: Path | None


def score_all(jobs: Sequence[Job], workers: int | None, progress: Progress | None) -> list[RunMeasures]:
    """Returns the parts of all jobs, in their order, whatever finishes first.

    Args:
        jobs: what to score.
        workers: how many processes, this one among them; None: as many as win, at most one a core.
        progress: is told of each run that is done.

    Raises:
        UserError: a mask, map or true mask cannot be scored; a process died.
    """
    runs = [job.run for job in jobs]
    done: list[RunMeasures | Problem | None] = [None] * len(jobs)
    with _results_of(perform, jobs, workers) as results:
        for count, (index, result) in enumerate(results, 1):
            done[index] = result
            if isinstance(result, Problem):
                break
            if progress is not None:
                progress(count, len(jobs), len(jobs[index].run.scored))
    bad = [index for index, result in enumerate(done) if not isinstance(result, RunMeasures)]
    if bad:
        with _results_of(_problems, [jobs[index] for index in bad], workers) as results:
            by_job = dict(results)
        refuse([problem for index in sorted(by_job) for problem in by_job[index]], runs)
    return [part for part in done if isinstance(part, RunMeasures)]


def perform(job: Job) -> RunMeasures | Problem:
    """Returns the part of one job, of an earlier scoring if it has it; or what is wrong with the results."""
    place = None if job.work_dir is None else job.work_dir / f"{_key(job)}{_ENDING}"
    if place is not None and place.is_file():
        part = run_measures.from_bytes(place.read_bytes())
        if part is not None and part.truth == measuring.truth_fingerprint(job.rules, job.run):
            return part
    maps = result_masks.maps_of(job.results, job.run) if job.results.maps is not None else None
    seen: list[Levels] = []
    try:
        masks = result_masks.masks_of(job.results, job.rules, job.run, seen)
        part = measuring.measure(job.rules, job.run, masks, maps, job.defects)
        part = dataclasses.replace(part, result_meaning=result_masks.meaning_of(job.results, seen))
    except BadResult as error:
        return error.problem
    if place is not None:
        files.write(place, run_measures.to_bytes(part))
    return part


def remove_parts(work_dir: str | Path) -> None:
    """Removes what `perform` keeps in a folder, and the folder if nothing else is in it."""
    folder = Path(work_dir)
    for path in [*folder.glob(f"*{_ENDING}"), *folder.glob(f".*{_ENDING}.*")]:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _problems(job: Job) -> list[Problem]:
    return result_masks.problems_of(job.results, job.rules, job.run)


def _key(job: Job) -> str:
    """What a part depends on, but for the true masks: the rules, and the bytes of the results."""
    run = job.run
    digest = hashlib.sha256(
        repr((vos3d_jax.__version__, job.rules, job.defects, run.name, run.scored, run.video.size)).encode()
    )
    digest.update(repr(job.results.mask_values).encode())
    for index in run.scored:
        paths = [job.results.mask_path(run, index)]
        paths += [job.results.map_path(run, index)] if job.results.maps is not None else []
        for path in paths:
            data = path.read_bytes()
            digest.update(f"{path.name} {len(data)} ".encode())
            digest.update(data)
    return digest.hexdigest()


@contextlib.contextmanager
def _results_of(function: Callable, jobs: Sequence[Job], workers: int | None) -> Iterator:
    """Gives an iterator over (index, function(job)) as they finish.

    Leaving it drops what has not begun; leaving it by an exception (Ctrl-C) ends the processes at once.
    """
    others = min(workers or _worth(jobs), len(jobs)) - 1
    if others < 1:
        yield ((index, function(job)) for index, job in enumerate(jobs))
        return
    context = multiprocessing.get_context("spawn")
    # Closed by us, or by the system when we are gone: its end is the processes' end.
    life, our_life = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(others, mp_context=context, initializer=_begin, initargs=(life,))
    try:
        # The longest first, so that none is left over at the end.
        order = sorted(range(len(jobs)), key=lambda index: -len(jobs[index].run.scored))
        with _blank_main(), _sigint_deferred():
            futures = {pool.submit(function, jobs[index]): index for index in order}
        yield _shared(futures, function, jobs)
    except BrokenProcessPool:
        raise UserError(
            "a process that scores has died, perhaps for want of memory: give fewer (--workers=1); what is "
            "done is not done again"
        ) from None
    except BaseException:
        our_life.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        our_life.close()
        life.close()


def _shared(futures: dict[Future, int], function: Callable, jobs: Sequence[Job]) -> Iterator:
    """(index, result) as processes finish; this one does its share of what none of them has begun."""
    left = dict(futures)
    for future in reversed(futures):
        if future.cancel():
            index = left.pop(future)
            yield index, function(jobs[index])
            for done in [one for one in left if one.done()]:
                yield left.pop(done), done.result()
    for future in as_completed(left):
        yield left[future], future.result()


def _worth(jobs: Sequence[Job]) -> int:
    """How many processes finish soonest, by what the jobs take, roughly: starting one takes time, too."""
    seconds = 0.0
    for job in jobs:
        slow = not job.rules.metrics_of(job.run.video).isdisjoint(_SLOW)
        cost = _SECONDS_SLOW if slow else _SECONDS
        seconds += cost * len(job.run.scored) * math.prod(job.run.video.size)
    return min(_cores(), 1 + int(seconds / _WORTH_A_START))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(life: Connection) -> None:
    """What a worker does first: one thread is its share, and it ends with `life`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where `_sigint_deferred` can do nothing
    runtime.tune(jax=False)
    cv2.setNumThreads(1)
    threading.Thread(target=lambda: (wait([life]), os._exit(1)), daemon=True).start()


@contextlib.contextmanager
def _blank_main() -> Iterator[None]:
    """Workers import the main module anew, which runs a user's script that has no guard a second time.

    Nothing of it is needed here, so they are shown an empty one.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _sigint_deferred() -> Iterator[None]:
    """Processes that are started here never see Ctrl-C, not even while they import.

    It is answered once, by the process that asked; in that one it waits for the end of this, so that no
    process is left half started.
    """
    answer = signal.getsignal(signal.SIGINT)
    waiting: list[tuple] = []
    waits = callable(answer) and threading.current_thread() is threading.main_thread()
    if waits:
        signal.signal(signal.SIGINT, lambda *given: waiting.append(given))
    masks = hasattr(signal, "pthread_sigmask")  # started processes inherit the mask, but no handler
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if waits:
            signal.signal(signal.SIGINT, answer)
        if waiting:
            answer(*waiting[0])
