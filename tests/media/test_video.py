from fractions import Fraction

import av
import numpy as np

from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.video_writer import VideoWriter


def _moving_square(length=12, height=48, width=64):
    frames = np.full((length, height, width, 3), 40, np.uint8)
    for t in range(length):
        frames[t, 8:24, 2 * t : 2 * t + 16] = (200, 60, 20)
    return frames


def _write(path, frames, rate=Fraction(10)):
    with VideoWriter(path, rate) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_a_written_video_is_read_back_with_its_size_rate_and_length(tmp_path):
    frames = _moving_square()
    video = open_frames(_write(tmp_path / "square.mp4", frames, Fraction(30000, 1001)))
    assert (video.name, video.size, video.length) == ("square", (48, 64), 12)
    assert video.rate == Fraction(30000, 1001) and video.names is None
    assert video.frame_name(3) == "00003"
    for _ in range(2):  # from the start as often as wanted
        read = np.stack(list(video.read()))
        assert read.shape == frames.shape and read.dtype == np.uint8
        assert np.abs(read.astype(int) - frames).mean() < 4
    assert [file.name for file in tmp_path.iterdir()] == ["square.mp4"]


def test_a_video_filmed_upright_is_read_upright(tmp_path):
    path = _write(tmp_path / "lying.mp4", _moving_square())
    data = bytearray(path.read_bytes())
    # The matrix in the track header, 16.16 numbers: a quarter turn clockwise, as telephones write it.
    at = data.index(b"tkhd") + 4 + 40
    turn = [0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30]
    data[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in turn)
    upright = tmp_path / "upright.mp4"
    upright.write_bytes(data)
    lying, turned = next(open_frames(path).read()), next(open_frames(upright).read())
    assert open_frames(upright).size == (64, 48)
    np.testing.assert_array_equal(turned, np.rot90(lying, -1))


def test_a_container_without_a_frame_count_is_read_to_its_end(tmp_path):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in _moving_square():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    video = open_frames(path)
    assert video.length is None and len(list(video.read())) == 12
