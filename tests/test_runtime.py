import os
import subprocess
import sys

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
