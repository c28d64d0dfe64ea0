"""What a benchmark is, and the tasks ("runs") that it sets on a video.

A run says which frames a method sees, what it is given, and which of its masks are scored, so that the
unsupervised, the semi-supervised and the JumpCut protocols are one kind of thing to everything behind. The
protocols are those of the benchmarks' own tools and papers; each row of `benchmarks` names its rule.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.constants import VOID
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
        frames: indices of the frames the method sees, in order, from the first that is given on.
        given: indices of the frames whose true masks the method gets; (): it gets no hint.
        scored: indices of the frames whose masks are scored; each has a true mask.
        group: what means are taken over first: J-HMDB "split1", JumpCut "distance 8"; else "".
        entering: objects that enter later are given, too, each in the first scored frame that has it.
    """

    name: str
    folder: str
    video: Video
    frames: range
    given: tuple[int, ...]
    scored: tuple[int, ...]
    group: str = ""
    entering: bool = False

    def given_masks(self) -> dict[int, UInt8[np.ndarray, "h w"]]:
        """Returns what a method is given, ids by frame; of an object that enters later only itself.

        Raises:
            UserError: a frame has no true mask.
        """
        masks, known = {}, {0, VOID}
        for index in (*self.given, *(self.scored if self.entering else ())):
            truth = self.video.read_mask(index)
            if truth is None:
                raise UserError(f"{self.video.name} {self.video.frame_names[index]} has no true mask: add it")
            ids = set(np.unique(truth).tolist()) - ({0, VOID} if index in self.given else known)
            if ids:
                masks[index] = np.where(np.isin(truth, list(ids)), truth, np.uint8(0))
            known |= ids
        return masks


def of_one_answer(runs: Iterable[Run]) -> list[list[Run]]:
    """Returns the runs in groups, each of one video with the same masks given, which have the same masks.

    The first of a group sees all frames that the others do.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.folder, []).append(run)
    return [sorted(group, key=lambda run: -len(run.frames)) for group in groups.values()]


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
        first_mask: a run gives the true mask of its first frame, the first that has one, and does not score
            it.
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
        """Returns what is measured of a video: T only where its mean counts it."""
        stable = not self.stable or video.name in self.stable
        return frozenset(self.metrics) - (frozenset() if stable else {"T"})

    def runs(self, video: Video) -> tuple[Run, ...]:
        """Returns the tasks that this benchmark sets on a video, which has the benchmark's size there.

        Raises:
            UserError: the video is too short for the protocol, or has no true masks where it needs some.
        """
        if self.short_edge is not None:
            video = resized(video, self.short_edge)
        if self.frames == "transfers":
            return self._transfers(video)
        by_truth = self.frames.startswith("annotated")
        frames = annotated(video) if by_truth else tuple(range(video.length))
        if not frames:
            raise UserError(
                f"{video.name} has no true masks to score against: add some, or leave the video out"
            )
        inner = self.frames.endswith("inner")
        given = frames[:1] if self.first_mask else ()
        scored = tuple(index for index in (frames[1:-1] if inner else frames) if index not in given)
        if not scored:
            raise UserError(
                f"{video.name} has {video.length} frames, of which {self.title} scores {self.rule}, so none: "
                f"give at least {3 if inner else 2}"
            )
        seen = range(given[0] if given else 0, video.length)
        group = video.name.partition("/")[0] if self.parts else ""
        entering = self.objects == "entering"
        return (Run(video.name, video.name, video, seen, given, scored, group, entering),)

    def is_complete(self, videos: Iterable[Video]) -> bool:
        """Returns whether these videos are all of the benchmark, with all frames, at its own resolution."""
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
                given=(key,),
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
    """Returns the video with its shorter side at `short_edge`, as 3DC-Seg: bilinear frames, nearest masks."""
    size = short_edge_size(video.size, short_edge)
    return replace(
        video,
        read_frame=functools.partial(_resized, video.read_frame, resize_bilinear, size),
        read_mask=functools.partial(_resized, video.read_mask, resize_mask_nearest, size),
        size=size,
    )


def _resized(read: Callable, resize: Callable, size: tuple[int, int], index: int) -> np.ndarray | None:
    picture = read(index)
    return None if picture is None else resize(picture, size)
