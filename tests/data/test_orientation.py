"""The orientation tag of a telephone's pictures: one's own are turned, published data sets are not."""

import numpy as np
import pytest
from pictures import save_ids
from PIL import Image

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError

# How a camera stores an upright picture under each tag.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[:, ::-1],
}


def _frames(folder, tag, suffix="jpg"):
    """Two upright frames of 48x64 with a bright object at the lower right, stored under `tag`."""
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = tag
    for number in range(2):
        upright = np.full((48, 64, 3), 40, np.uint8)
        upright[_object(number)] = 220
        picture = Image.fromarray(np.ascontiguousarray(STORED[tag](upright)))
        picture.save(folder / f"{number:05d}.{suffix}", exif=exif)


def _object(number):
    return slice(30, 44), slice(40 + 2 * number, 60)


def _masks(folder, turn=lambda a: a):
    for number in range(2):
        mask = np.zeros((48, 64), np.uint8)
        mask[_object(number)] = 1
        save_ids(folder / f"{number:05d}.png", turn(mask))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("tag", STORED)
def test_ones_own_frames_stand_under_masks_that_were_made_upright(tmp_path, caplog, tag, suffix, strict):
    _frames(tmp_path / "clip/frames", tag, suffix)
    _masks(tmp_path / "clip/masks")
    [video] = datasets.load("folder", "all", data_dir=tmp_path, strict=strict)
    assert video.size == (48, 64)
    for number in range(2):
        frame, mask = video.read_frame(number), video.read_mask(number)
        assert ((frame.mean(-1) > 130) == mask).mean() > 0.99
    said = [record.getMessage() for record in caplog.records]
    assert [f"orientation tag {tag}: frames of clip are turned upright" in line for line in said] == (
        [True] if tag > 1 else []
    )


@pytest.mark.parametrize("tag", [5, 6, 7, 8])
def test_masks_that_were_made_lying_are_refused_by_the_tag_and_not_resized(tmp_path, tag):
    _frames(tmp_path / "clip/frames", tag)
    _masks(tmp_path / "clip/masks", STORED[tag])
    message = rf"00000\.png is 48x64 but its frame is 64x48: 00000\.jpg has the orientation tag {tag}; save"
    with pytest.raises(UserError, match=message):
        datasets.load("folder", "all", data_dir=tmp_path)
    [video] = datasets.load("folder", "all", data_dir=tmp_path, strict=False)
    with pytest.raises(UserError, match=message):
        video.read_mask(0)


def test_a_mask_of_another_size_is_still_to_be_resized(tmp_path):
    _frames(tmp_path / "clip/frames", 6)
    _masks(tmp_path / "clip/masks", lambda mask: mask[:40])
    with pytest.raises(UserError, match="resize the mask with nearest neighbour"):
        datasets.load("folder", "all", data_dir=tmp_path)


def test_trap_24_published_data_sets_are_read_as_their_own_tools_read_them(tmp_path):
    _frames(tmp_path / "JPEGImages/480p/bear", 3)
    _masks(tmp_path / "Annotations/480p/bear")
    (tmp_path / "ImageSets/2016").mkdir(parents=True)
    (tmp_path / "ImageSets/2016/val.txt").write_text("bear\n")
    [video] = datasets.load("davis2016", "val", data_dir=tmp_path)
    assert video.read_frame(0)[STORED[3](np.arange(48 * 64).reshape(48, 64)) == 35 * 64 + 50].mean() > 200


def test_a_published_frame_whose_tag_swaps_its_sides_is_named_by_it(tmp_path):
    _frames(tmp_path / "JPEGImages/480p/bear", 6)
    _masks(tmp_path / "Annotations/480p/bear")
    (tmp_path / "ImageSets/2016").mkdir(parents=True)
    (tmp_path / "ImageSets/2016/val.txt").write_text("bear\n")
    with pytest.raises(
        UserError, match=r"is 64x48 but its frame is 48x64: 00000\.jpg has the orientation tag 6"
    ):
        datasets.load("davis2016", "val", data_dir=tmp_path)
