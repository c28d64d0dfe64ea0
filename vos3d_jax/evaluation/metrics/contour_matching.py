"""Which samples of one contour belong to which of another, and what that costs.

Facts: specs/spec-metrics.md section 6.6. The original runs Dijkstra over all pairs; all steps into a cell
cost the same, so a dynamic programme finds the same path wherever the cheapest one is unique. A cell that
costs more to reach than some path costs as a whole is on no cheapest path: of two similar contours, most
cells are such, and their costs are never computed.
"""

import itertools
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

_FAR = 2**62  # more than any path costs
_BLOCK = 16  # rows whose costs are computed together
_STRIDE = 6  # of the rows and columns that give a first idea of the path
_MARGIN = 8  # columns computed beyond those that the block will reach by diagonal steps


@runtime_checkable
class Costs(Protocol):
    """Whole non-negative costs of a matrix of pairs, computed where needed."""

    shape: tuple[int, int]

    def block(self, row: int, end_row: int, column: int, end_column: int) -> Int[np.ndarray, "n m"]:
        """The costs of a rectangle."""

    def cells(self, rows: Int[np.ndarray, " k"], columns: Int[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
        """The costs of single pairs."""

    def thinned(self, stride: int) -> "Costs":
        """The costs of every `stride`-th row and column."""

    def rolled(self, row: int, column: int) -> "Costs":
        """The same costs, beginning with this row and column."""


def matched_cost(costs: Costs) -> float:
    """The mean cost of the pairs of a one-to-one matching that keeps the contours' circular order."""
    rows, columns = cheapest_path(costs)
    best = int(np.argmin(costs.cells(rows[:-1], columns[:-1])))  # from the end on; the first cell is free
    rolled = costs.rolled(int(rows[best]) + 1, int(columns[best]) + 1)
    rows, columns = cheapest_path(rolled)
    found = rolled.cells(rows, columns)
    kept = _cheapest_of_each(rows, found)
    kept = kept[_cheapest_of_each(columns[kept], found[kept])]
    return float(found[kept].mean())


def cheapest_path(costs: Costs) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """(rows, columns) of the cheapest monotone path from the last cell back to the first.

    A step goes to the next row, the next column, or both, and costs the cell it enters; of equally cheap
    ways the diagonal one is taken, then the one along the row.
    """
    totals = _totals(costs, _bound(costs))
    cells = memoryview(totals)
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    rows, columns = [row], [column]
    while row and column:
        both, beside, above = cells[row - 1, column - 1], cells[row, column - 1], cells[row - 1, column]
        if both <= beside and both <= above:
            row, column = row - 1, column - 1
        elif beside <= above:
            column -= 1
        else:
            row -= 1
        rows.append(row)
        columns.append(column)
    rows += [0] * column or range(row - 1, -1, -1)
    columns += [0] * row or range(column - 1, -1, -1)
    return np.array(rows), np.array(columns)


def _bound(costs: Costs) -> int:
    """The cost of a good path, which the cheapest one cannot exceed.

    It is the cheapest path through every sixth row and column, with straight lines between its cells.
    """
    corners = [(0, 0), (costs.shape[0] - 1, costs.shape[1] - 1)]
    if min(costs.shape) > 8 * _STRIDE:
        rows, columns = cheapest_path(costs.thinned(_STRIDE))
        corners[1:1] = (_STRIDE * np.stack([rows, columns], 1)[-2::-1]).tolist()
    rows, columns = [], []
    for (row, column), (next_row, next_column) in itertools.pairwise(corners):
        steps = max(next_row - row, next_column - column)
        rows += [row + step * (next_row - row) // steps for step in range(1, steps + 1)]
        columns += [column + step * (next_column - column) // steps for step in range(1, steps + 1)]
    cost = int(costs.cells(np.array(rows, int), np.array(columns, int)).sum())
    return cost + len(rows)  # a cell alone may be rounded otherwise than in a block


def _totals(costs: Costs, bound: int) -> np.ndarray:
    """What the cheapest path to each cell costs, exact where at most `bound`; the first cell is free."""
    height, width = costs.shape
    padded = np.full((height + 1, width + 1), _FAR)  # a row above, a column to the left
    totals = padded[1:, 1:]
    padded[0, 0] = -costs.block(0, 1, 0, 1)[0, 0]
    first, last = 0, 0  # columns of the row above between which all are that can be on the path
    for row in range(0, height, _BLOCK):
        end_row = min(row + _BLOCK, height)
        margin = _MARGIN
        while True:
            end = min(last + end_row - row + margin, width)
            _fill(padded[row : end_row + 1, first : end + 1], costs.block(row, end_row, first, end))
            # A path that leaves the window to the right passes its last column.
            if end == width or (totals[row:end_row, end - 1] > bound).all():
                break
            margin *= 4
        reached = np.flatnonzero(totals[end_row - 1, first:end] <= bound)
        first, last = first + int(reached[0]), first + int(reached[-1])
    return totals


def _fill(padded: np.ndarray, block: np.ndarray) -> None:
    """The totals of a block of costs, given those of the row above and the column to the left.

    Within a row, the path comes from above at some column and goes right from there: with running sums S of
    the row's costs, that is S[j] + the least of (cost from above at k) - S[k-1] over all k <= j. Nothing
    comes from the left, as the block begins where all that is left of it is too far.
    """
    sums = np.cumsum(block, axis=1)
    before = sums - block
    rows = padded[:-1, 1:], padded[:-1, :-1], padded[1:, 1:], sums, before
    for above, both, current, up_to, up_before in zip(*rows, strict=True):
        np.minimum(above, both, out=current)
        np.subtract(current, up_before, out=current)
        np.minimum.accumulate(current, out=current)
        np.add(current, up_to, out=current)


def _cheapest_of_each(keys: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """In their order, the positions of the cheapest entry of each key, the first of equal ones."""
    order = np.lexsort((costs, keys))
    first = np.diff(keys[order], prepend=-1) > 0
    return np.sort(order[first])
