"""Whatever is in a file, the command ends with 0 or 2 and one line, and leaves a whole folder or none."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import manifests
import pytest
from golden_files import GOLDEN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vos3d_jax import port_weights

TINY = {"depth": 14, "width": 1, "classes": 2}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network of a hundred numbers in every container."""
    folder = tmp_path_factory.mktemp("files")
    torch_names = manifests.recipe_tensors("csn_classifier", "vmz", **TINY)
    caffe2_names = manifests.recipe_tensors("csn_classifier", "caffe2", **TINY)
    return {
        "zip": manifests.write(folder / "zip.pth", torch_names),
        "legacy": manifests.write_legacy(folder / "legacy.pth", torch_names),
        "safetensors": manifests.write(folder / "plain.safetensors", torch_names),
        "caffe2": manifests.write(folder / "caffe2.pkl", caffe2_names),
    }


def _sweep(folder, step, canary, *files):
    script = Path(__file__).parent / "command_sweep.py"
    done = subprocess.run(
        [sys.executable, script, folder, str(step), canary, *files], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "container",
    [
        pytest.param("zip", marks=pytest.mark.slow),
        pytest.param("legacy", marks=pytest.mark.slow),
        "safetensors",
        "caffe2",
    ],
)
def test_flips_and_cuts_of_a_file_end_with_one_line_or_a_whole_folder(files, container, tmp_path):
    told = _sweep(tmp_path, 20, tmp_path / "canary", files[container])
    assert told["faults"] == []
    # Nothing in the header of safetensors can be changed without notice.
    assert set(told["exits"]) == ({"2"} if container == "safetensors" else {"0", "2"})
    assert sum(told["exits"].values()) > 400
    assert told["growth"] < 200 << 20


def test_flips_and_cuts_of_files_that_want_to_run_something_run_nothing(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            import os

            return os.mkdir, (str(canary),)

    pickled = pickle.dumps({"fc.weight": Evil()}, protocol=2)
    pickle.loads(pickled)
    canary.rmdir()  # it does work where a pickle is believed
    (tmp_path / "evil.pkl").write_bytes(pickled)
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    head += pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    (tmp_path / "evil_legacy.pth").write_bytes(head + pickled + pickle.dumps([], 2))
    told = _sweep(tmp_path, 1, canary, *(tmp_path / n for n in ("evil.pkl", "evil.pth", "evil_legacy.pth")))
    assert told["faults"] == [] and set(told["exits"]) == {"2"}
    assert told["growth"] < 200 << 20


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_random_bytes_anywhere_never_end_in_a_traceback(files, tmp_path, capsys, data):
    hostile = sorted((GOLDEN / "checkpoints/hostile").iterdir())
    content = bytearray(data.draw(st.sampled_from([*files.values(), *hostile])).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    (tmp_path / "weights").write_bytes(content)
    code = port_weights.main(["inspect", str(tmp_path / "weights")])
    lines = capsys.readouterr().err.splitlines()
    assert (code, len(lines)) in ((0, 0), (2, 1))
