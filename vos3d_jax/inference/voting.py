"""The mean of the votes of overlapping clips, as 3DC-Seg's released inference takes it.

Probabilities, not logits, are averaged over the votes of a frame, in float32. At most `clip_length` frames
are held, whatever the length of the video.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from vos3d_jax.errors import UserError
from vos3d_jax.inference.clips import ClipFrames, ClipSchedule
from vos3d_jax.inference.clipwise import ClipWise
from vos3d_jax.inference.compiled import CompiledNetwork
from vos3d_jax.inference.frame import GivenFrame
from vos3d_jax.inference.sizes import Fit
from vos3d_jax.media.reading import MOST_PIXELS


@dataclass
class _PendingFrame:
    """A frame as the network sees it, and the sum of the votes it has had."""

    index: int
    pixels: UInt8[np.ndarray, "h w 3"]
    total: Float32[np.ndarray, "h w classes"] | float = 0.0
    votes: int = 0


def mean_probabilities(
    settings: ClipWise, network: CompiledNetwork, frames: Iterator[GivenFrame]
) -> Iterator[tuple[int, Float32[np.ndarray, "h w classes"], Fit]]:
    """Yields (index, mean probability of each class, fit) for each frame once no later clip can vote for it.

    With the published cut that is 3 to 7 frames after it came. The means are at the network's size, without
    padding.

    Raises:
        UserError: frames of that size would be too large; see `CompiledNetwork.probabilities`.
    """
    schedule = ClipSchedule(settings.clip_length, settings.overlap, settings.tail)
    window: dict[int, _PendingFrame] = {}  # by their place in the schedule, which begins at 0
    fit = None

    def vote(clip: ClipFrames) -> None:
        pending = [window[place] for place in clip.frames]
        pixels = np.stack([one.pixels for one in pending])
        probabilities = network.probabilities(pixels, [one.index for one in pending], fit)
        for one, votes, probability in zip(pending, clip.votes, probabilities, strict=True):
            if votes:
                one.total += probability
                one.votes += 1

    def emit(final: int) -> Iterator[tuple[int, np.ndarray, Fit]]:
        for place in [place for place in window if place < final]:
            done = window.pop(place)
            yield done.index, fit.crop(done.total / np.float32(done.votes)), fit

    for place, frame in enumerate(frames):
        fit = fit or _fit(settings, network, frame.pixels.shape[:2])
        window[place] = _PendingFrame(frame.index, fit.to_network(frame.pixels))
        if clip := schedule.arrive():
            vote(clip)
            yield from emit(schedule.final)
    for clip in schedule.finish():
        vote(clip)
        yield from emit(schedule.final)
    yield from emit(schedule.arrived)


def _fit(settings: ClipWise, network: CompiledNetwork, size: tuple[int, int]) -> Fit:
    edge = settings.short_edge
    if not edge and 0 < network.trained_edge < min(size):
        edge = network.trained_edge
        network.announce(
            f"frames of {size[1]}x{size[0]} enter the network with a shorter side of {edge} pixels, for "
            "which it was trained; give short_edge to choose another (0: theirs)"
        )
    fit = Fit(size, edge or None)
    height, width = fit.resized
    if height * width > MOST_PIXELS:  # before a frame is resized: the memory is estimated later
        raise UserError(
            f"short_edge {edge} makes frames of {width}x{height}, more than {MOST_PIXELS} pixels: give a "
            "smaller one"
        )
    return fit
