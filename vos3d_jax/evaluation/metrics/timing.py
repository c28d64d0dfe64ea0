"""How much faster these metrics are than the official algorithms, measured in one run on one core.

    python -m vos3d_jax.evaluation.metrics.timing                         # generated masks of 480x854
    python -m vos3d_jax.evaluation.metrics.timing --masks=sequence.npy    # uint8 [frames, h, w], two or more

The plain forms below follow the steps of the 2016 and 2017 toolkits in numpy, OpenCV and SciPy without a
thought for speed; both forms must give the same values. CPU time is taken, the least of some repetitions, in
turns, so that other work on the machine disturbs both alike. Recorded times of the tools themselves are in
tests/golden/metrics/timing.json.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from vos3d_jax.evaluation.metrics.contours import boundary_radius, j_and_f
from vos3d_jax.evaluation.metrics.corner_grid import outlines
from vos3d_jax.evaluation.metrics.shape_context import sample
from vos3d_jax.evaluation.metrics.stability import outline_shape, shape_change

_SIZE = (480, 854)
_REPEATS = 3


def generated_masks(count: int, size: tuple[int, int] = _SIZE) -> np.ndarray:
    """`count` masks [h, w] of one moving, changing object with limbs, as uneven as a person's outline."""
    rows, columns = np.indices(size)
    masks = np.zeros((count, *size), np.uint8)
    for frame, mask in enumerate(masks):
        y, x = rows - 230 - 2 * frame, columns - 380 - 5 * frame
        angle = np.arctan2(y, x)
        radius = 95 + 45 * np.cos(5 * angle + frame / 9) + 8 * np.sin(23 * angle) + 4 * np.cos(61 * angle)
        mask[np.hypot(y, x) < radius] = 1
    return masks


def plain_j_and_f(mask: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(J, F) by the steps of the 2017 toolkit: whole images, dilation by a disk."""
    mask, truth = mask.astype(bool), truth.astype(bool)
    union = np.sum(mask | truth)
    j = np.sum(mask & truth) / union if union else 1.0
    radius = boundary_radius(*mask.shape)
    offsets = np.arange(-radius, radius + 1) ** 2
    disk = (offsets[:, None] + offsets <= radius**2).astype(np.uint8)
    edges = [_plain_boundary(one) for one in (mask, truth)]
    near = [cv2.dilate(edge.astype(np.uint8), disk) for edge in edges]
    lengths = [np.sum(edge) for edge in edges]
    if not all(lengths):
        return float(j), float(lengths[0] == lengths[1])
    precision, recall = (np.sum(edges[side] * near[1 - side]) / lengths[side] for side in (0, 1))
    return float(j), float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def plain_instability(first: np.ndarray, second: np.ndarray) -> float:
    """T of two masks by the steps of the toolkits: all pairs and bins at once, Dijkstra over all pairs."""
    histograms = []
    for mask in (first, second):
        longest = max(outlines(mask), key=lambda outline: len(outline.points))
        histograms.append(_plain_histograms(sample(longest.points, "matlab")))
    a, b = histograms[0][:, None], histograms[1][None]
    costs = 0.5 * ((a - b) ** 2 / (a + b + np.spacing(1))).sum(2)
    path = _plain_path(costs)
    row, column = min(path[:-1], key=lambda cell: costs[cell])
    shift = (row + 1, column + 1)
    rolled = np.roll(costs, (-shift[0], -shift[1]), (0, 1))
    best: dict[int, tuple[float, int]] = {}
    for row, column in _plain_path(rolled):
        if row not in best or rolled[row, column] < best[row][0]:
            best[row] = (rolled[row, column], column)
    chosen: dict[int, float] = {}
    for cost, column in best.values():
        chosen[column] = min(cost, chosen.get(column, math.inf))
    return 5 * float(np.mean(list(chosen.values())))


def _plain_boundary(mask: np.ndarray) -> np.ndarray:
    right, below, both = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], both[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edge = mask ^ right | mask ^ below | mask ^ both
    edge[-1] = mask[-1] ^ right[-1]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


def _plain_histograms(samples: np.ndarray) -> np.ndarray:
    offsets = samples[None] - samples[:, None]
    distance = np.sqrt((offsets**2).sum(2))
    distance /= distance.mean()
    rings = sum((distance < edge).astype(int) for edge in (0.125, 0.25, 0.5, 1, 2))
    full = 2 * np.pi
    angles = np.fmod(np.fmod(np.arctan2(offsets[..., 1], offsets[..., 0]), full) + full, full)
    sectors = np.floor(angles / (np.pi / 6)).astype(int) % 12
    histograms = np.zeros((len(samples), 5, 12))
    for index in range(len(samples)):
        counted = rings[index] > 0
        np.add.at(histograms[index], (rings[index][counted] - 1, sectors[index][counted]), 1)
    histograms = histograms.reshape(len(samples), 60)
    return histograms / (histograms.sum(1, keepdims=True) + np.spacing(1))


def _plain_path(costs: np.ndarray) -> list[tuple[int, int]]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    rows, columns = costs.shape
    cells = np.arange(costs.size).reshape(costs.shape)
    edges = [(cells[: rows - a, : columns - b], cells[a:, b:]) for a, b in ((1, 1), (0, 1), (1, 0))]
    start, end = (np.concatenate([edge[side].ravel() for edge in edges]) for side in (0, 1))
    weights = costs.ravel()[end] + np.spacing(1)  # a sparse graph has no edges of weight 0
    graph = csr_array((weights, (start, end)), shape=(costs.size, costs.size))
    _, before = dijkstra(graph, indices=0, return_predecessors=True)
    path = [costs.size - 1]
    while path[-1]:
        path.append(before[path[-1]])
    return [(int(cell) // columns, int(cell) % columns) for cell in path]


def _milliseconds(*functions: Callable[[], object]) -> list[float]:
    """The least CPU time of each, taken in turns."""
    least = [math.inf] * len(functions)
    for _ in range(_REPEATS):
        for index, function in enumerate(functions):
            start = time.process_time()
            function()
            least[index] = min(least[index], time.process_time() - start)
    return [1000 * seconds for seconds in least]


def _report(name: str, plain: float, ours: float) -> None:
    print(f"{name:<42}{plain:>10.2f}{ours:>10.2f}{plain / ours:>8.1f}x")


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of milliseconds of CPU time: the plain form, ours, and their ratio."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--masks", help="a .npy file of masks [frames, h, w]; default: four generated ones")
    masks = parser.parse_args(arguments).masks
    frames = np.load(masks) if masks else generated_masks(4)
    cv2.setNumThreads(1)
    print(f"{frames.shape[2]}x{frames.shape[1]}, ms of CPU time{'plain':>25}{'ours':>10}{'ratio':>9}")
    times = []
    for truth, mask in zip(frames, frames[1:], strict=False):
        assert np.allclose(plain_j_and_f(mask, truth), j_and_f(mask, truth), rtol=0, atol=1e-12)
        times.append(
            _milliseconds(lambda m=mask, t=truth: plain_j_and_f(m, t), lambda m=mask, t=truth: j_and_f(m, t))
        )
    _report("J and F of a frame", *np.mean(times, 0))
    times = []
    for first, second in zip(frames, frames[1:], strict=False):
        shape = outline_shape(first)
        plain, ours = plain_instability(first, second), shape_change(shape, outline_shape(second))
        assert abs(plain - ours) < 5e-3, (plain, ours)
        # In a sequence, each mask's shape serves two pairs, so a pair costs one shape and one comparison.
        run = _milliseconds(
            lambda a=first, b=second: plain_instability(a, b),
            lambda a=shape, b=second: shape_change(a, outline_shape(b)),
        )
        times.append(run)
        _report(f"T of a pair, {len(shape.samples)} samples", *run)
    _report("T of a pair, mean", *np.mean(times, 0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
