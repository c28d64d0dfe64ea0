"""What the scoring of one run leaves: the values of its frames, and sums for measures over a whole data set.

`to_bytes` and `from_bytes` keep a part exactly, so that a scoring that goes on after a kill ends with the
same result.
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

_MEANINGS = ("truth_meaning", "result_meaning")

Ids = UInt8[np.ndarray, "h w"]
Map = UInt16[np.ndarray, "h w"]
Box = tuple[int, int, int, int]

MAP_LEVELS = 1 << 16
# The fields of PySODMetrics' measures, the four curves last.
SALIENCY = [entry.name for entry in dataclasses.fields(metrics.Saliency)]


@dataclass(frozen=True)
class Part:
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


def to_bytes(part: Part) -> bytes:
    """A part as the bytes of a file."""
    kept = {
        "rows": [dataclasses.asdict(row) for row in part.rows],
        "boxes": part.boxes,
        **{name: getattr(part, name) for name in ("truth", "results", "images", "pixels", "entering")},
        **{name: (found := getattr(part, name)) and dataclasses.asdict(found) for name in _MEANINGS},
    }
    data = io.BytesIO()
    text = np.frombuffer(json.dumps(kept).encode(), np.uint8)
    np.savez_compressed(data, text=text, saliency=part.saliency, levels=part.levels)
    return data.getvalue()


def from_bytes(data: bytes) -> Part | None:
    """The part that `to_bytes` kept; None if the bytes are damaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
        kept = json.loads(arrays.pop("text").tobytes())
        rows = tuple(
            Row(
                **{name: row[name] for name in ("name", "sequence", "group")},
                size=tuple(row["size"]),
                frames=tuple(row["frames"]),
                series={metric: tuple(values) for metric, values in row["series"].items()},
                defects=tuple(row["defects"]),
            )
            for row in kept.pop("rows")
        )
        boxes = tuple((name, found and tuple(found), tuple(true)) for name, found, true in kept.pop("boxes"))
        pixels = tuple(kept.pop("pixels"))
        entering = tuple(map(tuple, kept.pop("entering")))
        meanings = {name: _meaning(kept.pop(name)) for name in _MEANINGS}
        return Part(rows=rows, boxes=boxes, pixels=pixels, entering=entering, **meanings, **kept, **arrays)
    except DAMAGE:
        return None


def _meaning(kept: dict | None) -> Meaning | None:
    return kept and Meaning(kept["rule"], tuple(kept["ids"]), kept["void"])


def mean_saliency(parts: Iterable[Part]) -> metrics.Saliency | None:
    """The means of PySODMetrics' measures over all images of these parts; None without images."""
    measured = [part for part in parts if part.images]
    if not measured:
        return None
    mean = sum(part.saliency for part in measured) / sum(part.images for part in measured)
    numbers, curves = mean[: len(SALIENCY) - 4], mean[len(SALIENCY) - 4 :].reshape(4, -1)
    return metrics.Saliency(**dict(zip(SALIENCY, [*map(float, numbers), *curves], strict=True)))
