"""The benchmarks as data: a table of which videos, frames and objects count, and how they are averaged.

Each row names its rule; names of sequences are with their readers. Protocols of one data set differ by points
on the same masks, so every result carries its own and is compared within it.
"""

from collections.abc import Sequence
from dataclasses import replace

from vos3d_jax.data.readers.davis import DAVIS2016_VAL, DAVIS2017_VAL
from vos3d_jax.data.readers.fbms import FBMS
from vos3d_jax.data.readers.jhmdb import JHMDB_CLASSES
from vos3d_jax.data.readers.segtrack import SEGTRACK_V2
from vos3d_jax.errors import UserError, nearest
from vos3d_jax.evaluation.runs import JUMPCUT_DISTANCES, Benchmark, Run

__all__ = ["BENCHMARKS", "DAVIS2016_STABLE", "DAVIS2016_VAL", "JUMPCUT_DISTANCES", "Benchmark", "Run", "find"]

# Over these T is averaged.
DAVIS2016_STABLE = (
    "blackswan", "camel", "car-roundabout", "car-shadow", "cows", "drift-straight", "kite-surf",
    "paragliding-launch", "scooter-black", "soapbox",
)  # fmt: skip

_JHMDB_SPLITS = (("split1", "test1"), ("split2", "test2"), ("split3", "test3"))
_SALIENCY = ("J", "F", "saliency", "pooled")

_ROWS = (
    # The 2016 toolkits in Python and Matlab, for every kind of method.
    Benchmark(
        name="davis2016",
        title="DAVIS-2016 val",
        protocol="toolkit",
        rule="all frames but the first and the last; T as in Matlab, over the stable sequences",
        dataset="davis2016",
        split="val",
        resolution="480p",
        frames="inner",
        metrics=("J", "F", "T"),
        sequences=DAVIS2016_VAL,
        length=1376,
        stable=DAVIS2016_STABLE,
    ),
    # 3DC-Seg's figures: the 2017 toolkit's unsupervised task with a patch for the 2016 list.
    Benchmark(
        name="davis2016_all_frames",
        title="DAVIS-2016 val",
        protocol="all_frames",
        rule="all frames; T as in Matlab, without the first and the last, over the stable sequences",
        dataset="davis2016",
        split="val",
        resolution="480p",
        metrics=("J", "F", "T", "saliency", "pooled"),
        sequences=DAVIS2016_VAL,
        length=1376,
        stable=DAVIS2016_STABLE,
    ),
    Benchmark(
        name="davis2017",
        title="DAVIS-2017 val, semi-supervised",
        protocol="semi_supervised",
        rule="all frames but the first and the last; objects by id, void is background",
        dataset="davis2017",
        split="val",
        resolution="480p",
        options={"task": "semi_supervised"},
        frames="inner",
        objects="given",
        first_mask=True,
        average="objects",
        sequences=DAVIS2017_VAL,
        length=1999,
        zip_root="",
    ),
    Benchmark(
        name="davis2017_unsupervised",
        title="DAVIS-2017 val, unsupervised",
        protocol="unsupervised",
        rule="all frames; each object against the proposal (of at most 20) that the best assignment gives it",
        dataset="davis2017",
        split="val",
        resolution="480p",
        options={"task": "unsupervised"},
        objects="found",
        void=True,
        average="objects",
        sequences=DAVIS2017_VAL,
        length=1999,
        zip_root="",
    ),
    # The masks of valid are not public: what is scored here is train, or a list of its videos.
    Benchmark(
        name="youtube_vos",
        title="YouTube-VOS train",
        protocol="entering_objects",
        rule="all frames that have a true mask; each object from the frame after it enters, by id; mean over "
        "the objects (the server's mean over seen and unseen categories cannot be had from public files)",
        dataset="youtube_vos",
        split="train",
        options={"complete": True},
        frames="annotated",
        objects="entering",
        first_mask=True,
        average="objects",
        number=3471,
        zip_root="Annotations",
    ),
    # sav_evaluator.py of github.com/facebookresearch/sam2, with its defaults.
    Benchmark(
        name="sa_v",
        title="SA-V val",
        protocol="sav_evaluator",
        rule="every object by itself, all frames that have a true mask but the first and the last of them, "
        "from the first in which the truth or the result has the object; mean over the objects",
        dataset="sa_v",
        split="val",
        frames="annotated_inner",
        skips_absent=True,
        number=293,
    ),
    Benchmark(
        name="fbms",
        title="FBMS-59 test",
        protocol="annotated_frames",
        rule="all frames that have a true mask, at their own size; all objects merged",
        dataset="fbms",
        split="test",
        frames="annotated",
        metrics=_SALIENCY,
        sequences=FBMS["test"],
    ),
    Benchmark(
        name="visal",
        title="ViSal",
        protocol="short_edge_480",
        rule="all frames that have a true mask, with truth and result at a short edge of 480 (3DC-Seg)",
        dataset="visal",
        split="all",
        frames="annotated",
        short_edge=480,
        metrics=_SALIENCY,
        number=17,
    ),
    Benchmark(
        name="visal_original_size",
        title="ViSal",
        protocol="annotated_frames",
        rule="all frames that have a true mask, at their own size",
        dataset="visal",
        split="all",
        frames="annotated",
        metrics=_SALIENCY,
        number=17,
    ),
    Benchmark(
        name="segtrack_v2",
        title="SegTrack v2, objects merged",
        protocol="merged",
        rule="all frames that have a true mask, all objects of a video merged; mean over frames, then over "
        "videos (Hou et al.; that videos and not frames, as in IoU of frames, weigh the same is our reading)",
        dataset="segtrack_v2",
        split="all",
        frames="annotated",
        metrics=("IoU",),
        sequences=tuple(SEGTRACK_V2),
    ),
    Benchmark(
        name="segtrack_v2_objects",
        title="SegTrack v2, objects by id",
        protocol="per_object",
        rule="all frames that have a true mask but the first, which is given; mean over the frames of each "
        "object, then over objects (RGMP; that the first frame is left out is our reading, and where objects "
        "overlap the one of the larger number counts)",
        dataset="segtrack_v2",
        split="all",
        options={"objects": True},
        frames="annotated",
        objects="given",
        first_mask=True,
        metrics=("IoU",),
        average="objects",
        sequences=tuple(SEGTRACK_V2),
    ),
    Benchmark(
        name="jhmdb",
        title="J-HMDB test",
        protocol="three_splits",
        rule="all frames of the test clips, largest region of each result; mean over the frames of a clip, "
        "then clips, then splits (IoU of frames: over frames, then splits; of pixels: all intersections over "
        "all unions, then splits; which of them Hou et al. report is not known); frame-mAP at IoU 0.5 by "
        "ACT's rule, each box listed for every action",
        dataset="jhmdb",
        split="",
        parts=_JHMDB_SPLITS,
        largest_region=True,
        metrics=("IoU", "frame_map"),
        average="groups",
        sequences=tuple(f"{part}/{label}" for part, _ in _JHMDB_SPLITS for label in JHMDB_CLASSES),
    ),
    Benchmark(
        name="jumpcut",
        title="JumpCut",
        protocol="transfers",
        rule="wrong pixels over true area, in percent, 8, 16 and 32 frames after each key frame 0, 16, ..., "
        "96 whose mask is given; mean over the key frames of a clip, then over clips (that groups of clips "
        "do not weigh the same is our reading)",
        dataset="jumpcut",
        split="all",
        frames="transfers",
        first_mask=True,
        metrics=("error",),
        number=22,
    ),
    Benchmark(
        name="folder",
        title="own videos",
        protocol="annotated_frames",
        rule="all frames that have a true mask",
        dataset="folder",
        split="all",
        resolution="480p",
        options={"strict": False},
        frames="annotated",
        void=True,
    ),
    Benchmark(
        name="folder_objects",
        title="own videos, objects by id",
        protocol="annotated_frames_entering_objects",
        rule="all frames that have a true mask but the first of them, which is given; each id that occurs is "
        "an object, from the frame after it enters; void is background",
        dataset="folder",
        split="all",
        resolution="480p",
        options={"strict": False},
        frames="annotated",
        objects="entering",
        first_mask=True,
        average="objects",
    ),
    Benchmark(
        name="moving_shapes",
        title="moving_shapes val (generated)",
        protocol="all_frames",
        rule="all frames",
        dataset="moving_shapes",
        split="val",
    ),
)

BENCHMARKS: dict[str, Benchmark] = {row.name: row for row in _ROWS}


def find(name: str, metrics: Sequence[str] | None = None, partial: bool = False) -> Benchmark:
    """Returns the benchmark of this name, of some of its metrics, or of what there are masks of only.

    Results of some metrics are those of all of them, of fewer figures; those of a part compare with none of
    the whole.

    Raises:
        UserError: there is none, or it does not measure one of the metrics.
    """
    if name not in BENCHMARKS:
        # Not the generated one: it is what configs make of it.
        names = [row.name for row in _ROWS if row.dataset != "moving_shapes"]
        mend = (near := nearest(name, names)) and f"; {near}"
        raise UserError(f"there is no benchmark {name!r}: choose one of {', '.join(names)}{mend}")
    rules = BENCHMARKS[name]
    if metrics is not None:
        unknown = [metric for metric in metrics if metric not in rules.metrics] or ["nothing"] * (not metrics)
        if unknown:
            choice = ", ".join(rules.metrics)
            raise UserError(f"{name} does not measure {unknown[0] or 'nothing'}: choose of {choice}")
        rules = replace(rules, metrics=tuple(metric for metric in rules.metrics if metric in metrics))
    if partial:
        protocol, title = f"{rules.protocol}+partial", f"{rules.title}, partial results"
        rules = replace(rules, partial=True, protocol=protocol, title=title)
    return rules
