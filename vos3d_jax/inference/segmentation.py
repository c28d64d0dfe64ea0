"""One video through one trained network, into files: what `python -m vos3d_jax.segment` does."""

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from vos3d_jax import models, runtime, storage
from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.progress import Progress
from vos3d_jax.inference.results import Results
from vos3d_jax.inference.settings import Settings
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.reading import Picture

# Holes in the heap would add up to tens of MB over thousands of frames. Giving them back takes 3 ms, less
# than 1 % of what even a tiny network needs for so many frames (figures: docs/inference.md).
_FRAMES_BETWEEN_RELEASES = 200


def segment(
    checkpoint: str | Path,
    input: str | Path,
    output: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    dense: bool = False,
    overlay: bool = True,
    soft: bool = False,
    overwrite: bool = False,
    step: storage.Step = None,
    bad_frames: str = "repeat",
) -> Results:
    """Returns where the results are, after segmenting `input` (video, folder or array file) into `output`.

    What a user may have got wrong is found before the network is compiled.

    Args:
        checkpoint: a training workdir or a ported folder.
        input: see `media.frames.open_frames`.
        output: see `Results`, also for `overlay`, `soft` and `overwrite`.
        settings: of `Settings`; they replace those of the checkpoint's card, or the published ones.
        dense: a clip starts at every frame, whatever `overlap` says.
        overlay: also write a video that shows the masks.
        soft: also write the probabilities.
        overwrite: replace results that are there already.
        step: which checkpoint, as for `storage.load_model`.
        bad_frames: what stands for frames that cannot be decoded, see `media.reading.Reading`.

    Raises:
        UserError: see there, and `storage.load_model`; a network that gives no masks.
    """
    video = open_frames(input)
    card = storage.load_card(checkpoint, step)
    system = models.network_class(card["system"], card["arguments"])
    if not system.segments:
        raise UserError(f"{checkpoint} holds a {card['system']}, which gives no masks: give a dcseg")
    values = {**card.get("inference", {}), **(settings or {})}
    if dense:
        values["overlap"] = values.get("clip_length", Settings.clip_length) - 1
    chosen = Settings().changed(values)
    results = Results(Path(output), video, overlay=overlay, soft=soft, overwrite=overwrite)
    waiting: deque[tuple[int, Picture]] = deque()  # frames whose masks are not known yet

    with results, Progress(video.length, warm_up=chosen.clip_length - chosen.overlap) as progress:
        reading = video.reading(bad_frames, progress.say)

        def frames() -> Iterator[np.ndarray]:
            for number, picture in reading:
                waiting.append((number, picture))
                yield picture.pixels

        height, width = video.size
        length = f"{video.length} frames" if video.length else "frames"
        progress.say(f"{video.path}: {length} of {width}x{height}")
        model, card = storage.load_model_and_card(checkpoint, step)
        progress.say(f"{checkpoint}: the {card['system']} of step {card['step']}")
        predictor = Predictor(model, **asdict(chosen), announce=progress.say)
        for frame in predictor.stream(frames()):
            number, picture = waiting.popleft()
            results.write(replace(frame, index=number), picture)
            progress.advance()
            if progress.done % _FRAMES_BETWEEN_RELEASES == 0:
                runtime.release_memory()
    if (summary := reading.summary()) and not reading.stopped:
        print(f"{video.path}: {summary}", file=sys.stderr)
    print(f"{progress.summary()}; masks in {results.masks}")
    for what, path in (("overlay", results.overlay), ("soft maps", results.soft)):
        if path:
            print(f"{what}: {path}")
    if reading.stopped:
        raise UserError(
            f"{reading.stopped}; the masks of the frames before are in {results.masks}: "
            "--bad_frames=repeat --overwrite does the others too"
        )
    return results
