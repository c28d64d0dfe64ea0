"""What we write is what torch, safetensors and our own reader read."""

import manifests
import ml_dtypes
import numpy as np
import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint, writers

DTYPES = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "bool",
    ml_dtypes.bfloat16,
]
WRITERS = {"pth": writers.write_pth, "safetensors": writers.write_safetensors}


def _tensors():
    random = np.random.default_rng(0)
    tensors = {f"of_{np.dtype(d).name}.weight": (random.normal(size=(3, 5)) * 9).astype(d) for d in DTYPES}
    tensors["scalar"] = np.array(7)
    tensors["empty"] = np.zeros((0, 4), np.float32)
    tensors["transposed"] = np.asfortranarray(random.normal(size=(4, 6)).astype(np.float32))
    tensors["alias.weight"] = tensors["of_float32.weight"]
    return tensors


def _same(found, expected):
    return (
        found.dtype == expected.dtype
        and found.shape == expected.shape
        and found.tobytes() == expected.tobytes()
    )


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_written_is_read_back_bit_by_bit(form, tmp_path):
    tensors = _tensors()
    WRITERS[form](tmp_path / "file", tensors)
    checkpoint = open_checkpoint(tmp_path / "file")
    assert set(checkpoint) == set(tensors)
    assert all(_same(checkpoint[name].numpy(), array) for name, array in tensors.items())


@pytest.mark.parametrize("form", WRITERS)
def test_lazy_tensors_are_written_like_arrays_and_twice_gives_the_same_file(form, tmp_path):
    WRITERS[form](tmp_path / "first", _tensors())
    WRITERS[form](tmp_path / "second", open_checkpoint(tmp_path / "first"))
    again = {name: tensor.numpy() for name, tensor in open_checkpoint(tmp_path / "second").items()}
    assert all(_same(again[name], array) for name, array in _tensors().items())


def test_big_endian_arrays_are_written_in_the_order_that_readers_expect(tmp_path):
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    for form, write in WRITERS.items():
        write(tmp_path / form, {"a.weight": array})
        assert np.array_equal(open_checkpoint(tmp_path / form)["a.weight"].numpy(), array)


def test_one_object_under_two_names_is_one_storage_in_the_archive(tmp_path):
    array = np.ones((256, 256), np.float32)
    writers.write_pth(tmp_path / "file.pth", {"a.weight": array, "b.weight": array, "c.weight": array.copy()})
    checkpoint = open_checkpoint(tmp_path / "file.pth")
    assert checkpoint.aliases() == {"b.weight": "a.weight"}
    assert (tmp_path / "file.pth").stat().st_size < 2.1 * array.nbytes
    writers.write_pth(tmp_path / "again.pth", checkpoint)
    assert open_checkpoint(tmp_path / "again.pth").aliases() == {"b.weight": "a.weight"}


def test_torch_opens_the_archive_with_weights_only_and_sees_the_shared_storage(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = _tensors()
    writers.write_pth(tmp_path / "file.pth", tensors)
    for mapped in (False, True):
        loaded = torch.load(tmp_path / "file.pth", weights_only=True, mmap=mapped)
        assert list(loaded) == list(tensors)
        for name, array in tensors.items():
            found = loaded[name]
            found = (
                found.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
                if "bfloat16" in name
                else found.numpy()
            )
            assert _same(found, np.ascontiguousarray(array).reshape(array.shape)), name
        assert loaded["alias.weight"].data_ptr() == loaded["of_float32.weight"].data_ptr()


def test_the_streams_that_tests_are_made_with_are_those_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {
        "a.weight": np.ones((2, 3), np.float32),
        "count": np.array(5),
        "b.weight": np.zeros(4, np.float32),
    }
    tensors["alias"] = tensors["a.weight"]
    loaded = torch.load(manifests.write(tmp_path / "file.legacy", tensors), weights_only=True)
    assert list(loaded) == list(tensors)
    assert all(np.array_equal(loaded[name].numpy(), array) for name, array in tensors.items())
    assert loaded["alias"].data_ptr() == loaded["a.weight"].data_ptr()
    checkpoint = open_checkpoint(tmp_path / "file.legacy")
    assert checkpoint.container == "torch legacy" and checkpoint.aliases() == {"alias": "a.weight"}


def test_the_safetensors_library_opens_the_file(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    tensors = {name: array for name, array in _tensors().items() if "bfloat16" not in name}
    writers.write_safetensors(tmp_path / "file", tensors, {"licence": "MIT"})
    loaded = library.load_file(tmp_path / "file")
    assert all(_same(loaded[name], np.ascontiguousarray(a).reshape(a.shape)) for name, a in tensors.items())
    assert open_checkpoint(tmp_path / "file").metadata["licence"] == "MIT"


@pytest.mark.parametrize("form", WRITERS)
def test_a_writer_that_fails_leaves_the_old_file_and_no_other(form, tmp_path):
    class Broken:
        shape, dtype = (2,), np.dtype(np.float32)

        def numpy(self):
            raise UserError("the source is damaged")

    WRITERS[form](tmp_path / "file", {"a.weight": np.ones(2, np.float32)})
    before = (tmp_path / "file").read_bytes()
    with pytest.raises(UserError, match="damaged"):
        WRITERS[form](tmp_path / "file", {"a.weight": np.ones(2, np.float32), "b.weight": Broken()})
    assert (tmp_path / "file").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("form", WRITERS)
def test_types_without_a_name_and_missing_folders_are_named(form, tmp_path):
    with pytest.raises(UserError, match="a.weight .complex64."):
        WRITERS[form](tmp_path / "file", {"a.weight": np.ones(2, np.complex64)})
    with pytest.raises(UserError, match="nowhere.*cannot be written"):
        WRITERS[form](tmp_path / "nowhere" / "file", {"a.weight": np.ones(2, np.float32)})
    assert not list(tmp_path.iterdir())
