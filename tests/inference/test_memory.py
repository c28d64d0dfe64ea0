"""What a network needs in memory, what there is, and that too large a video is refused with the mend."""

import re
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from vos3d_jax import models
from vos3d_jax.errors import UserError
from vos3d_jax.inference import memory
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.sizes import Fit
from vos3d_jax.models import convolution
from vos3d_jax.models.description import remember

MB = 1 << 20


def _chain(clip):
    """Maps of 4, 4 and 4 times the clip's bytes, of which no three live at once, but for the first."""
    first = clip.astype(jnp.float32)
    second = jnp.sin(first)
    third = jnp.cos(second)
    return third + first


def test_a_map_lives_from_the_step_that_makes_it_to_the_last_that_reads_it():
    shape = (1, 2, 8, 8, 3)
    pixels = 2 * 8 * 8 * 3
    assert memory.activations(lambda clip: clip.astype(jnp.float32), shape) == 4 * pixels
    # first, second and third; then first, third and the sum
    assert memory.activations(_chain, shape) == 3 * 4 * pixels
    # within another function, and in a loop of any length, the same
    assert memory.activations(jax.jit(_chain), shape) == 3 * 4 * pixels
    weights = jnp.ones((1000, 1000))
    assert memory.activations(lambda clip: _chain(clip) * weights[0, 0], shape) < weights.nbytes

    def repeated(clip):
        return jax.lax.scan(lambda x, _: (_chain(x), None), clip.astype(jnp.float32), length=50)[0]

    assert 3 * 4 * pixels <= memory.activations(repeated, shape) <= 5 * 4 * pixels


@pytest.mark.parametrize("implementation", ["lax", "winograd_2_2", "im2col"])
def test_the_estimate_is_what_the_compiler_allots(implementation):
    kernel = jnp.ones((3, 3, 3, 8, 8))

    def run(clip):
        x = jnp.concatenate([clip.astype(jnp.float32)] * 3, -1)[..., :8]
        for _ in range(2):
            x = x + convolution.conv3d(
                jax.nn.relu(x), kernel, padding=((1, 1),) * 3, implementation=implementation
            )
        return x

    shape = (1, 4, 32, 64, 3)
    compiled = jax.jit(run).lower(jax.ShapeDtypeStruct(shape, np.uint8)).compile().memory_analysis()
    allotted = compiled.temp_size_in_bytes + compiled.output_size_in_bytes
    assert 1 <= memory._MARGIN * memory.activations(run, shape) / allotted <= 2


def _run(clip):
    return clip[..., :2] * jnp.float32(1)


@given(
    size=st.tuples(st.integers(64, 5000), st.integers(64, 5000)),
    edge=st.sampled_from([None, 480, 1080]),
    free=st.integers(0, 60 * 1024 * MB),
)
def test_what_does_not_fit_is_refused_with_a_size_that_does(size, edge, free):
    fit = Fit(size, edge)
    shape = (1, 8, *fit.network, 3)
    try:
        memory.require(_run, shape, fit, free)
    except UserError as error:
        said = str(error)
        assert f"clips of 8 frames of {shape[3]}x{shape[2]} need about" in said and "\n" not in said
        proposed = re.search("--short_edge=([0-9]+)", said)
        if proposed is None:
            assert "end other programs" in said
        else:
            smaller = Fit(size, int(proposed[1]))
            assert smaller.network < fit.network
            memory.require(_run, (1, 8, *smaller.network, 3), smaller, free)
    else:
        assert free >= memory._COMPILER + memory._MARGIN * memory.activations(_run, shape)


@pytest.mark.parametrize(
    ("gigabytes", "size", "edge", "mend"),
    [
        (5.5, (2160, 3840), 480, None),  # a machine of 8 GB, and 4k as published
        (5.5, (2160, 3840), None, "--short_edge=720"),
        (21.5, (2160, 3840), None, "--short_edge=1080"),  # a machine of 24 GB
        (21.5, (1080, 1920), None, None),
    ],
)
def test_machines_of_8_and_of_24_gigabytes_segment_what_fits(gigabytes, size, edge, mend):
    def decoder(
        clip,
    ):  # as much as the published network: seven maps of 256 channels at a quarter of the size
        shape = (*clip.shape[:2], clip.shape[2] // 4, clip.shape[3] // 4, 256)
        maps = [jnp.full(shape, k * clip[0, 0, 0, 0, 0], jnp.float32) for k in range(6)]
        return sum(maps[::-1])

    fit = Fit(size, edge)
    shape = (1, 8, *fit.network, 3)
    if mend is None:
        memory.require(decoder, shape, fit, int(gigabytes * 1e9))
    else:
        with pytest.raises(UserError, match=mend):
            memory.require(decoder, shape, fit, int(gigabytes * 1e9))


def test_where_nothing_is_known_nothing_is_refused():
    fit = Fit((100_000, 100_000), None)
    memory.require(_run, (1, 8, *fit.network, 3), fit, None)


def _tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"memory.max": 500, "memory.current": 200}, [300]),
        ("0::/\n", {"memory.max": "max\n", "memory.current": 200}, []),
        (  # a limit holds for all groups below
            "0::/user/job\n",
            {
                "user/job/memory.max": 900,
                "user/job/memory.current": 100,
                "user/memory.max": 700,
                "user/memory.current": 600,
                "user/memory.stat": "anon 500\ninactive_file 50\n",
            },
            [800, 150],
        ),
        (  # within a container the group's own name may not be there
            "0::/outside/it\n",
            {"memory.max": 500, "memory.current": 100},
            [400],
        ),
        (
            "4:memory:/job\n3:cpuset:/\n0::/\n",
            {"memory/job/memory.limit_in_bytes": 800, "memory/job/memory.usage_in_bytes": 300},
            [500],
        ),
        ("", {}, []),
    ],
)
def test_the_limits_of_control_groups_are_read_in_both_versions(tmp_path, own, files, expected):
    _tree(tmp_path / "fs", files)
    _tree(tmp_path, {"cgroup": own})
    assert list(memory._of_groups(tmp_path / "fs", tmp_path / "cgroup")) == expected


def test_this_machine_says_how_much_is_free():
    assert memory.available() > 100 * MB


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
def test_under_a_limit_of_memory_a_large_video_is_refused_and_the_mend_works():
    script = """
        import re, resource, sys
        import jax, numpy as np
        from vos3d_jax import models
        from vos3d_jax.errors import UserError
        from vos3d_jax.inference.predictor import Predictor

        model = models.build_model("dcseg", depth=14, width=8, decoder_width=16, seed=0)
        jax.numpy.ones(1).block_until_ready()
        used = int(re.search("VmSize:\\\\s+([0-9]+)", open("/proc/self/status").read())[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (used + (2200 << 20),) * 2)
        video = np.zeros((8, 1080, 1920, 3), np.uint8)
        try:
            next(Predictor(model, short_edge=0).stream(video))
        except UserError as error:
            print(error)
            edge = int(re.search("short_edge=([0-9]+)", str(error))[1])
        print(next(Predictor(model, short_edge=edge).stream(video)).mask.shape)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    refused, shape = done.stdout.splitlines()
    print(refused)
    assert "clips of 8 frames of 1920x1088 need about" in refused
    assert shape == "(1080, 1920)"


def test_running_out_of_memory_all_the_same_is_one_line():
    with pytest.raises(UserError, match="not enough for clips of 8 frames .* give a smaller --short_edge"):
        with memory.exhaustion_told("8 frames of 64x64"):
            np.ones((1 << 50,), np.uint8)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        with memory.exhaustion_told("8 frames of 64x64"):
            raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def test_a_network_trained_on_small_frames_sees_larger_ones_small_unless_told_otherwise(monkeypatch):
    shapes, said = [], []

    def prepare(model, clip):
        shapes.append(clip.shape[2:4])
        return _run

    monkeypatch.setattr(models, "prepare", prepare)
    video = np.zeros((2, 100, 200, 3), np.uint8)
    model = nnx.Module()
    model.system = "dcseg"
    remember(model, {"clip_length": 2, "overlap": 0, "short_edge": 0, "trained_edge": 64}, "a test")
    for settings in ({}, {"short_edge": 0}, {"short_edge": 32}):
        list(Predictor(model, announce=said.append, **settings).stream(video))
    assert shapes == [(64, 128), (128, 224), (32, 64)]
    assert [line for line in said if "trained" in line] == [
        "frames of 200x100 enter the network with a shorter side of 64 pixels, for which it was trained; "
        "give short_edge to choose another (0: theirs)"
    ]
