"""Files of strangers: what of a video is opened, and what is refused before it costs anything."""

import os
import struct

import av
import numpy as np
import pytest
from video_files import numbered_frames, write_video

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.reading import MOST_PIXELS
from vos3d_jax.media.video_writer import VideoWriter


@pytest.mark.parametrize(
    "name", ["12:30.mp4", "Screen-12:30.mp4", "2024:05/clip.mp4", "file:x.mp4", "a%20b#?.mp4"]
)
def test_a_relative_path_is_that_file_whatever_is_in_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "x.mp4", numbered_frames(3))  # what FFmpeg would open for file:x.mp4
    (tmp_path / name).parent.mkdir(exist_ok=True)
    with VideoWriter(name) as writer:
        for frame in numbered_frames(5):
            writer.write(frame)
    assert (tmp_path / name).is_file() and open_frames(name).length == 5


def test_a_name_that_is_not_utf8_is_refused_with_the_mend(plain, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    path.write_bytes(plain.read_bytes())
    with pytest.raises(UserError, match=r"caf\\udce9.mp4' is not UTF-8.*rename the file"):
        open_frames(path)


PLAYLISTS = {
    "a.ffconcat": "ffconcat version 1.0\nfile 'plain.mp4'\n",
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nplain.mp4\n#EXT-X-ENDLIST\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" type="static"/>',
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "a.mp4": "ffconcat version 1.0\nfile 'plain.mp4'\n",  # its name does not help
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_files_that_name_other_files_are_not_followed(plain, tmp_path, name):
    (tmp_path / "plain.mp4").write_bytes(plain.read_bytes())
    (tmp_path / name).write_text(PLAYLISTS[name])
    with pytest.raises(UserError, match=f"{name} cannot be decoded as a video"):
        open_frames(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("a.avi", "snow", "codec snow"),
        ("a.avi", "cinepak", "codec cinepak"),
        ("a.y4m", "rawvideo", "of another kind"),
    ],
)
def test_what_is_on_no_list_is_refused_with_what_would_be_read(tmp_path, name, codec, words):
    path = tmp_path / name
    pixel_format = {"cinepak": "rgb24"}.get(codec, "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixel_format
        for frame in numbered_frames(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(UserError, match=f"{name} .*{words}.*ffmpeg -i FILE out.mp4"):
        open_frames(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", "/dev/zero"):
        with pytest.raises(UserError, match="is no file"):
            open_frames(path)


def _with_size(data, width, height):
    """The mov with another size in its sample description."""
    at = data.index(b"rle ") + 4 + 24
    return data[:at] + struct.pack(">HH", width, height) + data[at + 4 :]


def test_pictures_that_are_too_large_are_refused_by_the_header(tmp_path):
    data = write_video(tmp_path / "a.mov", numbered_frames(2), "qtrle").read_bytes()
    for size in ((60000, 1000), (7680, 4320)):
        (tmp_path / "a.mov").write_bytes(_with_size(data, *size))
        with pytest.raises(UserError, match=f"a.mov .*{size[0]}x{size[1]}.*too large for so small a file"):
            open_frames(tmp_path / "a.mov")
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (1, 6000, 6000, 3)).flush()
    with pytest.raises(UserError, match=f"6000x6000, more than {MOST_PIXELS}"):
        open_frames(tmp_path / "a.npy")


def test_a_count_of_frames_that_no_such_file_holds_is_refused_before_memory_is_taken_for_it(tmp_path):
    # Trap: FFmpeg takes 36 bytes for each frame that the header says; all of them have one size here.
    data = bytearray(write_video(tmp_path / "a.mov", numbered_frames(2), "rawvideo").read_bytes())
    at = data.index(b"stsz") + 8
    assert int.from_bytes(data[at : at + 4], "big") and data[at + 4 : at + 8] == (2).to_bytes(4, "big")
    data[at + 4 : at + 8] = (10**8).to_bytes(4, "big")
    for around in (b"minf", b"edts", b"udta", b"meta", b"wave", b"tref"):  # FFmpeg looks into all of them
        (tmp_path / "a.mov").write_bytes(data.replace(b"minf", around))
        with pytest.raises(UserError, match="a.mov says 100000000 frames of"):
            open_frames(tmp_path / "a.mov")
    fragments = "frag_keyframe+empty_moov"
    path = write_video(tmp_path / "a.mp4", numbered_frames(7), movflags=fragments)
    assert len(list(open_frames(path).read())) == 7
    data = bytearray(path.read_bytes())
    at = data.index(b"trun") + 8
    data[at : at + 4] = (10**7).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(UserError, match="a.mp4 says 10000000 frames of"):
        open_frames(path)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("flags", ["faststart", "use_metadata_tags", "frag_keyframe+empty_moov"])
def test_words_of_a_video_that_are_also_names_of_boxes_are_not_taken_for_them(tmp_path, suffix, flags):
    # Trap: "an elephant's trunk is long" reads as a table of a billion samples.
    words = "the trunk of an oak, stsz of wood"
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w", container_options={"movflags": flags}) as container:
        container.metadata.update(dict.fromkeys(("title", "comment", "copyright", "synopsis"), words))
        stream = container.add_stream("mpeg4", rate=24)
        stream.height, stream.width = 48, 64
        stream.metadata.update(title=words, handler_name=words)
        for frame in numbered_frames(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert path.read_bytes().count(words.encode()) > 2
    assert len(list(open_frames(path).read())) == 2
