"""Which samples of one contour belong to which of another, and what that costs.

The DAVIS-2016 toolkits run Dijkstra over all pairs; all steps into a cell cost the same, so a dynamic
programme finds the same path wherever the cheapest one is unique.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import as_strided

_FAR = 2.0**62  # more than any path costs


def matched_cost(costs: Float[np.ndarray, "n m"]) -> float:
    """Returns the mean cost of the pairs of a one-to-one matching that keeps the contours' circular order."""
    rows, columns = cheapest_path(costs)
    best = np.argmin(costs[rows[:-1], columns[:-1]])  # from the end on; the first cell is free
    costs = np.roll(costs, (-1 - rows[best], -1 - columns[best]), (0, 1))
    rows, columns = cheapest_path(costs)
    lowest = costs[rows, columns]
    kept = _cheapest_of_each(rows, lowest)
    kept = kept[_cheapest_of_each(columns[kept], lowest[kept])]
    return float(lowest[kept].mean())


def cheapest_path(costs: Float[np.ndarray, "n m"]) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Returns (rows, columns) of the cheapest monotone path from the last cell back to the first.

    A step goes to the next row, the next column, or both, and costs the cell it enters, the first cell is
    free; of equally cheap ways the diagonal one is taken, then the one along the row. Whole costs whose sums
    stay below 2^53 are added exactly.
    """
    cells = memoryview(_totals(costs))
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    rows, columns = [row], [column]
    while row and column:
        here = row + column
        both, beside, above = cells[here - 2, row], cells[here - 1, row + 1], cells[here - 1, row]
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


def _totals(costs: np.ndarray) -> np.ndarray:
    """What the cheapest path to each cell costs, at [row + column, row + 1].

    The cells of an anti-diagonal do not depend on each other.
    """
    height, width = costs.shape
    costs = np.ascontiguousarray(costs)
    number = np.arange(height + width - 1)
    first, end = np.maximum(number - width + 1, 0), np.minimum(number + 1, height)  # rows of each
    diagonals = as_strided(costs, (number.size, height), (costs.itemsize, (width - 1) * costs.itemsize))
    totals = np.empty((number.size + 1, height + 2))  # one before the first, that the second may look at
    totals[0] = totals[:, 0] = _FAR  # above the first row
    totals[number[:height] + 1, number[:height] + 2] = _FAR  # left of the first column
    totals[1, 1] = 0
    for both, before, here, cost, top, low in zip(
        totals, totals[1:], totals[2:], diagonals[1:], first[1:].tolist(), end[1:].tolist(), strict=False
    ):
        here = here[top + 1 : low + 1]
        np.minimum(before[top:low], before[top + 1 : low + 1], out=here)
        np.minimum(here, both[top:low], out=here)
        np.add(here, cost[top:low], out=here)
    return totals[1:]


def _cheapest_of_each(keys: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """In their order, the positions of the cheapest entry of each key, the first of equal ones."""
    order = np.lexsort((costs, keys))
    first = np.diff(keys[order], prepend=-1) > 0
    return np.sort(order[first])
