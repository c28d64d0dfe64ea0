"""What a benchmark is, and the tasks ("runs") that it sets on a video.

A run says which frames a method sees, what it is given, and which of its masks are scored, so that the
unsupervised, the semi-supervised and the JumpCut protocols are one kind of thing to everything behind. The
protocols are those of the benchmarks' own tools and papers; each row of `benchmarks` names its rule.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data.video import Video, annotated
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics import jumpcut_transfers
from vos3d_jax.media.images import resize_bilinear, short_edge_size
from vos3d_jax.media.masks import resize_mask_nearest

JUMPCUT_DISTANCES = (8, 16, 32)
MAP_METRICS = frozenset(("saliency", "pooled"))


@dataclass(frozen=True)
class Run:
    """One task for a method, and what of its answer is scored.

    Attributes:
        name: what tables call it: "bear"; of JumpCut "bear key016+8"; of J-HMDB "split1/clap/<clip>".
        folder: where its masks are: <results>/<folder>/<frame>.png. The three distances of a JumpCut key
            frame share one, "bear/key016".
        video: where frames and true masks are.
        frames: indices of the frames the method sees, in order.
        first_mask: index of the frame whose true mask the method is given; None: it gets no hint.
        scored: indices of the frames whose masks are scored; each has a true mask.
        label: the action that the clip shows (J-HMDB); None elsewhere.
        group: what means are taken over first: J-HMDB "split1", JumpCut "distance 8"; else "".
    """

    name: str
    folder: str
    video: Video
    frames: range
    first_mask: int | None
    scored: tuple[int, ...]
    label: str | None = None
    group: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with one protocol.

    Attributes:
        name: its row in `benchmarks.BENCHMARKS`.
        title: what people call it.
        protocol: the name that results carry: results with different protocols are not compared.
        rule: what the protocol scores and how it averages, in words; also what is unsure about it.
        dataset, split, resolution, options: where its videos come from (arguments of `data.datasets.load`).
        parts: (name, split) of each part where several splits make the benchmark; videos are then called
            "<part>/<video>".
        frames: which frames count: "all"; "inner", all but the first and the last; "annotated",
            those that have a true mask; "annotated_inner", the same but the first and the last of them;
            "transfers", JumpCut's end frames.
        objects: "merged", any id but 0 is the object; "given", ids must be those of the first true mask, all
            numbers up to its largest; "entering", ids must be those of the truth, which count from the frame
            after they enter; "found", ids are proposals that are assigned to the true objects.
        void: pixels of the truth with id 255 do not count; otherwise they are foreground of merged objects
            and background of others.
        first_mask: the method is given the true mask of the first frame that has one, which is not scored.
        skips_absent: frames before the object is in the truth or in the result have no value.
        largest_region: only the largest connected region of a result counts (J-HMDB).
        short_edge: frames and truth are resized to this short side before anything; None: never.
        metrics: what is measured: "J", "F", "T", "saliency", "pooled", "IoU", "error", "frame_map".
        average: what the headline figures are means over, after the frames of each.
        sequences: the names of the complete benchmark; empty where there is no certain list. With parts, the
            folders "<part>/<class>" in each of which there must be clips.
        number: how many videos are complete where the names are not certain; 0: not known.
        length: how many frames they have together (an excerpt of each is no benchmark); 0: not certain.
        stable: the sequences of which T is measured, and over which it is averaged; empty: all.
        partial: only what there are masks of is scored: no result of the benchmark.
        zip_root: the folder that holds those of the sequences in the zip file that its server takes; "":
            none; None: there is no server, or its layout is not known.
    """

    name: str
    title: str
    protocol: str
    rule: str
    dataset: str
    split: str
    resolution: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[tuple[str, str], ...] = ()
    frames: Literal["all", "inner", "annotated", "annotated_inner", "transfers"] = "all"
    objects: Literal["merged", "given", "entering", "found"] = "merged"
    void: bool = False
    first_mask: bool = False
    skips_absent: bool = False
    largest_region: bool = False
    short_edge: int | None = None
    metrics: tuple[str, ...] = ("J", "F")
    average: Literal["sequences", "objects", "groups"] = "sequences"
    sequences: tuple[str, ...] = ()
    number: int = 0
    length: int = 0
    stable: tuple[str, ...] = ()
    partial: bool = False
    zip_root: str | None = None

    @property
    def takes_maps(self) -> bool:
        """Whether some of its metrics are of soft maps."""
        return bool(MAP_METRICS & set(self.metrics))

    def metrics_of(self, video: Video) -> frozenset[str]:
        """What is measured of a video: T only where its mean counts it."""
        stable = not self.stable or video.name in self.stable
        return frozenset(self.metrics) - (frozenset() if stable else {"T"})

    def in_part(self) -> "Benchmark":
        """The benchmark of what there are masks of, whose results compare with none of the whole."""
        return replace(
            self, partial=True, protocol=f"{self.protocol}+partial", title=f"{self.title}, partial results"
        )

    def measuring(self, metrics: Sequence[str]) -> "Benchmark":
        """The benchmark with some of its metrics only; results are those of all of them, of fewer figures.

        Raises:
            UserError: it does not measure one of them, or there are none.
        """
        unknown = [metric for metric in metrics if metric not in self.metrics]
        if unknown or not metrics:
            named = (unknown[0] if unknown else "") or "nothing"
            raise UserError(f"{self.name} does not measure {named}: choose of {', '.join(self.metrics)}")
        return replace(self, metrics=tuple(metric for metric in self.metrics if metric in metrics))

    def runs(self, video: Video) -> tuple[Run, ...]:
        """The tasks that this benchmark sets on a video, whose frames and masks have the benchmark's size.

        Raises:
            UserError: the video is too short for the protocol, or has no true masks where it needs some.
        """
        if self.short_edge is not None:
            video = resized(video, self.short_edge)
        if self.frames == "transfers":
            return self._transfers(video)
        by_truth = self.frames.startswith("annotated")
        candidates: Sequence[int] = annotated(video) if by_truth else range(video.length)
        if by_truth and not candidates:
            raise UserError(
                f"{video.name} has no true masks to score against: add some, or leave the video out"
            )
        if self.frames.endswith("inner"):
            candidates = candidates[1:-1]
        first = None
        if self.first_mask:
            first = candidates[0] if by_truth else 0
            candidates = [index for index in candidates if index > first]
        if not candidates:
            raise UserError(
                f"{video.name} has {video.length} frames, of which {self.title} scores {self.rule}, so none: "
                f"give at least {3 if self.frames.endswith('inner') else 2}"
            )
        part, _, rest = video.name.partition("/")
        return (
            Run(
                name=video.name,
                folder=video.name,
                video=video,
                frames=range(first or 0, video.length),
                first_mask=first,
                scored=tuple(candidates),
                label=rest.partition("/")[0] if self.parts else None,
                group=part if self.parts else "",
            ),
        )

    def is_complete(self, videos: Iterable[Video]) -> bool:
        """Whether these videos are all of the benchmark, with all of their frames, at its own resolution."""
        by_name = {video.name: video for video in videos}
        lengths = sum(video.length for video in by_name.values())
        if self.length and lengths != self.length:
            return False
        if self.resolution.endswith("p") and (self.sequences or self.number):
            if {video.size[0] for video in by_name.values()} != {int(self.resolution.removesuffix("p"))}:
                return False
        names = set(by_name)
        if self.parts:
            names = {name.rpartition("/")[0] for name in names}
        if self.sequences:
            return names == set(self.sequences)
        return len(names) == self.number if self.number else True

    def _transfers(self, video: Video) -> tuple[Run, ...]:
        runs = [
            Run(
                name=f"{video.name} key{key:03d}+{distance}",
                folder=f"{video.name}/key{key:03d}",
                video=video,
                frames=range(key, end + 1),
                first_mask=key,
                scored=(end,),
                group=f"distance {distance}",
            )
            for distance in JUMPCUT_DISTANCES
            for key, end in jumpcut_transfers(video.length, distance)
        ]
        if not runs:
            raise UserError(
                f"{video.name} has {video.length} frames, too few for a transfer over {JUMPCUT_DISTANCES[0]}"
                ": leave the video out"
            )
        return tuple(runs)


def resized(video: Video, short_edge: int) -> Video:
    """The video with its shorter side at `short_edge`, as 3DC-Seg has it: bilinear frames, nearest masks."""
    size = short_edge_size(video.size, short_edge)
    return replace(
        video,
        read_frame=functools.partial(_resized_frame, video, size),
        read_mask=functools.partial(_resized_mask, video, size),
        size=size,
    )


def _resized_frame(video: Video, size: tuple[int, int], index: int) -> UInt8[np.ndarray, "h w 3"]:
    return resize_bilinear(video.read_frame(index), size)


def _resized_mask(video: Video, size: tuple[int, int], index: int) -> UInt8[np.ndarray, "h w"] | None:
    mask = video.read_mask(index)
    return None if mask is None else resize_mask_nearest(mask, size)
