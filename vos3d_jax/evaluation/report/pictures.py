"""Frames to look at: the typical and the worst of each sequence, with truth and mask laid over them."""

import base64
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import numpy as np
from PIL import Image

from vos3d_jax.constants import VOID
from vos3d_jax.data.video import Video
from vos3d_jax.evaluation import benchmarks
from vos3d_jax.evaluation.benchmarks import Benchmark
from vos3d_jax.evaluation.report.figures import FRAME_METRICS, facts, format_value
from vos3d_jax.evaluation.results_folder import existing
from vos3d_jax.evaluation.scores import Row, Scores
from vos3d_jax.media.encodings import CUT
from vos3d_jax.media.images import resize_bilinear, write_jpeg
from vos3d_jax.media.masks import read_stored, resize_mask_nearest
from vos3d_jax.media.overlay import overlay, side_by_side

_PANEL = 384  # the longer side of a picture in the page, in pixels
_QUALITY = 78
KINDS = ("frame", "truth", "mask")
_MOST_PICTURES = 60


@dataclass(frozen=True)
class Scene:
    """One scored frame of one row: where it is, and what it scored."""

    row: Row
    video: Video
    folder: str  # of the masks of its run
    place: int  # in row.frames
    metric: str
    rules: Benchmark
    cut: bool  # its soft mask was cut at the half

    def of(self, other: Scores) -> "Scene":
        """Returns the same frame in another result on the same data."""
        row = next(row for row in other.rows if row.name == self.row.name)
        return replace(self, row=row, cut=_is_cut(other, row))

    @property
    def frame(self) -> str:
        """Returns the name of the frame."""
        return self.row.frames[self.place]

    @property
    def badness(self) -> float:
        """Returns the value by which frames are ranked, negative where lower is better."""
        value = self.row.series[self.metric][self.place]
        return -value if facts(self.metric).lower else value

    def words(self, percent: bool = False) -> str:
        """Returns all values of the frame: "J 0.512, F 0.430"."""
        return in_words(self.row, lambda metric: self.row.series[metric][self.place], percent)

    def read(self, masks_dir: str | Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Returns frame, truth and mask as they are scored: objects that count as one have one id.

        Raises:
            UserError: the mask is missing or cannot be read.
        """
        index = self.video.frame_names.index(self.frame)
        truth = self.video.read_mask(index)
        if self.rules.objects == "merged" and truth is not None:
            truth = np.where(self.rules.void & (truth == VOID), truth, truth != 0).astype(np.uint8)
        return self.video.read_frame(index), truth, self.read_mask(masks_dir)

    def path(self, masks_dir: str | Path) -> Path:
        """Returns the file of its mask, of this result or of another one."""
        return existing(Path(masks_dir) / self.folder, self.frame)

    def read_mask(self, masks_dir: str | Path) -> np.ndarray:
        """Returns the mask alone; errors as `read`."""
        values = read_stored(self.path(masks_dir)).values
        if self.cut:
            return CUT.ids_of(values)
        values = np.where(values == VOID, np.uint8(1), values)  # black and white
        return (values != 0).astype(np.uint8) if self.rules.objects == "merged" else values


def in_words(row: Row, value: Callable[[str], float], percent: bool) -> str:
    """Returns the values of the metrics of frames that a row has: "J 0.512, F 0.430"."""
    metrics = (metric for metric in FRAME_METRICS if metric in row.series)
    return ", ".join(f"{metric} {format_value(metric, value(metric), percent)}" for metric in metrics)


def write_pictures(
    scores: Scores,
    videos: Sequence[Video],
    masks_dir: str | Path,
    folder: str | Path,
    percent: bool = False,
) -> list[Path]:
    """Returns the paths of the pictures it writes, one a sequence, `<folder>/<sequence>.jpg`.

    Each shows two scored frames, with truth and mask side by side: the one of median score and the worst.
    Sequences whose video is not among `videos` are left out, and of hundreds (J-HMDB) all but the 60 whose
    worst frames are worst. With `percent`, their words have fractions in percent.
    """
    written = []
    ranked = _ranked(scores, videos)
    for name in sorted(ranked, key=lambda name: ranked[name][0].badness)[:_MOST_PICTURES]:
        scenes = ranked[name]
        chosen = {"typical": scenes[len(scenes) // 2], "worst": scenes[0]}
        rows = [_row(kind, scene, Path(masks_dir), percent) for kind, scene in chosen.items()]
        written.append(Path(folder) / f"{name}.jpg")
        write_jpeg(written[-1], np.concatenate(rows))
    return written


def worst_scenes(scores: Scores, videos: Sequence[Video], count: int) -> list[Scene]:
    """Returns the worst frame of each of the `count` sequences whose worst frames are worst, worst first."""
    worst = [scenes[0] for scenes in _ranked(scores, videos).values()]
    return sorted(worst, key=attrgetter("badness"))[:count]


def jpegs(
    scene: Scene, masks_dir: str | Path, others: Sequence[tuple[str, Scene, str | Path]] = ()
) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yields (what it shows, data URI, (height, width)) of the frame, with the truth, with the mask.

    Then with the masks of others, (name, the scene of it, folder of masks), under their names.
    """
    frame, truth, mask = scene.read(masks_dir)
    scale = min(1, _PANEL / max(frame.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in frame.shape[:2])
    frame = resize_bilinear(frame, size)
    theirs = [(name, one.read_mask(folder)) for name, one, folder in others]
    for name, labels in (*zip(KINDS, (None, truth, mask), strict=True), *theirs):
        if name != "frame" and labels is None:
            continue
        picture = frame if labels is None else overlay(frame, resize_mask_nearest(labels, size))
        data = io.BytesIO()
        Image.fromarray(picture).save(data, format="JPEG", quality=_QUALITY, optimize=True)
        yield name, "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode(), size


def _ranked(scores: Scores, videos: Sequence[Video]) -> dict[str, list[Scene]]:
    """The scenes of each sequence, worst first."""
    rules = benchmarks.find(scores.benchmark)
    places = {video.name: (video, video.name) for video in videos}
    if rules.frames == "transfers":
        runs = (run for video, _ in places.values() for run in rules.runs(video))
        places = {run.name: (run.video, run.folder) for run in runs}
    scenes: dict[str, list[Scene]] = {}
    for row in scores.rows:
        place = places.get(row.name) or places.get(row.sequence)
        metric = next((metric for metric in FRAME_METRICS if metric in row.series), None)
        if place is None or metric is None:
            continue
        cut = _is_cut(scores, row)
        for index, value in enumerate(row.series[metric]):
            if not math.isnan(value):
                scenes.setdefault(row.sequence, []).append(Scene(row, *place, index, metric, rules, cut))
    return {name: sorted(frames, key=attrgetter("badness")) for name, frames in scenes.items()}


def _is_cut(scores: Scores, row: Row) -> bool:
    return row.sequence in scores.provenance.get("masks", {}).get("results", {}).get(CUT.words, ())


def _row(kind: str, scene: Scene, masks_dir: Path, percent: bool) -> np.ndarray:
    frame, truth, mask = scene.read(masks_dir)
    row = scene.row
    means = in_words(row, lambda metric: row.statistics(metric).mean, percent)
    place = f"{row.name} {scene.frame} ({kind} {scene.metric})"
    caption = f"{place}: {scene.words(percent)}; mean of {len(row.frames)} frames: {means}"
    return side_by_side(frame, truth, mask, caption=caption)
