"""The scorer beside vos-benchmark: whole commands, J and F of the same generated masks, in turn.

Commands are started as a user starts them, with imports, reading and writing; their J&F must agree. Processor
time is that of the command and its processes: on a machine that does other work it is what means something.
With two processes, the scorer has two cores and starts what wins.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos3d_jax.bench import report
from vos3d_jax.errors import UserError

_PROCESSES = (1, 2)
_WOBBLES = range(2, 7)  # waves along an outline
_RAGGED = 2.0  # pixels by which results are off, as a network's outlines are
_PEER = """
import sys
from vos_benchmark.benchmark import benchmark
figures = benchmark([sys.argv[1]], [sys.argv[2]], num_processes=int(sys.argv[3]), verbose=False)
print(figures[0][0] / 100)
"""


@dataclass(frozen=True)
class Case:
    """A data set to score: its layout, size of frames, and how much there is."""

    benchmark: str
    size: tuple[int, int]
    objects: int
    sequences: int
    frames: int

    @property
    def name(self) -> str:
        """Returns what a table calls it."""
        objects = f"{self.objects} object{'s' if self.objects > 1 else ''}"
        total = self.sequences * self.frames
        return f"{self.benchmark}, {self.size[0]}p, {objects}, {total} frames"


_240, _480, _1080 = (240, 427), (480, 854), (1080, 1920)
CASES = (
    Case("davis2016", _240, 1, 10, 73),
    Case("davis2016", _480, 1, 10, 50),
    Case("davis2016", _1080, 1, 6, 15),
    Case("davis2017", _240, 1, 10, 73),
    Case("davis2017", _240, 3, 10, 40),
    Case("davis2017", _240, 10, 10, 20),
    Case("davis2017", _480, 3, 10, 20),
    Case("davis2017", _480, 10, 10, 10),
    Case("davis2017", _1080, 3, 6, 10),
    Case("davis2017", _1080, 10, 4, 8),
)


def measure(
    python: str, rounds: int, say: Callable[[str], None], cases: Sequence[Case] = CASES
) -> list[dict]:
    """Returns medians of the commands' seconds, one row a case and number of processes.

    Args:
        python: the interpreter that has vos-benchmark.
        rounds: how often each command runs.
        say: is told what is measured next.
        cases: what to score.

    Raises:
        UserError: `python` has no vos-benchmark.
        AssertionError: the J&F of the two differ by more than their rounding.
    """
    _require_peer(python)
    if hasattr(os, "sched_setaffinity"):  # for this process and all it starts
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: max(_PROCESSES)])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        # As installed ones, modules are compiled once, whatever this environment says.
        compiled = {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
        environment = {**os.environ, **compiled}
        warm = False
        for number, case in enumerate(cases):
            root = Path(folder) / str(number)
            write_case(case, root)
            for processes in _PROCESSES:
                say(f"{case.name}, {processes} process{'es' if processes > 1 else ''}")
                commands = {
                    "peer": [python, "-c", _PEER, *map(str, folders(root)), str(processes)],
                    "ours": [*_ours(case, root, processes), "--no-report"],
                    "with report": _ours(case, root, processes),
                }
                if not warm:
                    for arguments in commands.values():
                        _seconds(arguments, environment)
                    warm = True
                taken = {name: [] for name in commands}
                for _ in range(rounds):
                    for name, arguments in commands.items():
                        *times, printed = _seconds(arguments, environment)
                        taken[name].append(times)
                        if name == "peer":
                            theirs = float(printed.split()[-1])
                ours = json.loads((root / "out" / "scores.json").read_text("utf-8"))["figures"]["J&F"]
                if abs(ours - theirs) > 1e-6:
                    raise AssertionError(f"{case.name}: J&F is {ours}, but {theirs} by vos-benchmark")
                medians = {name: _medians(times) for name, times in taken.items()}
                rows.append({"case": case.name, "processes": processes, **medians})
    return rows


def markdown(rows: Sequence[dict]) -> str:
    """Returns the table of docs/performance.md: seconds of the peer and ours, and their ratios."""
    heads = (
        "data", "processes", "vos-benchmark: processor s", "wall s", "ours: processor s", "wall s",
        "times as fast: processor", "wall", "with report.html: processor", "wall",
    )  # fmt: skip
    table = []
    for row in rows:
        (peer_cpu, peer_wall), (cpu, wall), (full_cpu, full_wall) = (
            row[name] for name in ("peer", "ours", "with report")
        )
        ratios = (peer_cpu / cpu, peer_wall / wall, peer_cpu / full_cpu, peer_wall / full_wall)
        cells = [row["case"], str(row["processes"])]
        cells += [f"{value:.2f}" for value in (peer_cpu, peer_wall, cpu, wall)]
        cells += [f"**{ratio:.1f}**" if place < 2 else f"{ratio:.1f}" for place, ratio in enumerate(ratios)]
        table.append(cells)
    return report.markdown_table(heads, table)


def write_case(case: Case, root: Path) -> None:
    """Writes the data set of a case to `<root>/data` and results to `<root>/results`."""
    from PIL import Image

    from vos3d_jax.media.masks import write_palette_png

    year = case.benchmark.removeprefix("davis")
    names = [f"sequence{number:02d}" for number in range(case.sequences)]
    lists = root / "data" / "ImageSets" / year
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in names))
    picture = root / "frame.jpg"
    Image.new("RGB", case.size[::-1], (90, 120, 90)).save(picture)
    random = np.random.default_rng(0)
    for name in names:
        shapes = random.uniform(-1, 1, (case.objects, len(_WOBBLES), 2))
        frames = root / "data" / "JPEGImages" / "480p" / name
        frames.mkdir(parents=True)
        for index in range(case.frames):
            os.link(picture, frames / f"{index:05d}.jpg")
            place = Path(name) / f"{index:05d}.png"
            for into, ragged in zip(folders(root), (0.0, _RAGGED), strict=True):
                write_palette_png(into / place, _mask(case, shapes, index / case.frames, ragged, random))


def folders(root: Path) -> list[Path]:
    """Returns the folders of the true masks and of the results that `write_case` wrote."""
    return [root / "data" / "Annotations" / "480p", root / "results"]


def _mask(case: Case, shapes: np.ndarray, time: float, ragged: float, random) -> np.ndarray:
    """Objects in a grid of cells, each with a wobbly outline that turns as it moves a little."""
    import cv2

    height, width = case.size
    ids = np.zeros(case.size, np.uint8)
    columns = -(-case.objects // 2) if case.objects > 1 else 1
    cell = np.array([height / min(case.objects, 2), width / columns])
    angles = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    for label, shape in enumerate(shapes, 1):
        wobble = sum(
            0.07 * (a * np.cos(k * angles + 2 * time) + b * np.sin(k * angles))
            for k, (a, b) in zip(_WOBBLES, shape, strict=True)
        )
        radius = 0.3 * cell.min() * (1 + wobble) + ragged * random.standard_normal(angles.size)
        middle = (np.array(divmod(label - 1, columns)) + 0.5 + 0.05 * np.sin(5 * time)) * cell
        points = np.column_stack([middle[1] + radius * np.cos(angles), middle[0] + radius * np.sin(angles)])
        cv2.fillPoly(ids, [points.round().astype(np.int32)], label)
    return ids


def _ours(case: Case, root: Path, processes: int) -> list[str]:
    return [
        *(sys.executable, "-m", "vos3d_jax.score", f"--benchmark={case.benchmark}", "--metrics=J,F"),
        *(f"--data_dir={root / 'data'}", f"--results={root / 'results'}", f"--output={root / 'out'}"),
        "--overwrite",
        *(["--workers=1"] if processes == 1 else []),  # by default as many as win
    ]


def _seconds(arguments: Sequence[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Processor seconds and seconds of a command, and what it printed."""
    begin = time.perf_counter()
    with subprocess.Popen(arguments, env=environment, stdout=-1, stderr=subprocess.DEVNULL) as process:
        printed = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AssertionError(f"{' '.join(arguments)} ended with status {process.returncode}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - begin, printed


def _medians(times: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(map(statistics.median, zip(*times, strict=True)))


def _require_peer(python: str) -> None:
    if subprocess.run([python, "-c", "import vos_benchmark.benchmark"], capture_output=True).returncode:
        raise UserError(
            f"{python} has no vos-benchmark: give it one (pip install vos-benchmark), or name another with "
            "--peer_python"
        )
