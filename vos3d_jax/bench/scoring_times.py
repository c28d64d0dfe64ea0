"""How fast scoring is: J, F and T beside plain forms of the official tools, then whole benchmarks from files.

    python -m vos3d_jax.bench.scoring_times --data_dir=DAVIS
    python -m vos3d_jax.bench.scoring_times --data_dir=DAVIS --results=masks --json=scoring.json
    python -m vos3d_jax.bench.scoring_times --peer_python=PYTHON      # an interpreter that has vos-benchmark

With --peer_python whole commands on generated masks beside vos-benchmark, as a table in markdown. Without
--results the masks are the true ones with disturbed outlines. Metrics run on one core, plain form and
ours in turn, in processor time; both must agree. Some minutes: the plain T takes half a second a pair.
"""

import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vos3d_jax import command
from vos3d_jax.command_line import Parser
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

_NAME = "python -m vos3d_jax.bench.scoring_times"  # vos3d has no command of this name
_BENCHMARK = "davis2016"
_ROUNDS = 5
_SMOOTH, _FAR = 1.5, 2.0  # of the disturbance, in pixels: as ragged as a network's outlines
_COPIES = 14  # of the data, so that a hundred frames last as long as the 1376 of DAVIS-2016 val
_WORKERS = 2
# Milliseconds of the tools themselves at 480x854, recorded elsewhere (tests/golden/metrics/timing.json).
_OFFICIAL = {"J and F": 1.541 + 3.835, "T": 1156.7}


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status of the command."""
    return command.run(_NAME, _run, arguments)


def _run(arguments: list[str]) -> None:
    parser = Parser(_NAME, description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data_dir", type=Path, help="DAVIS-2016, whole or in part")
    what.add_argument("--peer_python", metavar="PYTHON", help="measure beside the vos-benchmark that it has")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often each command beside it runs (default: 3)"
    )
    parser.add_argument("--results", type=Path, help="masks to score: <sequence>/<frame>.png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args(arguments)
    if options.peer_python:
        from vos3d_jax.bench import report, scoring_peer, timing  # bring jax: not for --help

        with report.progress() as say:
            rows = scoring_peer.measure(options.peer_python, options.rounds, say)
        cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
        print(f"{time.strftime('%Y-%m-%d')}, {timing.processor()}, {cores} cores, load {load:.1f} at the end")
        print("\n" + scoring_peer.markdown(rows))
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))
        return
    from vos3d_jax.evaluation import benchmark_data, benchmarks  # bring OpenCV: not for --help

    videos = benchmark_data.load(benchmarks.find(_BENCHMARK), options.data_dir).videos
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or _disturbed_results(videos, Path(folder) / "results")
        times = measure_metrics(videos, results)
        _print_metrics(times)
        rates = measure_scoring(videos, results, options.data_dir, Path(folder))
    print("\n" + "\n".join(f"{name:<52}{value:>10.4g}" for name, value in rates.items()))
    if options.json:
        options.json.write_text(json.dumps({"metrics": times, "scoring": rates}, indent=1))


def measure_metrics(videos: Sequence[Video], results: Path) -> dict[str, list[list[float]]]:
    """Returns milliseconds of one core: for each pair of masks what its plain form and ours take.

    T: also samples of the outlines, and what the outlines alone take in the plain form and ours: the toolkits
    have these in C++, so that a plain form in Python is at a disadvantage there.
    """
    from vos3d_jax.bench import plain_metrics as plain
    from vos3d_jax.evaluation import metrics

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    rows: dict[str, list[list[float]]] = {"J and F": [], "T of truth": [], "T of results": []}
    for video in videos:
        truth = [video.read_mask(index) for index in range(video.length)]
        masks = [_read(results, video, index) for index in range(video.length)]
        for mask, true in zip(masks, truth, strict=True):
            both = [partial(plain.j_and_f, mask, true), partial(metrics.j_and_f, mask, true)]
            rows["J and F"].append(_in_turn(both, _ROUNDS, 1e-12))
        for name, frames in (("T of truth", truth), ("T of results", masks)):
            shaped = [(frame, metrics.outline_shape(frame)) for frame in frames]
            for (first, before), (second, after) in itertools.pairwise(shaped):
                if before is None or after is None:
                    continue
                # In a sequence, each mask's shape serves two pairs: a pair costs one shape and one matching.
                both = [partial(plain.instability, first, second), partial(_instability, before, second)]
                pair = _in_turn(both, 1, 5e-3)  # of equally cheap paths, either may be taken
                walked = _in_turn([partial(plain.outlines, second), partial(metrics.outlines, second)], 1)
                rows[name].append([*pair, (len(before.samples) + len(after.samples)) / 2, *walked])
    os.sched_setaffinity(0, cores)
    return rows


def measure_scoring(videos: Sequence[Video], results: Path, data_dir: Path, folder: Path) -> dict[str, float]:
    """Returns frames a second from files, with J, F and T, and the share of what reading alone allows."""
    from vos3d_jax.evaluation import metrics, scoring

    files = [(results, video, index) for video in videos for index in range(1, video.length - 1)]
    masks = [(_read(*file), file[1].read_mask(file[2])) for file in files]

    def accuracy() -> None:
        for mask, truth in masks:
            metrics.j_and_f(mask, truth)

    def stability() -> None:
        in_order = (mask for mask, _ in masks)
        for video in videos:
            scored = itertools.islice(in_order, video.length - 2)
            metrics.temporal_instability(scored, first_truth=video.read_mask(0))

    parts = [
        partial(scoring.score, results, _BENCHMARK, data_dir, workers=1),
        partial(_read_both, files),
        accuracy,
        stability,
    ]
    times = [milliseconds / len(files) for milliseconds in _in_turn(parts, _ROUNDS)]

    frames = _COPIES * len(files)
    many_results, many_data = _copies(videos, results, data_dir, folder)
    begin = time.perf_counter()
    scoring.score(many_results, _BENCHMARK, many_data, workers=_WORKERS)
    took = time.perf_counter() - begin
    with multiprocessing.get_context("spawn").Pool(_WORKERS) as pool:
        pool.map(_read_both, [files[:1]] * _WORKERS, 1)  # both have started
        begin = time.perf_counter()
        pool.map(_read_both, [files[part::_WORKERS] * _COPIES for part in range(_WORKERS)], 1)
        ceiling = time.perf_counter() - begin
    return {
        "processor ms a frame, one process: all": times[0],
        "of it reading two masks": times[1],
        "of it J and F": times[2],
        "of it T": times[3],
        f"frames scored with {_WORKERS} workers": frames,
        f"frames/s with {_WORKERS} workers, their start included": frames / took,
        f"frames/s of reading alone, {_WORKERS} workers": frames / ceiling,
        "share of the ceiling": ceiling / took,
    }


def _instability(shape, mask: np.ndarray) -> float:
    from vos3d_jax.evaluation import metrics

    return metrics.shape_change(shape, metrics.outline_shape(mask))


def _in_turn(functions: Sequence[Callable], rounds: int, tolerance: float | None = None) -> list[float]:
    """Median milliseconds of processor time of each; their values differ by no more than `tolerance`."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        values = []
        for function, taken in zip(functions, times, strict=True):
            begin = time.process_time()
            values.append(function())
            taken.append(1000 * (time.process_time() - begin))
        if tolerance is not None and not np.allclose(values[0], values[1], rtol=0, atol=tolerance):
            raise AssertionError(f"the plain form gives {values[0]}, ours {values[1]}")
    return [statistics.median(taken) for taken in times]


def _print_metrics(rows: dict[str, list[list[float]]]) -> None:
    print(
        f"{'ms of one core at 480p, all pairs':<40}{'plain':>9}{'ours':>9}{'ratio':>8}{'least':>8}{'most':>8}"
    )
    both = {"T, all pairs": rows["T of truth"] + rows["T of results"]}
    for name, values in {**rows, **both}.items():
        table = np.array(values)
        _print_row(name, table[:, 0], table[:, 1])
        if table.shape[1] > 2:
            plain = table[:, 0] - 2 * table[:, 3] + 2 * table[:, 4]
            _print_row("   were its outlines as fast as ours", plain, table[:, 1])
    for name, official in _OFFICIAL.items():
        print(f"{'recorded official tool: ' + name:<40}{official:>9.2f}")


def _print_row(name: str, plain: np.ndarray, ours: np.ndarray) -> None:
    ratios = plain / ours
    numbers = f"{plain.mean():>9.2f}{ours.mean():>9.2f}{plain.sum() / ours.sum():>8.1f}"
    print(f"{name:<40}{numbers}{ratios.min():>8.1f}{ratios.max():>8.1f}")


def _disturbed_results(videos: Sequence[Video], folder: Path) -> Path:
    """Writes the true masks with outlines moved by smooth noise."""
    import cv2

    from vos3d_jax.media.masks import write_palette_png

    random = np.random.default_rng(0)
    for video in videos:
        for index, name in enumerate(video.frame_names):
            mask = video.read_mask(index)
            if mask is None:
                raise UserError(f"{video.name} {name} has no true mask: give DAVIS-2016")
            inside = (mask != 0).astype(np.uint8)
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
            depth -= cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
            noise = cv2.GaussianBlur(random.standard_normal(mask.shape, np.float32), (0, 0), _SMOOTH)
            disturbed = depth + _FAR * noise / noise.std() > 0
            write_palette_png(folder / video.name / f"{name}.png", disturbed.view(np.uint8))
    return folder


def _copies(videos: Sequence[Video], results: Path, data_dir: Path, folder: Path) -> tuple[Path, Path]:
    """Folders of results and data that hold every sequence several times, by links."""
    names = {f"{video.name}-{copy}": video.name for copy in range(_COPIES) for video in videos}
    many_results, many_data = folder / "many_results", folder / "many_data"
    for into, source in (
        (many_results, results),
        (many_data / "Annotations" / "480p", data_dir / "Annotations" / "480p"),
        (many_data / "JPEGImages" / "480p", data_dir / "JPEGImages" / "480p"),
    ):
        into.mkdir(parents=True)
        for name, original in names.items():
            (into / name).symlink_to((source / original).resolve())
    lists = many_data / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in names))
    return many_results, many_data


def _read(results: Path, video: Video, index: int) -> np.ndarray:
    from vos3d_jax.media.encodings import read_mask

    return read_mask(results / video.name / f"{video.frame_names[index]}.png")


def _read_both(files: Sequence[tuple[Path, Video, int]]) -> None:
    for results, video, index in files:
        _read(results, video, index)
        video.read_mask(index)


if __name__ == "__main__":
    sys.exit(main())
