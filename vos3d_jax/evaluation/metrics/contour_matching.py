"""Which samples of one contour belong to which of another, given what each pair costs.

Facts: specs/spec-metrics.md section 6.6. The original runs Dijkstra over all pairs; all steps into a cell
cost the same, so a dynamic programme finds the same path wherever the cheapest one is unique.
"""

import numpy as np
from jaxtyping import Float, Int

_UNIT = 2.0**-42  # costs are whole multiples of it: sums are exact, so equal paths compare as equal


def matched_cost(costs: Float[np.ndarray, "n m"]) -> float:
    """The mean cost of the pairs of a one-to-one matching that keeps the contours' circular order.

    Args:
        costs: 0..1, of matching sample i of one contour and j of the other.
    """
    units = np.rint(costs / _UNIT).astype(np.int64)
    rows, columns = cheapest_path(units)
    best = int(np.argmin(units[rows[:-1], columns[:-1]]))  # from the end on; the first cell is free
    shift = int(rows[best]) + 1, int(columns[best]) + 1
    rolled = np.roll(units, (-shift[0], -shift[1]), (0, 1))
    rows, columns = cheapest_path(rolled)
    found = rolled[rows, columns]
    kept = _cheapest_of_each(rows, found)
    kept = kept[_cheapest_of_each(columns[kept], found[kept])]
    return float(found[kept].mean() * _UNIT)


def cheapest_path(costs: Int[np.ndarray, "n m"]) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """(rows, columns) of the cheapest monotone path from the last cell back to the first.

    A step goes to the next row, the next column, or both, and costs the cell it enters; of equally cheap
    ways the diagonal one is taken, then the one along the row.
    """
    totals = _totals(costs)
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


def _totals(costs: np.ndarray) -> np.ndarray:
    """What the cheapest path to each cell costs; the first cell is free.

    Within a row, the path comes from above at some column and goes right from there: with running sums S of
    the row's costs, that is S[j] + the least of (cost from above at k) - S[k-1] over all k <= j.
    """
    sums = np.cumsum(costs, axis=1)
    before = sums - costs
    totals = np.empty_like(costs)
    totals[0] = sums[0] - costs[0, 0]
    for row in range(1, len(costs)):
        above, current = totals[row - 1], totals[row]
        current[0] = above[0]
        np.minimum(above[1:], above[:-1], out=current[1:])
        current -= before[row]
        np.minimum.accumulate(current, out=current)
        current += sums[row]
    return totals


def _cheapest_of_each(keys: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """In their order, the positions of the cheapest entry of each key, the first of equal ones."""
    order = np.lexsort((costs, keys))
    first = np.diff(keys[order], prepend=-1) > 0
    return np.sort(order[first])
