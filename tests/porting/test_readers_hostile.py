"""What is no checkpoint, or wants more than to be read, is refused in one line, at once, with nothing run."""

import json
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN, load_json

from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint

EXPECTED = load_json("checkpoints/expected.json")
# What `message_should_name` of expected.json asks for, as parts of the message.
NAMES = {
    "zip_posix_system.pth": ["posix.system"],
    "legacy_os_system.pth": ["os.system"],
    "zip_getattr_stack_global.pth": ["builtins.getattr"],
    "caffe2_eval.pkl": ["__builtin__.eval"],
    "zip_truncated.pth": ["truncated", "incomplete download"],
    "legacy_truncated.pth": ["truncated", "storage", "bytes"],
    "html_page.pth": ["web page, not a checkpoint"],
    "git_lfs_pointer.pth": ["Git LFS pointer"],
    "empty.pth": ["empty file"],
    "zip_short_storage.pth": ["fc.weight", "data/0", "40", "80"],
    "zip_out_of_bounds.pth": ["fc.weight", "outside its storage"],
    "zip_negative_stride.pth": ["fc.weight", "stride"],
    "zip_huge_numel.pth": ["80 bytes", "4000000000000000 declared"],
    "zip_expand_bomb.pth": ["fc.weight", "shape"],
    "zip_missing_storage.pth": ["data/7"],
    "zip_complex_conj.pth": ["fc.weight", "ComplexFloatStorage"],
    "zip_rebuild_v3.pth": ["_rebuild_tensor_v3"],
    "zip_traversal_key.pth": ["storage key"],
    "zip_deflate_bomb.pth": ["compressed record"],
    "caffe2_object_array.pkl": ["object dtype"],
    "bad_offsets.safetensors": ["fc.weight", "offsets"],
    "huge_header.safetensors": ["header length"],
    "zip_billion_laughs.pth": ["no tensors found"],
    "zip_torchscript.pth": ["TorchScript"],
    "zip_setitem_on_class.pth": ["malformed pickle"],
    "zip_build_dict_poison.pth": ["posix.system"],
}  # fmt: skip
HOSTILE = [name for name, facts in EXPECTED.items() if facts["verdict"] == "refuse"]
ONE_STORAGE = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
    + b"0X\x03\0\0\0cpuK\x04tQ"
)


def _guarded(*files):
    script = Path(__file__).parent / "guarded.py"
    done = subprocess.run([sys.executable, script, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _zip(path, pickled, members=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in members or [("archive/data/0", bytes(16))]:
            archive.writestr(name, content)
    return path


def _refusal(path):
    with pytest.raises(UserError) as caught:
        for tensor in open_checkpoint(path).values():
            tensor.numpy()
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 1000
    return message


@pytest.mark.parametrize("file", HOSTILE)
def test_every_hostile_sample_is_refused_by_name(file):
    message = _refusal(GOLDEN / "checkpoints" / file)
    assert all(part in message for part in [Path(file).name, *NAMES[Path(file).name]]), message


def test_all_samples_without_torch_take_a_second_and_few_megabytes_and_run_or_write_nothing():
    files = {str(GOLDEN / "checkpoints" / name): facts["verdict"] for name, facts in EXPECTED.items()}
    told = _guarded(*files)
    assert told["forbidden"] == []
    assert told["growth"] < 8 << 20
    for file, verdict in files.items():
        assert (told["results"][file]["error"] is not None) == (verdict == "refuse")
        assert told["results"][file]["seconds"] < 1


def test_files_that_want_to_run_something_run_nothing(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            import os

            return os.mkdir, (str(canary),)

    pickled = pickle.dumps({"fc.weight": Evil()}, protocol=2)
    pickle.loads(pickled)
    canary.rmdir()  # it does work where a pickle is believed
    (tmp_path / "evil.pkl").write_bytes(pickled)
    _zip(tmp_path / "evil.pth", pickled)
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    head += pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    (tmp_path / "evil_legacy.pth").write_bytes(head + pickled + pickle.dumps([], 2))
    told = _guarded(*(str(tmp_path / name) for name in ("evil.pkl", "evil.pth", "evil_legacy.pth")))
    assert told["forbidden"] == [] and not canary.exists()
    assert all("refused, nothing of it was run" in result["error"] for result in told["results"].values())


def _bombs(folder):
    """Files of a few megabytes that describe much more."""
    deep = b"\x80\x02" + b"]" * 3_000_000 + b"a" * 2_999_999 + b"."
    pairs = b"\x80\x04](" + b"".join(b"X\x04\0\0\0%04dK\x01\x86" % i for i in range(9000)) + b"e\x940"
    copies = pairs + b"](" + b"ccollections\nOrderedDict\nh\0\x85R" * 200_000 + b"e."
    text = (
        b"\x80\x04X\0\x04\0\0"
        + b"a" * 1024
        + b"\x940("
        + b"c_codecs\nencode\nh\0X\x06\0\0\0latin1\x86R" * 300_000
    )
    contents = {
        "nested_lists": deep,
        "nested_tuples": b"\x80\x02)" + b"\x85" * 4_000_000 + b".",
        "copies_of_a_dict": copies,
        "copies_of_a_text": text + b"t.",
        "empty_dicts": b"\x80\x02(" + b"}" * 8_000_000 + b"t.",
        "empty_sets": b"\x80\x04(" + b"\x8f" * 8_000_000 + b"t.",
        "memo": b"\x80\x04}" + b"\x94" * 8_000_000 + b".",
        "memo_by_number": b"\x80\x02}"
        + b"".join(b"r" + struct.pack("<I", i * 2999) for i in range(1_400_000)),
        "marks": b"\x80\x04" + b"(" * 8_000_000 + b".",
        "numbers": b"\x80\x04(" + (b"\x8a\x08" + b"\x7f" * 8) * 900_000 + b"t.",
        "nested_json": struct.pack("<Q", 4_000_000) + b'{"a":' + b"[" * 3_999_995,
        "lists_of_json": struct.pack("<Q", 6_000_006) + b'{"a":[' + b"[]," * 2_000_000,
        "long_header": struct.pack("<Q", 50_000_001) + b"{" + b" " * 50_000_000,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    one = ONE_STORAGE + b"K\0K\x04\x85K\x01\x85\x89NtR"
    many = (
        b"\x80\x02}("
        + b"X\x02\0\0\0aw"
        + one
        + b"q\x01"
        + b"".join(b"X\x06\0\0\0%06dh\x01" % i for i in range(400_000))
    )
    _zip(folder / "names_of_one_tensor", many + b"u.")
    with zipfile.ZipFile(folder / "members", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        for i in range(20_000):
            archive.writestr(f"archive/data/{i}", b"")
    return sorted(str(path) for path in folder.iterdir())


def test_bombs_are_refused_in_bounded_memory(tmp_path):
    told = _guarded(*_bombs(tmp_path))
    assert told["growth"] < 150 << 20
    assert told["forbidden"] == []
    assert all(result["error"] for result in told["results"].values())
    assert max(result["seconds"] for result in told["results"].values()) < 30


@pytest.mark.parametrize(
    "pickled",
    [
        b"(ios\nsystem\n.", b"(cos\nsystem\no.", b"\x82\x01.", b"\x92.", b"\x97.", b"\x98.", b"Pos\n.",
        b"I1\n.", b"}2.", b".", b"0.", b"1.", b"a.", b"}a.", b"]s.", b"]K\x01K\x02s.", b"}]K\x02s.",
        b"}NK\x02s.", b"}}K\x02s.", b"(u.", b"}(K\x01u.", b"h\x05.", b"}Q.", b"}b.", b"Nb.", b"NR.",
        b"N)R.", b"N)\x81.", b"ccollections\nOrderedDict\nNR.", b"ccollections\nOrderedDict\n(K\x01tR.",
        b"ccollections\nOrderedDict\n(](K\x01etR.", b"}NNQ.", b"\x93.", b"NN\x93.", b"X\xff\xff\xff\xff.",
        b"X\x02\0\0\0\xff\xfe.", b"T\xff\xff\xff\xff.", b"\x8b\xff\xff\xff\xff.", b"\x8a\xff.",
        b"\x8e" + b"\xff" * 8, b"cnumpy\ndtype\nN\x85R.", b"cnumpy\ndtype\n(tR.",
        b"cnumpy\ndtype\nX\x02\0\0\0f4\x85RNb.", b"cnumpy\nndarray\n)R.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR.", b"cnumpy.core.multiarray\n_reconstruct\n(NtR.",
        b"c_codecs\nencode\n(X\x01\0\0\0aX\x05\0\0\0rot13tR.",
        b"c_codecs\nencode\n(X\x02\0\0\0\xc4\x80X\x06\0\0\0latin1tR.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR.", b"ctorch._utils\n_rebuild_parameter\n)R.",
        b"ctorch\nSize\n(NtR.", b"ccopyreg\n_reconstructor\n(cbuiltins\nlist\nNNtR.",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR.", b"cos\x00\nsystem\n.", b"c" + b"a" * 600,
        b"\x80\x09.", b"}(X\x01\0\0\0aNX\x01\0\0\0aNu.", b"\xff.",
    ],
)  # fmt: skip
def test_malformed_pickles_are_named_so_in_every_container(pickled, tmp_path):
    (tmp_path / "file.pkl").write_bytes(b"\x80\x04" + pickled)
    system = pickle.dumps({"little_endian": True}, 2)
    legacy = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + system + b"\x80\x02" + pickled
    (tmp_path / "legacy.pth").write_bytes(legacy)
    for path in (
        _zip(tmp_path / "zip.pth", b"\x80\x02" + pickled),
        tmp_path / "file.pkl",
        tmp_path / "legacy.pth",
    ):
        _refusal(path)


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "builtins.exec", "torch.load", "torch.hub.load", "numpy.load", "numpy.f2py.diagnose",
        "torch.utils.data.DataLoader", "argparse.ArgumentParser", "mmengineevil.run",
        "collections.abc.OrderedDict",
    ],
)  # fmt: skip
def test_only_names_of_the_table_are_let_through(name, tmp_path):
    module, _, attribute = name.rpartition(".")
    _zip(tmp_path / "file.pth", f"\x80\x02c{module}\n{attribute}\n.".encode("latin-1"))
    assert f"asks Python for {name}: refused" in _refusal(tmp_path / "file.pth")


def test_all_problems_are_named_together_and_strange_names_are_made_printable(tmp_path):
    bad = ONE_STORAGE + b"K\0K\x09\x85K\x01\x85\x89NtR"
    names = [b"X\x08\0\0\0a.weight", b"X\x08\0\0\0b\n\x1b[31mX"]
    _zip(tmp_path / "file.pth", b"\x80\x02}(" + b"".join(name + bad for name in names) + b"u.")
    message = _refusal(tmp_path / "file.pth")
    assert "a.weight: reaches outside" in message and "b\\n\\x1b[31mX: has a name" in message


def _rezip(path, method=zipfile.ZIP_STORED, extra=(), drop=()):
    with zipfile.ZipFile(GOLDEN / "checkpoints/valid/zip_plain.pth") as old:
        contents = {name: old.read(name) for name in old.namelist() if name not in drop}
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as new:
        warnings.simplefilter("ignore")  # zipfile itself warns of a name that is there twice
        for name, content in [*contents.items(), *extra]:
            new.writestr(name, content)
    return path


def test_archives_that_are_not_as_torch_writes_them_are_refused(tmp_path):
    top = "zip_plain"
    _rezip(tmp_path / "fine")
    assert open_checkpoint(tmp_path / "fine")["fc.bias"].numpy().shape == (5,)
    for extra, part in (
        ([(f"{top}/data/0", b"")], "twice"),
        ([("other/data.pkl", b"")], "2 records data.pkl"),
        ([(f"{top}/data/../../x", b"")], "storage key"),
        ([(f"{top}/constants.pkl", b"")], "TorchScript"),
    ):
        assert part in _refusal(_rezip(tmp_path / "file", extra=extra))
    assert "compressed record" in _refusal(_rezip(tmp_path / "file", zipfile.ZIP_DEFLATED))
    assert "0 records data.pkl" in _refusal(_rezip(tmp_path / "file", drop=[f"{top}/data.pkl"]))


def test_headers_of_safetensors_that_lie_are_refused(tmp_path):
    def entry(begin, end, dtype="F32", shape="[2]"):
        return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'

    for header, part in (
        (f'{{"a":{entry(0, 8)}}}', "8 of 16 bytes"),
        (f'{{"a":{entry(0, 8)},"b":{entry(4, 12)}}}', "begin at 4"),
        (f'{{"a":{entry(0, 8)},"a":{entry(8, 16)}}}', "names twice: a"),
        (f'{{"a":{entry(0, 16, "U16", "[8]")}}}', "a: has dtype U16"),
        (f'{{"a":{entry(0, 16, "F32", "[4.0]")}}}', "a: has a shape"),
        (f'{{"a":{entry(0, 16, "F32", "[3]")}}}', "a: offsets 0 to 16 do not match float32 [3]"),
        (f'{{"a":{entry(16, 0)}}}', "a: has offsets"),
        (f'{{"a":{entry(0, "NaN")}}}', "NaN"),
        ('{"a":1,"b":[]}', "a: is no dtype, shape and data_offsets; b: is no"),
        ('{"__metadata__":{"a":1}}', "__metadata__"),
        ("{}", "0 of 16 bytes"),
        ("{", "malformed header"),
    ):
        (tmp_path / "file").write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(16))
        assert part in _refusal(tmp_path / "file")


def test_a_small_header_cannot_keep_the_reader_busy(tmp_path):
    # Traps: a name was looked for among all others, and a prefix taken off step by step; each took minutes.
    twice = ",".join(f'"a{i % 50_000}":1' for i in range(100_000))
    one = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    for header, problem in (
        ("{" + twice + "}", "names twice: a0, a1, .* more"),
        (json.dumps({"module." * 1_000_000 + "weight": one}), "has a name of 7000006 characters"),
    ):
        content = struct.pack("<Q", len(header)) + header.encode() + b"\x05"
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(UserError, match=problem):
            open_checkpoint(tmp_path / "file")


def test_what_is_no_readable_file_is_named(tmp_path):
    assert "is a folder" in _refusal(tmp_path)
    assert "No such file" in _refusal(tmp_path / "missing.pth")
    assert "not a regular file" in _refusal("/dev/zero")
    for content, part in (
        (b"\x1f\x8b123", "compressed file"),
        (b"\0" * 257 + b"ustar", "tar archive"),
        (b"  <html>", "web page"),
        (b"hello, this is text", "begins with"),
        (b"PK\x03\x04", "central directory missing"),
    ):
        (tmp_path / "file").write_bytes(content)
        assert part in _refusal(tmp_path / "file")


def test_names_of_one_storage_may_not_disagree_about_it(tmp_path):
    other = ONE_STORAGE.replace(b"FloatStorage", b"IntStorage")
    tail = b"K\0K\x04\x85K\x01\x85\x89NtR"
    pickled = b"\x80\x02}(X\x02\0\0\0aw" + ONE_STORAGE + tail + b"X\x02\0\0\0bw" + other + tail + b"u."
    assert "storage 0 has two sizes or types" in _refusal(_zip(tmp_path / "file", pickled))


def test_a_pickle_of_numpy_objects_that_are_no_numbers_is_refused(tmp_path):
    for value, part in (
        (np.array([None, 1], object), "object dtype"),
        (np.zeros(2, [("x", "f4")]), "structured dtype"),
        (np.array(["text"]), "U4 dtype"),
    ):
        (tmp_path / "file").write_bytes(pickle.dumps({"a_w": value}, 2))
        assert part in _refusal(tmp_path / "file")


def test_what_strangers_write_into_class_names_is_made_printable(tmp_path):
    builder = b"\x80\x02}U\x08a.weightctorch._utils\n_rebuild_\x1b[31m\n)Rs."
    assert "_rebuild_\\x1b[31m" in _refusal(_zip(tmp_path / "file", builder))
    weight = b"U\x08a.weight" + ONE_STORAGE + b"K\0K\x04\x85K\x01\x85\x89NtR"
    skipped = b"\x80\x02}(U\x01xcmmcv.\x1b[31m\nA\n)R" + weight + b"u."
    checkpoint = open_checkpoint(_zip(tmp_path / "file", skipped))
    assert (checkpoint.placeholders, checkpoint.others) == (("mmcv.\\x1b[31m.A",), ("x",))
