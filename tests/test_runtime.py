import os
import subprocess
import sys

import pytest

_SHOW = """
import os
from vos3d_jax import runtime
runtime.tune()
print(os.environ.get("JAX_COMPILATION_CACHE_DIR"))
"""


def _cache(**changes):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"} | changes
    run = subprocess.run(
        [sys.executable, "-c", _SHOW], env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_compiled_programs_are_kept_in_the_users_cache_by_jaxlib_and_cpu(tmp_path):
    folder = _cache(XDG_CACHE_HOME=str(tmp_path))
    assert folder.startswith(f"{tmp_path}/vos3d_jax/jaxlib-0.") and os.path.isdir(folder)


def test_what_the_user_has_set_stays(tmp_path):
    assert _cache(JAX_COMPILATION_CACHE_DIR="/mine") == "/mine"
    assert _cache(VOS3D_TUNE="0") == "None"


def test_a_cache_folder_that_cannot_be_made_is_no_reason_to_fail():
    assert _cache(XDG_CACHE_HOME="/proc/nothing") == "None"


_IN_PYTHON = """
import os, sys
if sys.argv[1] == "after jax":
    import jax
import vos3d_jax as vos
vos.build_model
import jax
print(jax.config.jax_compilation_cache_dir, os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""


@pytest.mark.parametrize("when", ["before jax", "after jax"])
def test_in_python_too_programs_are_kept_and_before_jax_the_banner_is_hidden(tmp_path, when):
    ours = ("JAX_COMPILATION_CACHE_DIR", "TF_CPP_MIN_LOG_LEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    shown = {}
    for tune in ("1", "0"):
        run = subprocess.run(
            [sys.executable, "-c", _IN_PYTHON, when], capture_output=True, text=True, check=True,
            env=environment | {"XDG_CACHE_HOME": str(tmp_path), "VOS3D_TUNE": tune},
        )  # fmt: skip
        shown[tune] = run.stdout.split()
    assert shown["1"][0].startswith(f"{tmp_path}/vos3d_jax/jaxlib-")
    # jax sets a level of its own when it is imported, and its compiler looks at it only once.
    assert shown["1"][1] == ("3" if when == "before jax" else "1")
    assert shown["0"] == ["None", "1"]  # VOS3D_TUNE=0 leaves all of it alone
