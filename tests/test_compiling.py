import threading

import jax
import pytest

from vos3d_jax import compiling


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/a/cache", "longest the first time: it is kept for the next"),
        (None, "JAX_COMPILATION_CACHE_DIR=DIR keeps it"),
    ],
)
def test_a_long_compilation_tells_how_long_it_takes_ever_more_rarely(monkeypatch, folder, words):
    monkeypatch.setattr(compiling, "_FIRST", 0.01)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", folder)
    said, enough = [], threading.Event()

    def say(line):
        said.append(line)
        if len(said) == 4:
            enough.set()

    try:
        with compiling.compiling("a step", say):
            assert enough.wait(60)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert said[0] == "compiling a step"
    assert all(line.startswith("compiling, 0 s so far (") and words in line for line in said[1:4])


def test_a_short_one_is_one_line_and_a_failure_ends_it_too():
    said = []
    with pytest.raises(ZeroDivisionError), compiling.compiling("a step", said.append):
        raise ZeroDivisionError
    assert said == ["compiling a step"]
    assert "compiling" not in [thread.name for thread in threading.enumerate()]
