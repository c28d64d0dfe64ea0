"""Frame-mAP of action detections, by the rule of ACT (Kalogeiton et al., ICCV 2017), and boxes of masks.

Boxes are (x1, y1, x2, y2) in pixels with inclusive ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Num

from vos3d_jax.evaluation.metrics.foreground import Mask

Boxes = Num[np.ndarray, "n 4"]


@dataclass(frozen=True)
class Detections:
    """The detections of one class in all frames: `frames` names the frame of each score and box."""

    frames: tuple[object, ...]
    scores: Num[np.ndarray, " n"]
    boxes: Boxes


def frame_map(
    detections: Mapping[object, Detections],
    truths: Mapping[object, Mapping[object, Boxes]],
    threshold: float = 0.5,
) -> tuple[float, dict[object, float]]:
    """Returns (frame-mAP in percent, AP 0..1 of each class). A class without detections has AP 0.

    Args:
        detections: class -> its detections.
        truths: class -> frame -> its true boxes.
        threshold: the least IoU of a right detection.

    Raises:
        ValueError: a class has detections but no true box, or there are no classes.
    """
    classes = [name for name, frames in truths.items() if sum(map(len, frames.values()))]
    for name in [*truths, *detections]:
        if name not in classes:
            raise ValueError(
                f"the class {name!r} has no true box, so its recall is not defined: leave it out"
            )
    if not classes:
        raise ValueError("there are no classes to score")
    values = {
        name: average_precision(detections[name], truths[name], threshold) if name in detections else 0.0
        for name in classes
    }
    return 100 * float(np.mean(list(values.values()))), values


def average_precision(
    detections: Detections, truths: Mapping[object, Boxes], threshold: float = 0.5
) -> float:
    """Returns AP of one class, 0..1: the trapezoid area under precision over recall, from (0, 1).

    By descending score (ties in their order), each detection takes the remaining true box of its frame that
    it overlaps most; with at least `threshold` it is right and the box is gone, else it is wrong: no second
    box is tried.
    """
    remaining = {frame: list(boxes) for frame, boxes in truths.items()}
    positives = sum(map(len, remaining.values()))
    right = np.zeros(len(detections.scores))
    for place, index in enumerate(np.argsort(-detections.scores, kind="stable")):
        boxes = remaining.get(detections.frames[index], [])
        if boxes:
            overlaps = box_iou(detections.boxes[index], np.array(boxes))
            best = int(np.argmax(overlaps))
            if overlaps[best] >= threshold:
                right[place] = 1
                del boxes[best]
    hits = np.cumsum(right)
    precision = np.append(1, hits / np.arange(1, right.size + 1)).astype(np.float32)  # ACT's arithmetic
    recall = np.append(0, hits / positives).astype(np.float32)
    return float((np.diff(recall) * (precision[1:] + precision[:-1]) * np.float32(0.5)).sum())


def box_iou(box: Num[np.ndarray, "4"], boxes: Boxes) -> Float[np.ndarray, " n"]:
    """Returns the IoU of a box with each of others; a box from x1 to x2 is x2 - x1 + 1 wide."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.maximum(high - low + 1, 0).prod(1)
    area, areas = (box[2:] - box[:2] + 1).prod(), (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)
    return common / (area + areas - common)


def mask_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """Returns the tightest box round the largest connected region of a mask; None: it is empty."""
    box, _, _ = _largest(mask)
    return box


def largest_region(mask: Mask) -> Bool[np.ndarray, "h w"]:
    """Returns the largest region (8 neighbours) of a mask, alone; of equals the first from the top."""
    _, labels, index = _largest(mask)
    return labels == index if index else np.zeros(mask.shape, bool)


def _largest(mask: Mask) -> tuple[tuple[int, int, int, int] | None, np.ndarray, int]:
    """(box, label of each pixel, label of the largest region); (None, ..., 0) for an empty mask."""
    _, labels, regions, _ = cv2.connectedComponentsWithStats((mask != 0).astype(np.uint8), connectivity=8)
    if len(regions) < 2:
        return None, labels, 0
    index = 1 + int(np.argmax(regions[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, _ = regions[index].tolist()
    return (left, top, left + width - 1, top + height - 1), labels, index
