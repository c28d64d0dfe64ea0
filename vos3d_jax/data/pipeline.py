"""From sources of videos to an endless stream of training batches, with Grain.

Element k is a function of (sources, seed, k) alone: not of the number of threads, the cache, or where an
iterator started. So a run resumes by slicing at its step, and no iterator state is ever stored.
"""

import bisect
import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import grain
import numpy as np
from jaxtyping import Shaped

from vos3d_jax.data.augmentation import prepare
from vos3d_jax.data.footage import Footage, Pair, read_pair
from vos3d_jax.data.samples import Clip, Sample
from vos3d_jax.data.video import Video, annotated
from vos3d_jax.errors import UserError

_Draw = Callable[[np.random.Generator], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Source:
    """Videos and how training samples are made from them.

    Attributes:
        videos: what samples are drawn from.
        sample: how; within a source each sample comes once an epoch.
        weight: share of this source in the mixture, relative to the other sources' weights.
        cache_megabytes: decoded and resized frames are kept in memory up to this size.
    """

    videos: Sequence[Video]
    sample: Sample = Clip()
    weight: float = 1.0
    cache_megabytes: int = 1024


def batches(
    sources: Sequence[Source],
    *,
    batch_size: int,
    clip_length: int,
    size: tuple[int, int],
    seed: int,
    start_step: int = 0,
    num_threads: int = 2,
) -> Iterator[dict[str, Shaped[np.ndarray, "b ..."]]]:
    """Returns an endless iterator over batches, beginning with batch `start_step`.

    A batch holds what the sources' samples hold, stacked: of clips {"clip": RGB uint8 [b, t, h, w, 3],
    "mask": ids uint8 [b, t, h, w]}. Sources are mixed in the exact proportion of their weights; each is
    shuffled anew every epoch.

    Args:
        sources: what to draw from.
        batch_size: samples a batch, over all devices.
        clip_length: frames a sample.
        size: (height, width) of its pictures.
        seed: two runs with the same seed get the same batches.
        start_step: number of the first batch; to resume, the step the run stands at.
        num_threads: threads that read ahead; 0 reads when asked. Does not change the batches.

    Raises:
        UserError: there is nothing to draw from; or, while iterating, a frame cannot be read, has no mask,
            or a mask of another size (the message names video and frame).
    """
    # For the process: samples are made side by side, where OpenCV's own threads only get in the way.
    cv2.setNumThreads(1)
    parts = []
    for number, source in enumerate(sources):
        samples = _Samples(source, clip_length, tuple(size))
        if not samples.count:
            raise UserError(
                f"training source {number} holds no frames{' with a mask' * source.sample.sparse}:"
                " check its folder and split"
            )
        shuffled = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        parts.append(
            grain.MapDataset.range(samples.count).shuffle(seed=shuffled).repeat(None).map(samples.at)
        )
    mixed = parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, weights=[s.weight for s in sources])
    drawn = mixed.seed(seed).random_map(lambda draw, rng: draw(rng)).batch(batch_size, drop_remainder=True)
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=4 * max(1, num_threads))
    return iter(drawn[start_step:].to_iter_dataset(options))


class _Samples:
    """The samples of one source by number, video by video; holds its cache of prepared frames."""

    def __init__(self, source: Source, clip_length: int, size: tuple[int, int]):
        self._source = source
        self._footage = [
            Footage(video, functools.partial(self._read, number), clip_length, size)
            for number, video in enumerate(source.videos)
        ]
        self._indices = [
            annotated(video) if source.sample.sparse else range(video.length) for video in source.videos
        ]
        self._ends = list(itertools.accumulate(map(len, self._indices)))
        self.count = self._ends[-1] if self._ends else 0
        self._cache: dict[tuple[int, int], Pair] = {}
        self._room = source.cache_megabytes * 2**20
        self._lock = threading.Lock()

    def at(self, number: int) -> _Draw:
        """Returns sample `number`, to be drawn."""
        video = bisect.bisect_right(self._ends, number)
        index = self._indices[video][number - self._ends[video]]  # counted from the video's end
        return functools.partial(self._source.sample.draw, self._footage[video], index)

    def _read(self, number: int, index: int) -> Pair:
        """Frames stay once read until the room is used up: samples are shuffled, so none is likelier next."""
        known = self._cache.get((number, index))
        if known is not None:
            return known
        sample = self._source.sample
        pair = prepare(sample.augmentation, *read_pair(self._source.videos[number], index, sample.sparse))
        cost = pair[0].nbytes + pair[1].nbytes
        with self._lock:
            if (number, index) not in self._cache and cost <= self._room:
                self._room -= cost
                self._cache[number, index] = pair
        return pair
