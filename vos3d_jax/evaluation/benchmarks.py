"""The benchmarks as data: which videos, which frames are scored, what the method is given, what is void.

Facts: specs/spec-metrics.md sections 0, 4 and 5. The two protocols of DAVIS-2016 differ by up to 0.14
points of J&F on the same masks, so every result carries its protocol and is compared within it only.
"""

from dataclasses import dataclass
from typing import Literal

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

# fmt: off
DAVIS2016_VAL = (
    "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout", "car-shadow", "cows", "dance-twirl",
    "dog", "drift-chicane", "drift-straight", "goat", "horsejump-high", "kite-surf", "libby",
    "motocross-jump", "paragliding-launch", "parkour", "scooter-black", "soapbox",
)
# fmt: on


@dataclass(frozen=True)
class Run:
    """One task for a method, and what of its answer is scored.

    Attributes:
        video: where frames and true masks are.
        frames: indices of the frames the method sees, in order.
        first_mask: index of the frame whose true mask is given to the method; None: it gets no hint.
        scored: indices of the frames whose masks are scored.
        label: the object that is scored; None: all objects together, against the background.
    """

    video: Video
    frames: range
    first_mask: int | None
    scored: range
    label: int | None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with one protocol.

    Attributes:
        name: its row in `BENCHMARKS`.
        title: what people call it.
        protocol: the name that results carry: results with different protocols are not compared.
        rule: what the protocol scores, in words.
        dataset, split, resolution: where its videos come from (`data.datasets.load`).
        frames: "inner" leaves out the first and the last frame of each video.
        annotated_only: frames without a true mask are left out; otherwise they are an error.
        void: pixels of the truth with id 255 do not count; otherwise they are foreground.
        sequences: the names of the complete benchmark; empty where there is no such list.
    """

    name: str
    title: str
    protocol: str
    rule: str
    dataset: str
    split: str
    resolution: str = ""
    frames: Literal["all", "inner"] = "all"
    annotated_only: bool = False
    void: bool = False
    sequences: tuple[str, ...] = ()

    def runs(self, video: Video) -> tuple[Run, ...]:
        """The tasks that this benchmark sets on a video: one, without a hint, all objects together.

        Raises:
            UserError: the video is too short for the protocol.
        """
        scored = range(1, video.length - 1) if self.frames == "inner" else range(video.length)
        if not scored:
            raise UserError(
                f"{video.name} has {video.length} frames, of which {self.title} scores {self.rule}, so none: "
                "give at least 3 frames"
            )
        return (Run(video, range(video.length), None, scored, None),)


_ROWS = (
    # The 2016 toolkits in Python and Matlab, for every kind of method.
    Benchmark(
        name="davis2016",
        title="DAVIS-2016 val",
        protocol="toolkit",
        rule="all frames but the first and the last",
        dataset="davis2016",
        split="val",
        resolution="480p",
        frames="inner",
        sequences=DAVIS2016_VAL,
    ),
    # 3DC-Seg's figures: the 2017 toolkit's unsupervised task with a patch for the 2016 list.
    Benchmark(
        name="davis2016_all_frames",
        title="DAVIS-2016 val",
        protocol="all_frames",
        rule="all frames",
        dataset="davis2016",
        split="val",
        resolution="480p",
        sequences=DAVIS2016_VAL,
    ),
    Benchmark(
        name="moving_shapes",
        title="moving_shapes val (generated)",
        protocol="all_frames",
        rule="all frames",
        dataset="moving_shapes",
        split="val",
    ),
    Benchmark(
        name="folder",
        title="own videos",
        protocol="annotated_frames",
        rule="all frames that have a true mask",
        dataset="folder",
        split="all",
        resolution="480p",
        annotated_only=True,
        void=True,
    ),
)

BENCHMARKS: dict[str, Benchmark] = {row.name: row for row in _ROWS}


def find(name: str) -> Benchmark:
    """The benchmark of this name.

    Raises:
        UserError: there is none.
    """
    if name not in BENCHMARKS:
        raise UserError(f"there is no benchmark {name!r}: choose one of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
