"""Frames to look at: the typical and the worst of each sequence, with truth and mask laid over them."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from vos3d_jax.constants import VOID
from vos3d_jax.data.video import Video
from vos3d_jax.evaluation import benchmarks
from vos3d_jax.evaluation.benchmarks import Benchmark
from vos3d_jax.evaluation.report.figures import FRAME_METRICS, facts, shown
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
        """The same frame in another result on the same data."""
        row = next(row for row in other.rows if row.name == self.row.name)
        return replace(self, row=row, cut=_is_cut(other, row))

    @property
    def frame(self) -> str:
        """The name of the frame."""
        return self.row.frames[self.place]

    @property
    def value(self) -> float:
        """The frame's value of the metric by which frames are ranked."""
        return self.row.series[self.metric][self.place]

    @property
    def words(self) -> str:
        """All values of the frame: "J 0.512, F 0.430"."""
        metrics = (metric for metric in FRAME_METRICS if metric in self.row.series)
        return ", ".join(
            f"{metric} {shown(metric, self.row.series[metric][self.place])}" for metric in metrics
        )

    def read(self, masks_dir: str | Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Frame, truth and mask, as they are scored: objects that count as one have one id.

        Raises:
            UserError: the mask is missing or cannot be read.
        """
        index = self.video.frame_names.index(self.frame)
        truth = self.video.read_mask(index)
        if self.rules.objects == "merged" and truth is not None:
            truth = np.where(self.rules.void & (truth == VOID), truth, truth != 0).astype(np.uint8)
        return self.video.read_frame(index), truth, self.read_mask(masks_dir)

    def path(self, masks_dir: str | Path) -> Path:
        """The file of its mask, of this result or of another one."""
        return existing(Path(masks_dir) / self.folder, self.frame)

    def read_mask(self, masks_dir: str | Path) -> np.ndarray:
        """The mask alone; errors as `read`."""
        values = read_stored(self.path(masks_dir)).values
        if self.cut:
            return CUT.ids_of(values)
        values = np.where(values == VOID, np.uint8(1), values)  # black and white
        return (values != 0).astype(np.uint8) if self.rules.objects == "merged" else values


def write_pictures(
    scores: Scores, videos: Sequence[Video], masks_dir: str | Path, folder: str | Path
) -> list[Path]:
    """Writes one picture a sequence, `<folder>/<sequence>.jpg`, and returns their paths.

    Each shows two scored frames, with truth and mask side by side: the one of median score and the worst.
    Sequences whose video is not among `videos` are left out, and of hundreds (J-HMDB) all but the 60 whose
    worst frames are worst.
    """
    written = []
    ranked = _ranked(scores, videos)
    for name in sorted(ranked, key=lambda name: _badness(ranked[name][0]))[:_MOST_PICTURES]:
        scenes = ranked[name]
        chosen = {"typical": scenes[len(scenes) // 2], "worst": scenes[0]}
        rows = [_row(kind, scene, Path(masks_dir)) for kind, scene in chosen.items()]
        written.append(Path(folder) / f"{name}.jpg")
        write_jpeg(written[-1], np.concatenate(rows))
    return written


def worst_scenes(scores: Scores, videos: Sequence[Video], count: int) -> list[Scene]:
    """The worst frame of each of the `count` sequences whose worst frames are worst, worst first."""
    worst = [scenes[0] for scenes in _ranked(scores, videos).values()]
    return sorted(worst, key=_badness)[:count]


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
            if not np.isnan(value):
                scenes.setdefault(row.sequence, []).append(Scene(row, *place, index, metric, rules, cut))
    return {name: sorted(found, key=_badness) for name, found in scenes.items()}


def _is_cut(scores: Scores, row: Row) -> bool:
    return row.sequence in scores.provenance.get("masks", {}).get("results", {}).get(CUT.words, ())


def _badness(scene: Scene) -> float:
    return -scene.value if facts(scene.metric).lower else scene.value


def _row(kind: str, scene: Scene, masks_dir: Path) -> np.ndarray:
    frame, truth, mask = scene.read(masks_dir)
    row = scene.row
    metrics = (metric for metric in FRAME_METRICS if metric in row.series)
    means = ", ".join(f"{metric} {shown(metric, row.statistics(metric).mean)}" for metric in metrics)
    place = f"{row.name} {scene.frame} ({kind} {scene.metric})"
    caption = f"{place}: {scene.words}; mean of {len(row.frames)} frames: {means}"
    return side_by_side(frame, truth, mask, caption=caption)
