"""Results as a zip file: read as a server would, checked, and no danger to the disk they come to."""

import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.archives import opened

NAMES = ("bear", "surf")


def png():
    data = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(data, "PNG")
    return data.getvalue()


MASKS = {f"{name}/0000{index}.png": png() for name in NAMES for index in range(2)}


def zipped(path, files, change=lambda info: None):
    """A zip file of name -> bytes; `change` alters each entry before it is written."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            archive.writestr(info, data)
    return path


def read(path, root=None):
    with opened(path, NAMES, root, "DAVIS-2017 val") as folder:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}, folder


def refused(path, root=None):
    with pytest.raises(UserError) as caught, opened(path, NAMES, root, "DAVIS-2017 val"):
        raise AssertionError("it was opened")
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def below(top):
    return {top + name: data for name, data in MASKS.items()}


@pytest.mark.parametrize("root, top", [(None, ""), (None, "any/"), ("", ""), ("Annotations", "Annotations/")])
def test_the_layouts_of_the_servers_are_read_and_leave_nothing_behind(root, top, tmp_path):
    files, folder = read(zipped(tmp_path / "a.zip", below(top)), root)
    assert files == MASKS and not folder.exists()


def test_a_folder_is_its_own_results(tmp_path):
    with opened(tmp_path, NAMES, "", "DAVIS-2017 val") as folder:
        assert folder == tmp_path


@pytest.mark.parametrize(
    "root, top, words",
    [
        (
            "",
            "Annotations/",
            "'Annotations/bear/00000.png', but the server of DAVIS-2017 val wants no folder",
        ),
        ("Annotations", "", "'bear/00000.png', but the server of DAVIS-2017 val wants the folder 'Annota"),
        ("Annotations", "masks/", "'masks/bear/00000.png', but the server of DAVIS-2017 val wants the fol"),
    ],
)
def test_another_layout_than_the_servers_is_refused_with_the_command_that_packs_it(
    root, top, words, tmp_path
):
    message = refused(zipped(tmp_path / "a.zip", below(top)), root)
    assert f"has the layout {words}" in message and "zip -r " in message


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX/bear/._00000.png",
        ".DS_Store",
        "bear/notes.txt",
        "elephant/00000.png",
        "bear/more/00000.png",
        "00000.png",
    ],
)
def test_stray_files_are_refused_by_name(name, tmp_path):
    assert f"{name!r} is no mask of a sequence of DAVIS-2017 val" in refused(
        zipped(tmp_path / "a.zip", {**MASKS, name: b"x"}), ""
    )


@pytest.mark.parametrize(
    "name",
    ["../bear/0.png", "/bear/0.png", "bear/../../0.png", "C:/bear/0.png", "bear\\0.png"],
)
def test_names_that_lead_outside_are_refused_and_nothing_is_written(name, tmp_path):
    before = sorted(tmp_path.parent.rglob("*.png"))
    assert "leads outside" in refused(zipped(tmp_path / "a.zip", {**MASKS, name: b"x"}))
    assert sorted(tmp_path.parent.rglob("*.png")) == before


def linked(info):
    if info.filename == "surf/00001.png":
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


def bzip2(info):
    info.compress_type = zipfile.ZIP_BZIP2


@pytest.mark.parametrize("change, words", [(linked, "is a symbolic link"), (bzip2, "is packed by method 12")])
def test_links_and_other_ways_of_packing_are_refused(change, words, tmp_path):
    assert words in refused(zipped(tmp_path / "a.zip", MASKS, change))


def test_a_zip_bomb_is_refused_by_its_table_alone(tmp_path):
    files = {**MASKS, "bear/00009.png": bytes(3 << 20)}
    path = zipped(tmp_path / "a.zip", files)
    assert path.stat().st_size < 10_000
    assert "to 3145728 bytes, which is no mask" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["bear/00000.png", "bear//00000.png", "./bear/00000.png", "Bear/00000.png"])
def test_a_name_twice_is_refused_however_it_is_written(name, tmp_path):
    path = zipped(tmp_path / "a.zip", MASKS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, png())
    assert f"{name!r} is there twice" in refused(path)


@pytest.mark.parametrize("name", ["", "."])
def test_a_name_that_names_nothing_is_refused(name, tmp_path):
    def renamed(info):
        info.filename = name if info.filename == "x" else info.filename

    refused(zipped(tmp_path / "a.zip", {**MASKS, "x": b"x"}, renamed))


def test_what_would_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    assert "unpacks to 0.0 GB but" in refused(zipped(tmp_path / "a.zip", MASKS))


def test_an_empty_file_and_another_kind_of_file_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    assert "cannot be read as a zip file" in refused(tmp_path / "a.zip")
    (tmp_path / "b.tar").write_bytes(b"ustar" * 100)
    assert "cannot be read as a zip file" in refused(tmp_path / "b.tar")
    assert "is empty: pack the masks" in refused(zipped(tmp_path / "c.zip", {}))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    assert "is neither a folder nor a file" in refused(tmp_path / "a.zip")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_damage_anywhere_is_refused_in_one_line_or_does_no_harm(tmp_path, place, flip, cut):
    data = bytearray(zipped(tmp_path / "whole.zip", MASKS).read_bytes())
    place %= len(data)
    data = data[:place] if cut else data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    try:
        files, _ = read(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:  # a byte that nobody reads, such as a date
        assert files.items() <= MASKS.items() or set(files) <= {str(Path(name)) for name in MASKS}


def test_errors_while_it_is_open_name_the_zip_file(tmp_path):
    path = zipped(tmp_path / "a.zip", MASKS)
    with pytest.raises(UserError, match="a.zip/bear/00001.png is missing"):
        with opened(path, NAMES, None, "DAVIS-2017 val") as folder:
            raise UserError(f"{folder}/bear/00001.png is missing")
