"""The outlines of a mask as polygons, as temporal instability T measures them.

As the DAVIS-2016 toolkits. Outlines run on the grid of pixel corners, in doubled coordinates (X = row, Y =
column, corners are even) until they are done. Where four pixels meet like on a checker board, four border
elements meet: a junction, at which the original cuts and joins pieces in an order of its own, which decides
where a polygon starts and so what simplification leaves.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from vos3d_jax.evaluation.metrics.foreground import Mask
from vos3d_jax.evaluation.metrics.simplification import simplify

_TOLERANCES = (0.1, 3.0)  # of the two passes, in doubled coordinates: the second is 1.5 pixels
_FEWEST_POINTS = 4  # a polygon repeats its first point, so three are a line


@dataclass(frozen=True)
class Outline:
    """A closed polygon: `points` [n, 2] are (row, column) of pixel corners, the last repeats the first."""

    points: Float[np.ndarray, "n 2"]
    is_hole: bool


def outlines(mask: Mask) -> list[Outline]:
    """Returns the simplified outlines of all regions and holes of a mask [h, w], in the original's order.

    Regions run along their top edge to the right, holes to the left. What is only one or two pixels, or one
    pixel wide, has none.
    """
    curves, holes = trace(mask)
    for tolerance in _TOLERANCES:
        curves = simplify(curves, tolerance)
    return [
        Outline(_oriented(curve, is_hole) / 2.0, is_hole)
        for curve, is_hole in zip(curves, holes, strict=True)
        if len(curve) >= _FEWEST_POINTS
    ]


def trace(mask: Mask) -> tuple[list[Num[np.ndarray, "_ 2"]], list[bool]]:
    """Returns (curves, which are holes): closed curves between foreground and background, corner by corner.

    Corners are (X, Y) in doubled coordinates. A curve without a junction starts at the upper corner of its
    uppermost, then leftmost vertical element and goes down first; others start at a junction.
    """
    mask = np.asarray(mask) != 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        return [], []
    top, left = int(rows[0]), int(columns[0])
    mask = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    grid = _Grid(np.pad(mask, 1))
    pieces = _pieces(grid)
    # The last curve found comes first, as the original takes the newest junction first.
    curves = [np.array(curve) for curve in [*_plain_curves(grid)[::-1], *_joined(pieces, grid.junctions)]]
    holes = [not mask.ravel()[_inside(curve, grid.width)] for curve in curves]
    return [2 * (np.stack(np.divmod(curve, grid.width), 1) + (top, left)) for curve in curves], holes


def _inside(curve: np.ndarray, width: int) -> int:
    """The number of a pixel just inside a curve: right of its uppermost, then leftmost vertical element.

    What is inside decides between region and hole: of nested curves, every second one holds background.
    """
    upper = np.minimum(curve[1:], curve[:-1])[np.abs(np.diff(curve)) == width].min()
    return int(upper) // width * (width - 1) + int(upper) % width


class _Grid:
    """The border elements between pixels that differ, each directed so that the foreground is on its left.

    Elements are numbered, vertical ones first, both kinds in row-major order; corners are row-major numbers
    of a grid `width` wide. `after` and `before` lead from element to element and end (-1) at junctions.
    """

    def __init__(self, padded: np.ndarray):
        inner, self.width = padded[1:-1], padded.shape[1] - 1
        # A vertical element has the number of its upper corner, as its row is as wide as one of corners.
        vertical = np.flatnonzero(inner[:, :-1] != inner[:, 1:])
        down = inner[:, 1:].ravel()[vertical]
        horizontal = np.flatnonzero(padded[:-1, 1:-1] != padded[1:, 1:-1])
        right = padded[:-1, 1:-1].ravel()[horizontal]
        horizontal = horizontal + horizontal // (self.width - 1)
        low = np.concatenate([vertical, horizontal])
        high = np.concatenate([vertical + self.width, horizontal + 1])
        forward = np.concatenate([down, right])
        starts, ends = np.where(forward, low, high), np.where(forward, high, low)

        corners = (padded.shape[0] - 1) * self.width
        leaving, arriving = np.empty(corners, np.int32), np.empty(corners, np.int32)
        elements = np.arange(low.size, dtype=np.int32)
        leaving[starts], arriving[ends] = elements, elements
        # Two elements leave a junction, so one of them is not found where it starts.
        self.junctions = np.unique(starts[leaving[starts] != elements])
        after, before = leaving[ends], arriving[starts]
        if self.junctions.size:
            after[np.isin(ends, self.junctions)] = -1
            before[np.isin(starts, self.junctions)] = -1
        self.after, self.before = after.tolist(), before.tolist()
        self.starts, self.ends, self.down = starts.tolist(), ends.tolist(), down.tolist()
        self.visited = bytearray(low.size)
        self.vertical_count = vertical.size
        self._vertical, self._horizontal = vertical, horizontal

    def around(self, junction: int) -> list[int]:
        """Returns the elements to the right of a junction, below, to the left and above."""
        below, above = np.searchsorted(self._vertical, (junction, junction - self.width))
        beside = np.searchsorted(self._horizontal, (junction, junction - 1)) + self.vertical_count
        return [int(beside[0]), int(below), int(beside[1]), int(above)]

    def follow(self, element: int, steps: list[int]) -> list[int]:
        """Returns the elements from this one along `steps` (`after`, `before`) to a junction or all round."""
        chain = []
        while element >= 0 and not self.visited[element]:
            self.visited[element] = 1
            chain.append(element)
            element = steps[element]
        return chain


@dataclass(frozen=True)
class _Piece:
    """A chain of elements between two junctions: its corners, and whether its end elements are vertical."""

    corners: list[int]
    vertical: tuple[bool, bool]


def _plain_curves(grid: _Grid) -> list[list[int]]:
    """The curves without junction, in the order of their first vertical elements."""
    curves = []
    for element in range(grid.vertical_count):
        if grid.visited[element]:
            continue
        starts = [grid.starts[one] for one in grid.follow(element, grid.after)]
        # Downwards first: a hole's first element is directed upwards, so its curve is reversed.
        curves.append([*starts, starts[0]] if grid.down[element] else [*starts[1::-1], *starts[:0:-1]])
    return curves


def _pieces(grid: _Grid) -> list[_Piece]:
    """The chains between junctions, in the order in which the original finds them."""
    junctions = grid.junctions.tolist()
    stack = [(junction, element) for junction in junctions for element in grid.around(junction)]
    pieces = []
    for junction, element in reversed(stack):
        if grid.visited[element]:
            continue
        onward = grid.starts[element] == junction
        chain = grid.follow(element, grid.after if onward else grid.before)
        far = grid.ends if onward else grid.starts
        corners = [junction, *(far[one] for one in chain)]
        pieces.append(_Piece(corners, (chain[0] < grid.vertical_count, chain[-1] < grid.vertical_count)))
    return pieces


def _joined(pieces: list[_Piece], junctions: np.ndarray) -> list[list[int]]:
    """The pieces joined to closed curves that pass each junction once and never go straight on there."""
    at: dict[int, list[int]] = {junction: [] for junction in junctions.tolist()}
    for number, piece in enumerate(pieces):
        for junction in {piece.corners[0], piece.corners[-1]}:
            at[junction].append(number)
    curves = []
    for first in reversed(at):
        while at[first]:
            walk: list[tuple[list[int], bool]] = []  # corners of a piece, is its last element vertical?
            place: dict[int, int] = {}  # junction -> which piece of the walk starts there
            junction = first
            while True:
                choice = at[junction]
                number = choice[0]
                if walk and _vertical_at(pieces[number], junction)[0] == walk[-1][1]:
                    number = choice[1]
                piece = pieces[number]
                corners = piece.corners if piece.corners[0] == junction else piece.corners[::-1]
                place[junction] = len(walk)
                walk.append((corners, _vertical_at(piece, junction)[1]))
                for end in {corners[0], corners[-1]}:
                    at[end].remove(number)
                junction = corners[-1]
                if junction in place:
                    loop = [part for part, _ in walk[place[junction] :]]
                    del walk[place[junction] :]
                    curves.append([junction, *(corner for part in loop for corner in part[1:])])
                    for part in loop:
                        del place[part[0]]
                    if not walk:
                        break
    return curves


def _vertical_at(piece: _Piece, junction: int) -> tuple[bool, bool]:
    """Whether the first and the last element are vertical, walking the piece from this junction."""
    return piece.vertical if piece.corners[0] == junction else piece.vertical[::-1]


def _oriented(curve: np.ndarray, is_hole: bool) -> np.ndarray:
    x, y = curve.astype(np.float32).T
    terms = (np.roll(x, -1) - x) * (np.roll(y, -1) + y)
    total = np.add.accumulate(terms, dtype=np.float32)[-1]
    return curve[::-1] if (total > 0) == is_hole else curve
