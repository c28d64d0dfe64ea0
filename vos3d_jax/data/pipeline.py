"""From sources of videos and stills to an endless stream of training batches, with Grain.

Element k is a function of (sources, seed, k) alone: not of the number of threads, the cache, or where an
iterator started. So a run resumes by slicing at its step, and no iterator state is ever stored.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import grain
import numpy as np
from jaxtyping import UInt8

from vos3d_jax.constants import VOID
from vos3d_jax.data.augmentation import Augmentation, augment, prepare
from vos3d_jax.data.sampling import ClipSampling, locate
from vos3d_jax.data.synthesis import Synthesis, synthesise
from vos3d_jax.data.video import Video, annotated
from vos3d_jax.errors import UserError

KINDS = ("video", "still")


@dataclass(frozen=True)
class Source:
    """Videos and how training clips are made from them.

    Attributes:
        videos: what clips are drawn from; every frame is the start of a sample (unless `sparse`).
        weight: share of this source in the mixture, relative to the other sources' weights; within a
            source each sample comes once an epoch.
        sparse: frames may be without a mask: all their pixels are then void. A sample is a frame that has one
            and stands somewhere in the clip.
        kind: "video": frames chosen by `sampling`. "still": each frame is a picture of its own, from which
            `synthesis` makes a clip (after the augmentation, as the released code does).
        sampling: which frames make a clip.
        augmentation: how frames become clips of the output size.
        synthesis: how a still becomes a clip.
        cache_megabytes: decoded and resized frames are kept in memory up to this size.
    """

    videos: Sequence[Video]
    weight: float = 1.0
    sparse: bool = False
    kind: str = "video"
    sampling: ClipSampling = ClipSampling()
    augmentation: Augmentation = Augmentation()
    synthesis: Synthesis = Synthesis()
    cache_megabytes: int = 1024

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UserError(f"source kind {self.kind!r} is unknown: choose one of {', '.join(KINDS)}")


def batches(
    sources: Sequence[Source],
    *,
    batch_size: int,
    clip_length: int,
    size: tuple[int, int],
    seed: int,
    start_step: int = 0,
    num_threads: int = 2,
) -> Iterator[dict[str, UInt8[np.ndarray, "b t ..."]]]:
    """An endless iterator over batches, beginning with batch `start_step`.

    A batch is {"clip": RGB uint8 [b, t, h, w, 3], "mask": ids uint8 [b, t, h, w]}. Sources are mixed in the
    exact proportion of their weights; each is shuffled anew every epoch.

    Args:
        sources: what to draw from.
        batch_size: clips a batch, over all devices.
        clip_length: frames a clip.
        size: (height, width) of the clips.
        seed: two runs with the same seed get the same batches.
        start_step: number of the first batch; to resume, the step the run stands at.
        num_threads: threads that read ahead; 0 reads when asked. Does not change the batches.

    Raises:
        UserError: there is nothing to draw from; or, while iterating, a frame cannot be read, has no mask,
            or a mask of another size (the message names video and frame).
    """
    cv2.setNumThreads(
        1
    )  # for the process: clips are made side by side, OpenCV's own threads only get in the way
    dataset = _dataset(sources, batch_size, clip_length, tuple(size), seed)
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=4 * max(1, num_threads))
    return iter(dataset[start_step:].to_iter_dataset(options))


def read(
    video: Video, index: int, sparse: bool = False
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """One frame with its mask, checked to belong together.

    Where masks are `sparse` one that is missing is all void.

    Raises:
        UserError: one of them cannot be read, there is no mask, or their sizes differ.
    """
    name = f"{video.name} frame {video.frame_names[index]}"
    try:
        frame, mask = video.read_frame(index), video.read_mask(index)
    except (OSError, ValueError) as error:
        raise UserError(f"{name} cannot be read ({error}): mend or remove the file") from error
    if mask is None and sparse:
        return frame, np.full(frame.shape[:2], VOID, np.uint8)
    if mask is None:
        raise UserError(
            f"{name} has no mask: add it, or, where only some frames are annotated, give the data sparse=True"
        )
    if mask.shape != frame.shape[:2]:
        sizes = [f"{width}x{height}" for height, width in (mask.shape, frame.shape[:2])]
        raise UserError(
            f"{name} is {sizes[1]} but its mask is {sizes[0]}: resize the mask with nearest neighbour"
        )
    return frame, mask


def _dataset(
    sources, batch_size: int, clip_length: int, size: tuple[int, int], seed: int
) -> grain.MapDataset:
    parts = []
    for number, source in enumerate(sources):
        clips = _Clips(source, clip_length, size)
        if not clips.count:
            raise UserError(
                f"training source {number} ({source.kind}) holds no frames{' with a mask' * source.sparse}:"
                " check its folder and split"
            )
        shuffle_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        parts.append(
            grain.MapDataset.range(clips.count).shuffle(seed=shuffle_seed).repeat(None).map(_Tag(clips))
        )
    mixed = parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, weights=[s.weight for s in sources])
    return mixed.seed(seed).random_map(_Make()).batch(batch_size, drop_remainder=True)


class _Clips:
    """Makes the samples of one source; holds its cache of prepared frames."""

    def __init__(self, source: Source, clip_length: int, size: tuple[int, int]):
        self._source, self._clip_length, self._size = source, clip_length, size
        self._samples = [
            annotated(video) if source.sparse else range(video.length) for video in source.videos
        ]
        self.count = sum(map(len, self._samples))
        self._cache: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self._room = source.cache_megabytes * 2**20
        self._lock = threading.Lock()

    def make(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        source = self._source
        video, place = locate([len(samples) for samples in self._samples], index)
        frame = self._samples[video][place]
        if source.kind == "still":
            times = [frame]
        else:
            draw = source.sampling.draw_around if source.sparse else source.sampling.draw
            times = draw(source.videos[video].length, frame, self._clip_length, rng)
        frames, masks = zip(*(self._prepared(video, time) for time in times), strict=True)
        clip, mask = augment(source.augmentation, list(frames), list(masks), self._size, rng)
        if source.kind == "still":
            clip, mask = synthesise(source.synthesis, clip[0], mask[0], self._clip_length, rng)
        return {"clip": clip, "mask": mask}

    def _prepared(self, video: int, time: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames stay once read until the room is used up: samples are shuffled, so none is likelier next."""
        known = self._cache.get((video, time))
        if known is not None:
            return known
        pair = prepare(
            self._source.augmentation, *read(self._source.videos[video], time, self._source.sparse)
        )
        cost = pair[0].nbytes + pair[1].nbytes
        with self._lock:
            if (video, time) not in self._cache and cost <= self._room:
                self._room -= cost
                self._cache[video, time] = pair
        return pair


class _Tag:
    """Carries the source along with the sample's number through the mixture."""

    def __init__(self, clips: _Clips):
        self._clips = clips

    def __call__(self, index: int) -> tuple[_Clips, int]:
        return self._clips, index


class _Make(grain.transforms.RandomMap):
    def random_map(self, element: tuple[_Clips, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
        clips, index = element
        return clips.make(int(index), rng)
