"""Several objects at once: J and F of every pair, as DAVIS-2017's two tasks score them.

As davis2017-evaluation. Label maps hold an id a pixel: 0 background, k object k; 255 in a ground truth is
void. The semi-supervised task compares equal ids and knows no void (those pixels are background); the
unsupervised task compares all proposals with all objects and leaves void out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from vos3d_jax.constants import VOID
from vos3d_jax.evaluation.metrics import bitmaps
from vos3d_jax.evaluation.metrics.contours import BoundaryCounts, boundary_radius, j_and_f_of
from vos3d_jax.evaluation.metrics.foreground import check_sizes
from vos3d_jax.evaluation.metrics.regions import intersection_over_union, region_similarity
from vos3d_jax.evaluation.metrics.series import Statistics, statistics

Labels = UInt8[np.ndarray, "h w"]

MOST_PROPOSALS = 20  # of the unsupervised task, a sequence


@dataclass(frozen=True)
class ObjectScores:
    """One object of a sequence: which proposal it got (its own id where ids must agree), and its values."""

    object_id: int
    proposal_id: int
    j_frames: tuple[float, ...]
    f_frames: tuple[float, ...]

    @property
    def j(self) -> Statistics:
        """Mean, recall and decay of J."""
        return statistics(self.j_frames)

    @property
    def f(self) -> Statistics:
        """Mean, recall and decay of F."""
        return statistics(self.f_frames)


def object_count(first_truth: Labels) -> int:
    """Returns how many objects a sequence has: the largest id of its first true mask, without void.

    Ids left out below it count as objects that are empty everywhere; larger ids that come later are ignored.
    """
    return int(np.where(first_truth == VOID, 0, first_truth).max(initial=0))


def semi_supervised(
    frames: Iterable[tuple[Labels, Labels]], objects: int, name: str = "the result"
) -> list[ObjectScores]:
    """Returns the scores of objects 1..`objects`, each against the result's object of the same id.

    Args:
        frames: (result, truth) of the frames that count, without the sequence's first and last.
        objects: how many there are (`object_count` of the first true mask).
        name: of the sequence, for the message.

    Raises:
        ValueError: the result has a larger id than there are objects; the sizes differ.
    """
    values = []
    for result, truth in frames:
        _check_ids(result, objects, name)
        values.append(_same_ids(result, truth, range(1, objects + 1)))
    j, f = np.moveaxis(np.array(values, np.float64).reshape(-1, objects, 2), 2, 0)
    return [_scores(k + 1, k + 1, j[:, k], f[:, k]) for k in range(objects)]


def object_ious(
    frames: Iterable[tuple[Labels, Labels]], objects: int, name: str = "the result"
) -> list[list[float]]:
    """Returns IoU of objects 1..`objects` (equal ids), one list of frames each: RGMP on SegTrack v2.

    Arguments and errors as `semi_supervised`.
    """
    ious: list[list[float]] = [[] for _ in range(objects)]
    for result, truth in frames:
        _check_ids(result, objects, name)
        for label, values in enumerate(ious, 1):
            values.append(region_similarity(result == label, truth == label))
    return ious


def entering(
    frames: Iterable[tuple[Labels, Labels]], first: Labels, name: str = "the result"
) -> list[ObjectScores]:
    """Returns the scores of all true ids, each against the result's equal id, from the frame after it enters.

    An object that enters in the last frame has no values. Ids may leave gaps. As `semi_supervised`, void is
    background.

    Args:
        frames: (result, truth) of the frames that count, in order.
        first: the true mask before them, which is given.
        name: of the sequence, for the message.

    Raises:
        ValueError: the result has an id that is never one of the truth; the sizes differ.
    """
    values: dict[int, list[tuple[float, float]]] = {label: [] for label in _other_ids(first, [VOID])}
    strange: set[int] = set()
    for result, truth in frames:
        for label, pair in zip(values, _same_ids(result, truth, values), strict=True):
            values[label].append(pair)
        strange |= _other_ids(result, values)
        values |= {label: [] for label in _other_ids(truth, [*values, VOID])}
    if strange - set(values):
        label, labels = min(strange - set(values)), ", ".join(map(str, sorted(values)))
        raise ValueError(f"{name} has the object id {label} but those of the true masks are {labels}")
    tables = {label: np.reshape(values[label], (-1, 2)) for label in sorted(values)}
    return [_scores(label, label, table[:, 0], table[:, 1]) for label, table in tables.items()]


def unsupervised(
    frames: Iterable[tuple[Labels, Labels]],
    objects: int,
    name: str = "the result",
    *,
    official_order: bool = False,
) -> list[ObjectScores]:
    """Returns the scores of objects 1..`objects`, each against its proposal by the best assignment.

    Args:
        frames: (result, truth) of all frames; up to 20 proposals. Void is left out of both.
        objects: how many there are (`object_count` of the first true mask).
        name: of the sequence, for the message.
        official_order: list the objects in the order of their proposals, which the official tool then
            takes for the order of the objects; otherwise in their own order. Means are the same.

    Raises:
        ValueError: the result has more than 20 proposals; the sizes differ.
    """
    js, fs = [], []
    proposals, rows = objects, max(MOST_PROPOSALS, objects)
    for result, truth in frames:
        _check_ids(result, MOST_PROPOSALS, name)
        j, f = pair_scores(result, truth, rows, objects, void=truth == VOID)
        js.append(j)
        fs.append(f)
        proposals = max(proposals, int(result.max(initial=0)))
    # An empty proposal agrees where an object is absent, so no more of them may compete than officially.
    j, f = (_stacked(tables, (rows, objects))[:, :proposals] for tables in (js, fs))
    pairs = assign((j.mean(0) + f.mean(0)) / 2)
    if not official_order:
        pairs = sorted(pairs, key=lambda pair: pair[1])
    return [_scores(k + 1, p + 1, j[:, p, k], f[:, p, k]) for p, k in pairs]


def assign(scores: Float[np.ndarray, "proposals objects"]) -> list[tuple[int, int]]:
    """Returns (proposal, object) pairs of the one-to-one assignment with the largest sum, by proposal."""
    from scipy.optimize import linear_sum_assignment  # takes 0.4 s to import, for this task only

    return [(int(p), int(k)) for p, k in zip(*linear_sum_assignment(-scores), strict=True)]


def pair_scores(
    result: Labels,
    truth: Labels,
    proposals: int,
    objects: int,
    void: np.ndarray | None = None,
) -> tuple[Float[np.ndarray, "proposals objects"], Float[np.ndarray, "proposals objects"]]:
    """Returns (J, F) of every proposal 1..`proposals` and object 1..`objects` of one frame.

    Boundary maps and their surroundings are made once a mask, not once a pair.

    Args:
        result: ids of the result [h, w].
        truth: ids of the truth [h, w].
        proposals: how many rows; those that the result does not have are empty masks.
        objects: how many columns.
        void: pixels that do not count, bool [h, w], or None.

    Raises:
        ValueError: the sizes differ.
    """
    check_sizes(result, truth, void)
    j, f = np.empty((proposals, objects)), np.empty((proposals, objects))
    radius = boundary_radius(*result.shape)
    crop = bitmaps.window(bitmaps.pack([result, truth], radius), radius)
    sides = [_Masks(ids, count, void, radius, crop) for ids, count in ((result, proposals), (truth, objects))]
    for p in range(proposals):
        for k in range(objects):
            j[p, k], f[p, k] = sides[0].compare(p, sides[1], k)
    return j, f


class _Masks:
    """The masks of one label map: their bits, boundaries and what is near these, areas and lengths.

    All is kept for the crop that holds every mask of both maps, but computed in the window around each mask.
    """

    def __init__(self, ids: np.ndarray, count: int, void: np.ndarray | None, radius: int, crop: tuple):
        rows, words = crop
        place = rows, bitmaps.columns(words)
        self.radius = radius
        # At least one, so that there are arrays; ids that the map does not have are empty masks.
        self.count = max(min(int(ids[place].max(initial=0)), count), 1)
        labels = range(1, self.count + 1)
        self.bits = bitmaps.pack([ids[place] == label for label in labels], radius)
        if void is not None:
            self.bits &= ~bitmaps.pack([void[place]], radius)
        self.edges, self.near = np.zeros_like(self.bits), np.zeros_like(self.bits)
        self.windows = [bitmaps.window(self.bits[k : k + 1], radius) for k in range(self.count)]
        self.areas, self.lengths = [0] * self.count, [0] * self.count
        for k, window in enumerate(self.windows):
            mask = np.ascontiguousarray(self.bits[k : k + 1, *window])
            edges = bitmaps.edges(mask, words.start + window[1].start, ids.shape[1])
            self.edges[k, *window] = edges[0]
            self.areas[k], self.lengths[k] = int(bitmaps.count(mask)[0]), int(bitmaps.count(edges)[0])
            around = bitmaps.grown(window, radius)
            near = bitmaps.dilate(np.ascontiguousarray(self.edges[k : k + 1, *around]), radius)
            self.near[k, *around] = near[0]

    def compare(self, mine: int, other: "_Masks", its: int) -> tuple[float, float]:
        """Returns (J, F) of a mask of this map and one of the other; beyond the largest id they are empty."""
        (area, length), (its_area, its_length) = self._size(mine), other._size(its)
        intersection = matched = its_matched = 0
        if area and its_area:
            window, its_window = self.windows[mine], other.windows[its]
            intersection = int(bitmaps.count(self.bits[mine, *window] & other.bits[its, *window]))
            matched = int(bitmaps.count(self.edges[mine, *window] & other.near[its, *window]))
            its_matched = int(bitmaps.count(other.edges[its, *its_window] & self.near[mine, *its_window]))
        counts = BoundaryCounts(self.radius, length, its_length, matched, its_matched)
        return intersection_over_union(intersection, area + its_area - intersection), counts.f

    def _size(self, k: int) -> tuple[int, int]:
        """(area, length of the boundary) of a mask."""
        return (self.areas[k], self.lengths[k]) if k < self.count else (0, 0)


def _check_ids(result: np.ndarray, allowed: int, name: str) -> None:
    largest = int(result.max(initial=0))
    if largest > allowed:
        hint = " (255 is no object: write object ids, or use > 0 for one object)" if largest == VOID else ""
        raise ValueError(f"{name} has the object id {largest} but {allowed} is the largest allowed{hint}")


def _same_ids(result: Labels, truth: Labels, labels: Iterable[int]) -> list[tuple[float, float]]:
    """(J, F) of the masks of each of these ids in one frame, in the window around all ids."""
    check_sizes(result, truth)
    radius, width = boundary_radius(*result.shape), result.shape[1]
    rows, words = bitmaps.window(bitmaps.pack([result, truth], radius), radius)
    crops = [ids[rows, bitmaps.columns(words)] for ids in (result, truth)]
    pairs = (bitmaps.pack([ids == k for ids in crops], radius) for k in labels)
    return [j_and_f_of(pair, width, radius, words.start) for pair in pairs]


def _other_ids(labels: Labels, known: Iterable[int]) -> set[int]:
    """The ids of a map beside those that are known."""
    table = np.ones(256, np.uint8)
    table[[0, *known]] = 0
    others = table[labels] != 0
    return set(np.unique(labels[others]).tolist()) if others.any() else set()


def _stacked(tables: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(tables) if tables else np.empty((0, *shape))


def _scores(object_id: int, proposal_id: int, j: np.ndarray, f: np.ndarray) -> ObjectScores:
    return ObjectScores(object_id, proposal_id, tuple(j.tolist()), tuple(f.tolist()))
