"""Every container is read bit by bit, lazily, and with the wrappers that projects put around weights."""

import pickle
import struct
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
from golden_files import GOLDEN, load_json, load_npz

from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint, writers
from vos3d_jax.porting.readers import file_bytes

EXPECTED = load_json("checkpoints/expected.json")
VALUES = load_npz("checkpoints/expected.npz")
READABLE = [name for name, facts in EXPECTED.items() if facts["verdict"] != "refuse"]


@pytest.mark.parametrize("file", READABLE)
def test_every_sample_is_read_bit_by_bit(file):
    checkpoint, facts = open_checkpoint(GOLDEN / "checkpoints" / file), EXPECTED[file]
    assert (checkpoint.root or "(top)") == facts["tensor_root"]
    assert {checkpoint.prefix + name for name in checkpoint} == set(facts["tensors"])
    for name, tensor in checkpoint.items():
        dtype, shape = facts["tensors"][checkpoint.prefix + name]
        array, expected = tensor.numpy(), VALUES[f"{file}|{checkpoint.prefix}{name}"]
        assert (
            (tensor.dtype.name, list(tensor.shape)) == (dtype, shape) == (array.dtype.name, list(array.shape))
        )
        array = array.astype(np.float32) if dtype == "bfloat16" else array
        assert array.dtype == expected.dtype and array.tobytes() == expected.tobytes()


def test_wrapper_prefix_and_what_lies_beside_are_told():
    checkpoint = open_checkpoint(GOLDEN / "checkpoints/valid/zip_wrapper_model_module.pth")
    assert (checkpoint.container, checkpoint.root, checkpoint.prefix) == ("torch zip", "model", "module.")
    assert checkpoint.siblings == ("epoch", "optimizer", "iter")


def test_an_object_of_a_strange_class_is_skipped_and_named():
    checkpoint = open_checkpoint(GOLDEN / "checkpoints/valid/zip_foreign_class.pth")
    assert checkpoint.placeholders == ("mmengine.logging.history_buffer.HistoryBuffer",)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_tensors_of_one_storage_are_recognised(form):
    checkpoint = open_checkpoint(GOLDEN / f"checkpoints/valid/{form}_shared_strided.pth")
    assert checkpoint.aliases() == {"alias": "a"}
    assert checkpoint["a"].storage.key == checkpoint["transposed"].storage.key
    assert checkpoint["a"].identity != checkpoint["transposed"].identity


def test_weights_under_a_wrapper_are_preferred_to_stray_tensors_at_the_top(tmp_path):
    weights = {"fc.weight": np.ones((2, 2), np.float32)}
    for outer, root in (
        ({"mean": np.ones(3), "state_dict": weights}, "state_dict"),
        ({"net": {"model": weights}}, "net.model"),
        ({"model_state": weights, "cfg": "text"}, "model_state"),
        ({"module.module.fc.weight": np.ones(2)}, ""),
    ):
        (tmp_path / "file.pkl").write_bytes(pickle.dumps(outer, protocol=4))
        checkpoint = open_checkpoint(tmp_path / "file.pkl")
        assert (checkpoint.root, list(checkpoint)) == (root, ["fc.weight"])


def test_another_wrapper_is_taken_on_request(tmp_path):
    averaged = {"fc.weight": np.full(2, 5.0)}
    content = {"state_dict": {"fc.weight": np.ones(2)}, "state_dict_ema": averaged}
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(content, protocol=4))
    assert open_checkpoint(tmp_path / "file.pkl")["fc.weight"].numpy()[0] == 1
    assert open_checkpoint(tmp_path / "file.pkl", root="state_dict_ema")["fc.weight"].numpy()[0] == 5
    with pytest.raises(UserError, match="no tensors found under ema; top-level keys: state_dict"):
        open_checkpoint(tmp_path / "file.pkl", root="ema")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_large_arrays_of_every_protocol_stay_in_the_file_until_asked_for(protocol, tmp_path):
    values = np.arange(1 << 18, dtype=np.float32).reshape(512, 512)  # 1 MB: every byte value occurs
    content = {
        "blobs": {
            "a_w": values,
            "column_major_w": np.asfortranarray(values[:100]),
            "swapped_w": values.astype(">f4"),
        }
    }
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(content, protocol))
    open_checkpoint(tmp_path / "file.pkl")  # imports and regular expressions are not counted below
    tracemalloc.start()
    checkpoint = open_checkpoint(tmp_path / "file.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(np.array_equal(checkpoint[name].numpy(), array) for name, array in content["blobs"].items())
    if protocol > 2:  # latin-1 text must be looked through to know how many bytes it is
        assert peak < 1 << 20


def _sparse_legacy(path, numel):
    """A torch stream with one storage of `numel` floats, all holes, and its last element 7."""

    def text(word):
        return b"X" + struct.pack("<I", len(word)) + word.encode()

    def view(offset, size):
        storage = (
            b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number + b"NtQ"
        )
        offset = b"\x8a\x08" + struct.pack("<q", offset)
        return b"ctorch._utils\n_rebuild_tensor\n(" + storage + offset + b"(" + size + b"t(K\x01ttR"

    number = b"\x8a\x08" + struct.pack("<q", numel)
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, protocol=2)
    content = (
        b"\x80\x02}("
        + text("all.weight")
        + view(0, number)
        + text("last.weight")
        + view(numel - 2, b"K\x02")
        + b"u."
    )
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + system + content
    with open(path, "wb") as file:
        file.write(head + pickle.dumps(["0"], 2) + struct.pack("<q", numel))
        file.seek(numel * 4 - 4, 1)
        file.write(struct.pack("<f", 7))


def test_a_file_of_eight_gigabytes_is_opened_and_a_slice_read_in_a_megabyte(tmp_path):
    _sparse_legacy(tmp_path / "large.pth", 1 << 31)
    tracemalloc.start()
    checkpoint = open_checkpoint(tmp_path / "large.pth")
    last = checkpoint["last.weight"].numpy()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (checkpoint["all.weight"].shape, last.tolist()) == ((1 << 31,), [0.0, 7.0])
    assert peak < 1 << 20


def test_a_view_that_is_spread_thin_is_read_in_bounded_memory(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(4 << 20, dtype=torch.float32).reshape(1024, 4096)  # 16 MB
    views = {"column.weight": base[:, 5], "corner": base[::1000, ::4000], "back": base.t()[7:9]}
    torch.save(views, tmp_path / "file.pth")
    checkpoint = open_checkpoint(tmp_path / "file.pth")
    tracemalloc.start()
    arrays = {name: tensor.numpy() for name, tensor in checkpoint.items()}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(np.array_equal(arrays[name], view.numpy()) for name, view in views.items())
    assert peak < 4 << 20


def test_torch_files_of_today_agree_with_torch_in_both_forms(tmp_path):
    torch = pytest.importorskip("torch")
    tagged = torch.ones(3)
    tagged.tag = "kept"  # makes torch write `_rebuild_from_type_v2`
    network = torch.nn.Sequential(torch.nn.Conv3d(2, 3, 2), torch.nn.BatchNorm3d(3))
    network[1].running_mean[:] = torch.tensor([1.0, float("nan"), -0.0])
    weights = {
        **network.state_dict(),
        "tagged.weight": tagged,
        "half.weight": torch.randn(5, dtype=torch.bfloat16),
    }
    optimizer = torch.optim.Adam(network.parameters())
    for zipped in (True, False):
        content = {"model": weights, "optimizer": optimizer.state_dict(), "device": torch.device("cpu")}
        torch.save(content, tmp_path / "file", _use_new_zipfile_serialization=zipped)
        checkpoint = open_checkpoint(tmp_path / "file")
        assert set(checkpoint) == set(weights)
        for name, tensor in weights.items():
            array = checkpoint[name].numpy()
            array = array.view(np.int16) if array.dtype == ml_dtypes.bfloat16 else array
            tensor = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
            assert array.tobytes() == tensor.detach().numpy().tobytes()


def test_a_whole_pickled_module_is_refused_with_the_mend(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "file.pth")
    with pytest.raises(UserError, match="torch.nn.modules.linear.Linear"):
        open_checkpoint(tmp_path / "file.pth")


def test_a_flipped_byte_of_a_zip_is_noticed_when_the_tensor_or_a_part_of_it_is_read(tmp_path):
    content = bytearray((GOLDEN / "checkpoints/valid/zip_shared_strided.pth").read_bytes())
    at = open_checkpoint(GOLDEN / "checkpoints/valid/zip_shared_strided.pth")["a"].storage.chunk.offset
    content[at + 9] ^= 4
    (tmp_path / "file.pth").write_bytes(content)
    checkpoint = open_checkpoint(tmp_path / "file.pth")
    for name in ("a", "row_slice", "scalar"):
        with pytest.raises(UserError, match="checksum of data/0"):
            checkpoint[name].numpy()


def test_a_file_that_changes_after_it_was_opened_is_noticed(tmp_path):
    path = tmp_path / "file.pth"
    writers.write_pth(path, {"a.weight": np.ones(2, np.float32)})
    checkpoint = open_checkpoint(path)
    writers.write_pth(path, {"a.weight": np.zeros(20, np.float32)})
    with pytest.raises(UserError, match="was changed"):
        checkpoint["a.weight"].numpy()
    path.unlink()
    with pytest.raises(UserError, match="cannot be read: No such file"):
        checkpoint["a.weight"].numpy()


def test_latin1_text_is_counted_as_bytes_across_blocks(tmp_path, monkeypatch):
    def count(content):
        (tmp_path / "file").write_bytes(content)
        return file_bytes.Chunk(file_bytes.FileBytes(tmp_path / "file"), 0, len(content), latin1=True).nbytes

    monkeypatch.setattr(file_bytes, "BLOCK", 7)
    text = "".join(chr(i) for i in range(256)).encode("utf-8")
    assert count(text) == 256
    for broken in (text + b"\xc3", text + "\u0100".encode(), b"\x80" + text, text + b"\xc3\xc3\x80"):
        assert count(broken) == -1


def test_many_small_arrays_of_python_2_and_3_fit_the_budget(tmp_path):
    arrays = {f"comp_{i}_w": np.full(200, i, np.float32) for i in range(1200)}
    for protocol in (2, 4):
        (tmp_path / "file.pkl").write_bytes(pickle.dumps({"blobs": arrays}, protocol))
        checkpoint = open_checkpoint(tmp_path / "file.pkl")
        assert len(checkpoint) == 1200 and checkpoint["comp_1199_w"].numpy()[7] == 1199


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_safetensors_header_whose_length_looks_like_the_start_of_a_pickle_is_read(length, tmp_path):
    header = b'{"a.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.ljust(length)
    (tmp_path / "file").write_bytes(struct.pack("<Q", length) + header + b"\x05")
    assert open_checkpoint(tmp_path / "file")["a.weight"].numpy() == [5]


def test_archives_with_zip64_records_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)  # zipfile then writes what it writes beyond 4 GB
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    values = {f"{i}.weight": np.full(100, i, np.float32) for i in range(4)}
    writers.write_pth(tmp_path / "file.pth", values)
    assert b"PK\x06\x06" in (tmp_path / "file.pth").read_bytes()
    checkpoint = open_checkpoint(tmp_path / "file.pth")
    assert all(np.array_equal(checkpoint[name].numpy(), array) for name, array in values.items())
