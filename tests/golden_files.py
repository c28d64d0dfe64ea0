"""Where tests find golden arrays (in the checkout) and real frames (outside it, see README)."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parent / "golden"
_SHARED = Path(os.environ.get("VOS3D_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def _load_recipe():
    spec = importlib.util.spec_from_file_location("recipe", GOLDEN / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recipe = _load_recipe()


def load_npz(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / name, allow_pickle=False) as file:
        return dict(file)


def load_json(name: str):
    return json.loads((GOLDEN / name).read_text())


def shared_data(name: str) -> Path:
    """The folder of real frames; skips the test when it is not here (their licence forbids shipping)."""
    folder = _SHARED / "data" / name
    if not folder.exists():
        pytest.skip(f"real frames are not here: {folder} (set VOS3D_SHARED to the folder that holds data/)")
    return folder


def assert_golden(
    value: np.ndarray, golden: dict[str, np.ndarray], name: str, tolerance: float = 2e-5
) -> None:
    """Compares `value`, laid out as the golden's README says (PyTorch axis order), with entry `name`.

    The largest difference may be `tolerance` of the array's largest absolute value; the stored
    statistics, which see every element of a sub-sampled array, are checked too.
    """
    value = np.asarray(value, np.float64)
    expected = golden[name]
    if f"{name}__shape" not in golden:
        scale = max(np.abs(expected).max(), 1e-30)
        assert value.shape == expected.shape
        assert np.abs(value - expected).max() <= tolerance * scale
        return
    assert value.shape == tuple(golden[f"{name}__shape"])
    mean, deviation, total, largest = golden[f"{name}__stats"]
    sample = value.reshape(-1)[:: int(golden[f"{name}__step"])]
    error = np.abs(sample - np.asarray(expected).reshape(-1)).max()
    assert error <= tolerance * largest, (
        f"{name}: {error / largest:.2e} of the maximum, allowed {tolerance:.0e}"
    )
    assert abs(value.mean() - mean) <= tolerance * largest
    assert abs(value.std() - deviation) <= tolerance * largest
    assert abs(np.abs(value).sum() - total) <= tolerance * total + 1e-30
    assert abs(np.abs(value).max() - largest) <= tolerance * largest
