"""One video through one trained network, into files: what `python -m vos3d_jax.segment` does."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vos3d_jax import storage
from vos3d_jax.inference import clips
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.progress import Progress
from vos3d_jax.inference.results import Results
from vos3d_jax.media.video import open_frames


def segment(
    checkpoint: str | Path,
    input: str | Path,
    output: str | Path,
    *,
    clip_length: int = 8,
    overlap: int = 3,
    tail: str = "code",
    short_edge: int | None = 480,
    overlay: bool = True,
    soft: bool = False,
    overwrite: bool = False,
) -> Results:
    """Returns where the results are, after segmenting `input` (video, folder or array file) into `output`.

    What a user may have got wrong is found before the network is compiled: the settings first, then the
    input's first frame, the output, the checkpoint. The other arguments are those of `Predictor` and
    `Results`.

    Raises:
        UserError: see there, and `storage.load_model`.
    """
    clips.check(clip_length, overlap, tail)
    video = open_frames(input)
    results = Results(Path(output), video, overlay=overlay, soft=soft, overwrite=overwrite)
    pictures: deque[np.ndarray] = deque()  # those whose masks are not known yet

    def frames() -> Iterator[np.ndarray]:
        for picture in video.read():
            pictures.append(picture)
            yield picture

    with results, Progress(video.length, warm_up=clip_length - overlap) as progress:
        height, width = video.size
        length = f"{video.length} frames" if video.length else "frames"
        progress.say(f"{video.path}: {length} of {width}x{height}")
        predictor = Predictor(
            storage.load_model(checkpoint),
            clip_length=clip_length,
            overlap=overlap,
            tail=tail,
            short_edge=short_edge,
            announce=progress.say,
        )
        for frame in predictor.stream(frames()):
            results.write(frame, pictures.popleft())
            progress.advance()
    print(f"{progress.summary()}; masks in {results.masks}")
    for what, path in (("overlay", results.overlay), ("soft maps", results.soft)):
        if path:
            print(f"{what}: {path}")
    return results
