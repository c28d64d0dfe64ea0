"""What tests of videos share."""

import pytest
from video_files import numbered_frames, write_video


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("plain") / "plain.mp4", numbered_frames(2))
