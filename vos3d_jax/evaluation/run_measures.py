"""What the scoring of one run leaves: the values of its frames, and sums for measures over a whole data set.

`to_bytes` and `from_bytes` keep it exactly, so that a scoring that goes on after a kill ends with the same
result.
"""

import dataclasses
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int64, UInt8, UInt16

from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.scores import Row
from vos3d_jax.media.arrays import DAMAGE
from vos3d_jax.media.encodings import Meaning

Ids = UInt8[np.ndarray, "h w"]
Map = UInt16[np.ndarray, "h w"]
Box = tuple[int, int, int, int]

MAP_LEVELS = 1 << 16
# The fields of PySODMetrics' measures, the four curves last.
SALIENCY = [entry.name for entry in dataclasses.fields(metrics.Saliency)]


@dataclass(frozen=True)
class RunMeasures:
    """What one run contributes.

    Attributes:
        rows: one a scored unit.
        truth: fingerprint (sha256) of the true masks it was scored against.
        results: fingerprint of the masks and maps.
        images: how many maps the saliency sums are of.
        saliency: sums of PySODMetrics' measures over these images, in the order of the fields of
            `metrics.Saliency`; empty if they were not measured.
        levels: how many pixels [off, on the object] have each of 65536 map values; empty if not measured.
        boxes: (frame, box of the result or None, true box) of each frame, where boxes are measured.
        pixels: sums over the frames of the intersection and the union of result and truth, where IoU is
            measured of merged objects.
        truth_meaning, result_meaning: what the values of the masks' files mean, where that was decided.
        entering: (row, frame, whether there are frames after it) of each object that enters after the first
            true mask, where such objects are scored.
    """

    rows: tuple[Row, ...]
    truth: str
    results: str
    images: int = 0
    saliency: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    levels: Int64[np.ndarray, "m 2"] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    boxes: tuple[tuple[str, Box | None, Box], ...] = ()
    pixels: tuple[int, int] = (0, 0)
    truth_meaning: Meaning | None = None
    result_meaning: Meaning | None = None
    entering: tuple[tuple[str, str, bool], ...] = ()


def to_bytes(measures: RunMeasures) -> bytes:
    """Returns the measures as the bytes of a file."""
    kept = dataclasses.asdict(measures)
    arrays = {name: kept.pop(name) for name in ("saliency", "levels")}
    data = io.BytesIO()
    np.savez_compressed(data, text=np.frombuffer(json.dumps(kept).encode(), np.uint8), **arrays)
    return data.getvalue()


def from_bytes(data: bytes) -> RunMeasures | None:
    """Returns the measures that `to_bytes` kept; None if the bytes are damaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
        kept = json.loads(arrays.pop("text").tobytes())
        kept["rows"] = tuple(Row(**row) for row in kept["rows"])
        kept["boxes"] = tuple((name, box and tuple(box), tuple(true)) for name, box, true in kept["boxes"])
        kept["pixels"] = tuple(kept["pixels"])
        kept["entering"] = tuple(map(tuple, kept["entering"]))
        for name in ("truth_meaning", "result_meaning"):
            if kept[name] is not None:
                kept[name] = Meaning(**{**kept[name], "ids": tuple(kept[name]["ids"])})
        return RunMeasures(**kept, **arrays)
    except DAMAGE:
        return None


def mean_saliency(measures: Iterable[RunMeasures]) -> metrics.Saliency | None:
    """Returns the means of PySODMetrics' measures over all images of these runs; None without images."""
    with_maps = [one for one in measures if one.images]
    if not with_maps:
        return None
    mean = sum(one.saliency for one in with_maps) / sum(one.images for one in with_maps)
    numbers, curves = mean[: len(SALIENCY) - 4], mean[len(SALIENCY) - 4 :].reshape(4, -1)
    return metrics.Saliency(**dict(zip(SALIENCY, [*map(float, numbers), *curves], strict=True)))
