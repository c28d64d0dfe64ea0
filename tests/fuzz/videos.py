"""Video and array files: what `segment` reads as `--input`, and the overlay that it writes for it."""

import tempfile
from pathlib import Path

import numpy as np
from video_files import FORMS, numbered_frames, write_video

from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.video_writer import DEFAULT_RATE, VideoWriter


def samples(folder):
    frames = numbered_frames(8)
    files = [write_video(folder / f"{codec}.{suffix}", frames, codec) for suffix, codec in FORMS]
    fragments = "frag_keyframe+empty_moov"
    files.append(write_video(folder / "fragments.mp4", frames, movflags=fragments))
    for save, suffix in ((np.save, "npy"), (np.savez_compressed, "npz")):
        files.append(folder / f"array.{suffix}")
        save(files[-1], frames[:2])
    return files


def read(path):
    video = open_frames(path)
    with tempfile.TemporaryDirectory() as folder:
        with VideoWriter(Path(folder, "overlay.mp4"), video.rate or DEFAULT_RATE) as writer:
            for _, picture in video.reading(tell=str):
                writer.write(picture.pixels, picture.time, picture.pixel_aspect)
