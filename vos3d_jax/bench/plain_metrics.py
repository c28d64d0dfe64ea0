"""The official tools' J, F and T step by step in plain Python and numpy, for ours to be measured against.

The steps are those of the 2016 and 2017 toolkits, without a thought for speed: whole images, a dilation by a
disk, outlines walked from corner to corner, one histogram a sample, all bins of all pairs at once, Dijkstra
over all pairs. Where the toolkits call compiled code, the plain form does too if OpenCV or SciPy has it
(dilation, Dijkstra); their C++ outlines are Python here.
"""

import math

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

_RINGS = (0.125, 0.25, 0.5, 1, 2)
_SECTORS = 12


def j_and_f(mask: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Returns (J, F) of two masks by the steps of the 2017 toolkit."""
    mask, truth = mask.astype(bool), truth.astype(bool)
    union = np.sum(mask | truth)
    j = np.sum(mask & truth) / union if union else 1.0
    radius = math.ceil(0.008 * math.hypot(*mask.shape))
    offsets = np.arange(-radius, radius + 1) ** 2
    disk = (offsets[:, None] + offsets <= radius**2).astype(np.uint8)
    edges = [_boundary(one) for one in (mask, truth)]
    near = [cv2.dilate(edge.astype(np.uint8), disk) for edge in edges]
    lengths = [np.sum(edge) for edge in edges]
    if not all(lengths):
        return float(j), float(lengths[0] == lengths[1])
    precision, recall = (np.sum(edges[side] * near[1 - side]) / lengths[side] for side in (0, 1))
    return float(j), float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def instability(first: np.ndarray, second: np.ndarray) -> float:
    """Returns T of two masks by the steps of the toolkits (Matlab variant); both have an outline."""
    return matched([samples(longest(outlines(mask))) for mask in (first, second)])


def matched(contours: list[np.ndarray]) -> float:
    """Returns T of two sampled outlines."""
    a, b = (_histograms(contour) for contour in contours)
    a, b = a[:, None], b[None]
    costs = 0.5 * ((a - b) ** 2 / (a + b + np.spacing(1))).sum(2)
    path = _path(costs)
    row, column = min(path[:-1], key=lambda cell: costs[cell])
    rolled = np.roll(costs, (-row - 1, -column - 1), (0, 1))
    best: dict[int, tuple[float, int]] = {}
    for row, column in _path(rolled):
        if row not in best or rolled[row, column] < best[row][0]:
            best[row] = (rolled[row, column], column)
    chosen: dict[int, float] = {}
    for cost, column in best.values():
        chosen[column] = min(cost, chosen.get(column, math.inf))
    return 5 * float(np.mean(list(chosen.values())))


def longest(curves: list[np.ndarray]) -> np.ndarray:
    """Returns the curve with most points, the first of several."""
    return max(curves, key=len)


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Returns the simplified outlines [n, 2] of a mask, (row, column), the last point repeats the first."""
    around = _elements(mask != 0)
    junctions = sorted(corner for corner, others in around.items() if len(others) > 2)
    pieces, visited = [], set()
    for junction in reversed(junctions):
        row, column = junction
        for after in ((row - 1, column), (row, column - 1), (row + 1, column), (row, column + 1)):
            if _element(junction, after) not in visited:
                pieces.append(_walk(around, visited, junction, after))
    curves = []
    for corner in sorted(around):
        below = (corner[0] + 1, corner[1])
        if below in around[corner] and _element(corner, below) not in visited:
            curves.append(_walk(around, visited, corner, below))
    finished = []
    for curve in [*curves[::-1], *_joined(pieces, junctions)]:
        points = 2 * np.array(curve)
        for tolerance in (0.1, 3.0):
            points = _simplified(points, tolerance)
        if len(points) > 3:
            finished.append(_oriented(points, _is_hole(mask, curve)) / 2)
    return finished


def samples(points: np.ndarray) -> np.ndarray:
    """Returns points at most 3 pixels apart along a polygon, its corners among them, [n, 2]."""
    sampled = [points[0]]
    for start, end in zip(points, points[1:], strict=False):
        parts = max(math.ceil(np.linalg.norm(end - start) / 3), 1)
        step, point = (end - start) / parts, start
        for _ in range(parts - 1):
            point = point + step
            sampled.append(point)
        sampled.append(end)
    return np.array(sampled)


def _boundary(mask: np.ndarray) -> np.ndarray:
    right, below, both = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], both[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edge = mask ^ right | mask ^ below | mask ^ both
    edge[-1] = mask[-1] ^ right[-1]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


def _elements(mask: np.ndarray) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Each corner of pixels on the border of the mask, with the corners next to it along the border."""
    padded = np.pad(mask, 1)
    vertical = np.argwhere(padded[1:-1, :-1] != padded[1:-1, 1:])
    horizontal = np.argwhere(padded[:-1, 1:-1] != padded[1:, 1:-1])
    around: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for corners, (down, right) in ((vertical, (1, 0)), (horizontal, (0, 1))):
        for row, column in corners.tolist():
            one, other = (row, column), (row + down, column + right)
            around.setdefault(one, []).append(other)
            around.setdefault(other, []).append(one)
    return around


def _element(one: tuple[int, int], other: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    return min(one, other), max(one, other)


def _walk(around: dict, visited: set, corner: tuple[int, int], after: tuple[int, int]) -> list:
    """The corners from this one on, to a junction or all round."""
    walked = [corner, after]
    visited.add(_element(corner, after))
    while walked[-1] != corner and len(around[walked[-1]]) == 2:
        one, other = around[walked[-1]]
        walked.append(other if one == walked[-2] else one)
        visited.add(_element(walked[-2], walked[-1]))
    return walked


def _joined(pieces: list[list], junctions: list) -> list[list]:
    """The pieces as closed curves that pass each junction once and never go straight on there."""
    unused = {junction: [] for junction in junctions}
    for number, piece in enumerate(pieces):
        for junction in {piece[0], piece[-1]}:
            unused[junction].append(number)
    curves = []
    for first in reversed(junctions):
        while unused[first]:
            walk, junction = [], first
            while True:
                options = [
                    piece if piece[0] == junction else piece[::-1]
                    for piece in (pieces[number] for number in unused[junction])
                ]
                chosen = 0
                if walk and _is_straight(walk[-1][-2], junction, options[0][1]):
                    chosen = 1
                number, piece = unused[junction][chosen], options[chosen]
                walk.append(piece)
                for end in {piece[0], piece[-1]}:
                    unused[end].remove(number)
                junction = piece[-1]
                starts = [part[0] for part in walk]
                if junction in starts:
                    loop = walk[starts.index(junction) :]
                    del walk[starts.index(junction) :]
                    curves.append([junction, *(corner for part in loop for corner in part[1:])])
                    if not walk:
                        break
    return curves


def _is_straight(before: tuple[int, int], here: tuple[int, int], after: tuple[int, int]) -> bool:
    return before[0] == here[0] == after[0] or before[1] == here[1] == after[1]


def _is_hole(mask: np.ndarray, curve: list) -> bool:
    """Whether the pixel right of the curve's uppermost, then leftmost vertical element is background."""
    row, column = min(
        min(one, other) for one, other in zip(curve, curve[1:], strict=False) if one[1] == other[1]
    )
    return not mask[row, column]


def _simplified(points: np.ndarray, tolerance: float) -> np.ndarray:
    """The points that a radial filter and Douglas and Peucker's rule leave."""
    if len(points) < 3:
        return points
    kept = [points[0]]
    for point in points[1:-1]:
        if (point[0] - kept[-1][0]) ** 2 + (point[1] - kept[-1][1]) ** 2 >= tolerance**2:
            kept.append(point)
    points = np.array([*kept, points[-1]], float)
    stays = np.zeros(len(points), bool)
    stays[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        start, along = points[first], points[last] - points[first]
        inner = points[first + 1 : last]
        product, length = (inner - start) @ along, max(along @ along, 1)
        fraction = np.clip(product.astype(np.float32) / np.float32(length), 0, 1).astype(float)
        distance = ((inner - (start + fraction[:, None] * along)) ** 2).sum(1)
        if distance.max() > tolerance**2:
            split = last - 1 - int(distance[::-1].argmax())
            stays[split] = True
            parts += [(first, split), (split, last)]
    return points[stays]


def _oriented(points: np.ndarray, is_hole: bool) -> np.ndarray:
    total = np.float32(0)
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, 0), strict=True):
        total += np.float32((next_x - x) * (next_y + y))
    return points[::-1] if (total > 0) == is_hole else points


def _histograms(contour: np.ndarray) -> np.ndarray:
    """How many samples lie in which direction and distance of each, as shares, [n, 60]."""
    offsets = contour[None] - contour[:, None]
    distance = np.sqrt((offsets**2).sum(2))
    distance /= distance.mean()
    rings = sum((distance < edge).astype(int) for edge in _RINGS)
    full = 2 * np.pi
    angles = np.fmod(np.fmod(np.arctan2(offsets[..., 1], offsets[..., 0]), full) + full, full)
    sectors = np.floor(angles / (full / _SECTORS)).astype(int) % _SECTORS
    size = len(_RINGS) * _SECTORS
    histograms = np.zeros((len(contour), size))
    for index, (ring, sector) in enumerate(zip(rings, sectors, strict=True)):
        counted = ring > 0
        histograms[index] = np.bincount((ring[counted] - 1) * _SECTORS + sector[counted], minlength=size)
    return histograms / (histograms.sum(1, keepdims=True) + np.spacing(1))


def _path(costs: np.ndarray) -> list[tuple[int, int]]:
    """The cells of the cheapest path from the last cell to the first, by Dijkstra over all cells."""
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
