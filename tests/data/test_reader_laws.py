"""What holds for every reader: facts about names, nothing decoded while listing, pickling, messages."""

import importlib
import pickle

import numpy as np
import pytest
from golden_files import load_json, shared_data
from pictures import box, counts, save, save_frame
from PIL import ImageFile

from vos3d_jax.data import datasets
from vos3d_jax.data.readers.davis import DAVIS2016_VAL, DAVIS2017_VAL
from vos3d_jax.data.readers.fbms import FBMS
from vos3d_jax.data.readers.jhmdb import JHMDB_CLASSES
from vos3d_jax.data.readers.jumpcut import JUMPCUT
from vos3d_jax.data.readers.segtrack import SEGTRACK_V2
from vos3d_jax.data.readers.visal import VISAL, VISAL_REPACKED
from vos3d_jax.errors import UserError

READERS = {
    "davis2016": "val",
    "davis2017": "val",
    "fbms": "test",
    "visal": "all",
    "segtrack_v2": "all",
    "jhmdb": "test1",
    "jumpcut": "all",
    "youtube_vos": "train",
    "sa_v": "val",
    "folder": "all",
}


def load(name, data_dir):
    return datasets.load(name, READERS[name], data_dir=data_dir)


@pytest.fixture
def tiny(tmp_path):
    """A folder with one video of two frames for each reader, in a place with blanks and umlauts."""
    from scipy.io import savemat

    root = tmp_path / "Daten für alle"
    frames = ("davis2016/JPEGImages/480p/lion", "davis2017/JPEGImages/480p/lion", "visal/ViSal/lion",
              "segtrack_v2/JPEGImages/girl", "jumpcut/bear/frames", "folder/lion/frames",
              "youtube_vos/train/JPEGImages/lion", "sa_v/JPEGImages_24fps/lion")  # fmt: skip
    masks = ("davis2016/Annotations/480p/lion", "davis2017/Annotations/480p/lion", "visal/GroundTruth",
             "segtrack_v2/GroundTruth/girl", "jumpcut/bear/masks", "folder/lion/masks",
             "youtube_vos/train/Annotations/lion", "sa_v/Annotations_6fps/lion/000")  # fmt: skip
    for number, stem in enumerate(("lion_01", "lion_02")):
        for place in frames:
            save_frame(root / place / f"{stem}.jpg")
        for place in masks:
            save(root / place / f"{stem}.png", box(number, 1))
        save_frame(root / f"fbms/Testset/lion01/lion01_{number}.jpg")
        save_frame(root / f"jhmdb/Rename_Images/wave/clip/0000{number + 1}.png")
        pgm = root / f"fbms/Testset/lion01/GroundTruth/lion01_{number}.pgm"
        pgm.parent.mkdir(exist_ok=True)
        pgm.write_bytes(b"P5 16 12 255\n" + box(number, 9).tobytes())
    for name, lists in (("davis2016", "2016"), ("davis2017", "2017")):
        (root / name / "ImageSets" / lists).mkdir(parents=True)
        (root / name / "ImageSets" / lists / "val.txt").write_text("lion\n")
    for place in ("jhmdb/splits", "jhmdb/puppet_mask/wave/clip"):
        (root / place).mkdir(parents=True)
    (root / "jhmdb/splits/wave_test_split1.txt").write_text("clip.avi 2\n")
    puppets = np.stack([box(0, 1), box(1, 1)], axis=-1)
    savemat(root / "jhmdb/puppet_mask/wave/clip/puppet_mask.mat", {"part_mask": puppets}, do_compression=True)
    return root


@pytest.mark.parametrize("name", READERS)
def test_trap_29_each_reader_reads_frames_and_masks_and_writes_nothing(tiny, name):
    before = sorted(tiny.rglob("*"))
    (video,) = load(name, tiny / name)
    assert (video.length, video.size, video.annotated) == (2, (12, 16), (0, 1))
    for index in range(2):
        frame, mask = video.read_frame(index), video.read_mask(index)
        assert frame.shape == (12, 16, 3) and frame.dtype == np.uint8
        assert np.array_equal(mask, box(index, 1))
    assert sorted(tiny.rglob("*")) == before


@pytest.mark.parametrize("name", READERS)
def test_videos_travel_to_other_processes(tiny, name):
    (video,) = load(name, tiny / name)
    copy = pickle.loads(pickle.dumps(video))
    assert np.array_equal(copy.read_mask(1), video.read_mask(1))
    assert len(pickle.dumps(video)) < 3000


@pytest.mark.parametrize("name", READERS)
def test_listing_decodes_no_frame_and_no_mask(tiny, name, monkeypatch):
    import scipy.io

    class Decoded(BaseException):  # no one who catches what Pillow raises catches this
        pass

    def refuse(*arguments, **options):
        raise Decoded

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    monkeypatch.setattr(scipy.io, "loadmat", refuse)
    seen = []
    module = importlib.import_module("vos3d_jax.data.readers.fbms")
    read = module.read_netpbm
    monkeypatch.setattr(module, "read_netpbm", lambda path: seen.append(path) or read(path))
    (video,) = load(name, tiny / name)
    assert [path.name for path in seen] == (["lion01_0.pgm"] if name == "fbms" else [])  # empty or not?
    with pytest.raises(Decoded):
        video.read_frame(0)


@pytest.mark.parametrize("name", READERS)
def test_trap_31_a_truncated_frame_is_an_error_with_its_path(tiny, name):
    (video,) = load(name, tiny / name)
    for path in (tiny / name).rglob("*"):
        if path.suffix == ".jpg" or "Rename_Images" in str(path) and path.suffix == ".png":
            path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=rf"Daten für alle/{name}/.* cannot be read"):
        video.read_frame(1)


@pytest.mark.parametrize("name", [name for name in READERS if name != "folder"])
def test_missing_data_is_named_with_place_page_and_flags_in_one_line(tmp_path, name):
    for data_dir in (None, tmp_path / "nowhere"):
        with pytest.raises(UserError) as error:
            load(name, data_dir)
        message = str(error.value)
        assert "\n" not in message
        assert "fetch it from" in message and "data_dir" in message
        assert data_dir is None or str(data_dir) in message
        if data_dir is None:
            assert "main: --config.data_dir=DIR, score: --data_dir=DIR" in message


def test_the_names_are_those_of_the_published_lists():
    lists = load_json("data/sequence-lists.json")
    assert list(DAVIS2016_VAL) == lists["DAVIS-2016"]["val"]
    assert list(DAVIS2017_VAL) == lists["DAVIS-2017"]["val"]
    assert {split: list(names) for split, names in FBMS.items()} == {
        split: lists["FBMS-59"][split] for split in FBMS
    }
    renamed = lists["ViSal"]["renamed_in_repacked_copies"]
    assert list(VISAL) == lists["ViSal"]["all"]
    assert list(VISAL_REPACKED) == [renamed.get(name, name) for name in VISAL]
    assert SEGTRACK_V2 == lists["SegTrack-v2"]["num_objects"]
    assert list(SEGTRACK_V2) == lists["SegTrack-v2"]["all"]
    assert list(JHMDB_CLASSES) == lists["J-HMDB"]["classes"]
    assert {group: list(clips) for group, clips in JUMPCUT.items()} == lists["JumpCut"]["groups"]
    assert sum(map(len, JUMPCUT.values())) == 22
    assert (len(VISAL), sum(SEGTRACK_V2.values()), len(JHMDB_CLASSES)) == (17, 24, 21)
    assert [len(names) for names in FBMS.values()] == [29, 30]
    assert set(DAVIS2016_VAL) < set(DAVIS2017_VAL)


def test_trap_3_the_real_mask_of_two_channels_is_read_as_its_neighbours():
    videos = {video.name: video for video in load("folder", shared_data("DAVIS-defects"))}
    bear = videos["bear"]
    assert bear.frame_names == ("00076", "00077", "00078")
    assert [counts(bear.read_mask(index))["1"] for index in range(3)] == [45655, 46035, 46411]


def test_traps_10_and_15_the_real_empty_masks_are_masks_of_their_frames():
    videos = {video.name: video for video in load("folder", shared_data("DAVIS-defects"))}
    empty = {
        (name, video.frame_names[index])
        for name, video in videos.items()
        for index in range(video.length)
        if not video.read_mask(index).any()
    }
    assert empty == {
        ("bmx-bumps", "00060"),
        ("bmx-bumps", "00062"),
        ("bmx-bumps", "00063"),
        ("surf", "00054"),
    }


def test_traps_5_11_and_18_the_real_judo_has_late_objects_few_masks_and_one_of_another_size(tmp_path):
    source = shared_data("multi-object")
    (tmp_path / "JPEGImages").symlink_to(source / "images")
    (tmp_path / "Annotations").symlink_to(source / "masks")
    judo = {video.name: video for video in datasets.load("folder", "all", data_dir=tmp_path, strict=False)}[
        "judo"
    ]
    assert judo.annotated == (0, 5, 8, 13)
    assert [judo.read_mask(index) is None for index in (1, 2)] == [True, True]
    assert [int(judo.read_mask(index).max()) for index in (0, 8, 13)] == [1, 3, 4]
    with pytest.raises(
        UserError, match=r"judo/00005\.png is 853x480 but its frame is 854x480: resize the mask"
    ):
        judo.read_mask(5)
