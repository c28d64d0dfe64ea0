"""Videos through one trained network, into files: what `python -m vos3d_jax.segment` does."""

import hashlib
import shlex
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import vos3d_jax
from vos3d_jax import cards, runtime, storage
from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.results import VideoResults
from vos3d_jax.media.frames import Frames, open_frames
from vos3d_jax.media.reading import Picture
from vos3d_jax.progress import Progress

# Holes in the heap would add up to tens of MB over thousands of frames. Giving them back takes 3 ms, at
# most 2 % of what even a tiny network needs for so many frames (figures: docs/inference.md).
_FRAMES_BETWEEN_RELEASES = 25


def segment(
    checkpoint: str | Path,
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    overlay: bool = True,
    soft: bool = False,
    overwrite: bool = False,
    step: storage.Step = None,
    bad_frames: str = "repeat",
) -> None:
    """Segments each of `inputs` (video, folder or array file) into `output`, and says what to do next.

    What a user may have got wrong is found before the network is compiled. Of several inputs one that fails
    is told and does not stop the others. A run that was killed goes on where it stopped; what is finished is
    not made again.

    Args:
        checkpoint: a training workdir or a ported folder.
        inputs: see `media.frames.open_frames`; each has a name of its own.
        output: see `VideoResults`, also for `overlay`, `soft` and `overwrite`.
        settings: of `Predictor`; they replace those of the checkpoint's card, or the published ones.
        overlay: also write a video that shows the masks.
        soft: also write the probabilities.
        overwrite: replace results that are there already.
        step: which checkpoint, as for `storage.load_model`.
        bad_frames: what stands for frames that cannot be decoded, see `media.reading.Reading`.

    Raises:
        UserError: see there, and `storage.load_model`; a network that gives no masks; some of several
            inputs failed.
    """
    videos = _opened(inputs)
    model, card = storage.load_model_and_card(checkpoint, step)
    _say(f"{checkpoint}: the {card['system']} of step {card['step']}")
    predictor = Predictor(model, **settings or {})
    key = {
        "weights": cards.digest(card),
        "step": card["step"],
        "settings": {**predictor.described(), "bad_frames": bad_frames},
        "version": vos3d_jax.__version__,
    }
    failed = len(inputs) - len(videos)
    for video in videos:
        try:
            results = VideoResults(
                Path(output),
                video,
                {"input": _fingerprint(video), **key},
                overlay=overlay,
                soft=soft,
                overwrite=overwrite,
            )
            _segment(predictor, video, results, bad_frames)
        except UserError as error:
            if len(inputs) == 1:
                raise
            _say(f"failed: {error}")
            failed += 1
        except KeyboardInterrupt:
            _say("the same command goes on from here: the masks that are done are kept")
            raise
    if failed < len(inputs):
        name = videos[0].name if len(inputs) == 1 else "<video>"
        print(
            f"next: look at the {'overlay' if overlay else 'masks'}; if you have true masks, as "
            f"DIR/{name}/*.png, score these: python -m vos3d_jax.score --benchmark=folder "
            f"--results={shlex.quote(str(output))} --data_dir=DIR --output=SCORES"
        )
    if failed:
        raise UserError(
            f"{failed} of {len(inputs)} inputs failed, as said above: mend them and give the same command "
            "again, which makes nothing twice"
        )


def _opened(inputs: Sequence[str | Path]) -> list[Frames]:
    """The inputs that can be opened; of several, those that cannot are told."""
    videos = []
    for path in inputs:
        try:
            videos.append(open_frames(path))
        except UserError as error:
            if len(inputs) == 1:
                raise
            _say(f"failed: {error}")
    if not videos:
        raise UserError("none of the inputs can be read: give others")
    taken: dict[str, Frames] = {}
    for video in videos:
        for name in (video.name, f"{video.name}.mp4", f"{video.name}.json"):
            other = taken.setdefault(name.casefold(), video)
            if other is not video:
                raise UserError(
                    f"{other.path} and {video.path} would both have results called {name}: rename one, or "
                    "give them one at a time, each with its own --output"
                )
    return videos


def _segment(predictor: Predictor, video: Frames, results: VideoResults, bad_frames: str) -> None:
    """Writes the results of one video, or says that they are there, and what was wrong with the video."""
    with results:
        height, width = video.size
        length = f"{video.length} frames" if video.length else "frames"
        _say(f"{video.path}: {length} of {width}x{height}")
        said = "segmented before, with these weights, settings and input"
        if not results.finished:
            left = video.length and video.length - results.done
            with Progress("segmenting", "frames", left, warm_up=predictor.delay) as progress:
                predictor.announce = progress.say
                if results.done:
                    progress.say(f"going on: the masks of {results.done} frames are done")
                reading = video.reading(bad_frames, progress.say)
                _write(predictor, reading, results, progress)
            said = progress.summary()
            results.record |= {"decoding": reading.summary(), "stopped": reading.stopped}
    decoding, stopped = results.record.get("decoding"), results.record.get("stopped")
    if decoding and not stopped:
        _say(f"{video.path}: {decoding}")
    print(f"{said}; masks in {results.masks}")
    for what, path in (("overlay", results.overlay), ("soft maps", results.soft)):
        if path:
            print(f"{what}: {path}")
    if results.record.get("frames with objects") == 0:
        _say(f"{video.path}: no object was found in any frame: the masks are empty")
    if stopped:
        raise UserError(
            f"{stopped}; the masks of the frames before are in {results.masks}: "
            "--bad_frames=repeat --overwrite does the others too"
        )


def _write(
    predictor: Predictor, reading: Iterable[tuple[int, Picture]], results: VideoResults, progress: Progress
) -> None:
    """Writes what is not done yet, and shows in the overlay what is."""
    start = predictor.restart(results.done)
    waiting: deque[tuple[int, Picture]] = deque()  # frames whose masks are not known yet

    def frames() -> Iterator[np.ndarray]:
        for place, (number, picture) in enumerate(reading):
            if place < results.done:
                results.show(number, picture)
            if place >= start:
                waiting.append((number, picture))
                yield picture.pixels

    for frame in predictor.stream(frames(), first=start):
        number, picture = waiting.popleft()
        if frame.index >= results.done:
            results.write(replace(frame, index=number), picture)
            progress.advance()
            if progress.done % _FRAMES_BETWEEN_RELEASES == 0:
                runtime.release_memory()


def _fingerprint(video: Frames) -> str:
    """Changes when a file of the frames does, by name, size or time; the results may lie beside them."""
    stats = [(file.name, file.stat()) for file in video.files or [video.path]]
    text = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _say(line: str) -> None:
    print(line, file=sys.stderr)
