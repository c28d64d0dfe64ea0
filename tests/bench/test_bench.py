"""What the bench counts and prints; its timings are no test."""

import numpy as np
import pytest

from vos3d_jax import bench
from vos3d_jax.bench import layer_times, network_times, report, timing
from vos3d_jax.constants import BLOCKS


@pytest.mark.parametrize("size, gmac", [((128, 224), 10.58 + 149.59), ((64, 96), 2.27 + 32.05)])
def test_the_layers_add_up_to_the_published_networks_multiply_adds(size, gmac):
    """The right side is from spec-3dc-seg 2.4, counted by PyTorch hooks without the unused heads."""
    total = sum(layer.gmac * layer.count for layer in layer_times.published(*size))
    assert total == pytest.approx(gmac, abs=0.01 * gmac)


@pytest.mark.parametrize("depth", BLOCKS["csn"])
def test_the_layers_are_those_of_the_depth(depth):
    found = layer_times.published(32, 64, depth)
    assert all(layer.count > 0 for layer in found)
    assert sum(layer.count for layer in found if layer.depthwise) == sum(BLOCKS["csn"][depth])


def test_functions_run_in_turn_and_slow_ones_once_more():
    calls = []

    def work(name, amount):
        return lambda: (calls.append(name), sum(range(amount)))

    times = timing.alternate({"quick": work("quick", 100_000), "slow": work("slow", 3_000_000)}, seconds=0.0)
    assert calls[:4] == ["quick", "slow", "quick", "slow"]
    assert len(times["quick"]) == 5 and len(times["slow"]) == 1
    calls.clear()
    times = timing.alternate({"quick": work("quick", 9), "rare": work("rare", 9)}, seconds=0.0, once={"rare"})
    assert len(times["quick"]) == 5 and len(times["rare"]) == calls.count("rare") == 1


def test_a_layer_is_measured_in_every_form_that_applies(monkeypatch):
    few = [
        layer_times.Layer("tiny", 1, (2, 4, 4), 8, 2, (3, 3, 3)),
        layer_times.Layer("depthwise", 3, (2, 4, 4), 8, 8, (3, 3, 3), (2, 2, 2), True),
    ]
    monkeypatch.setattr(layer_times, "published", lambda height, width, depth: few)
    rows = layer_times.measure((16, 16), "float32")
    assert {"lax", "winograd_2_2", "time_in_channels", "im2col", "few_outputs"} <= rows[0]["forward"].keys()
    assert rows[1]["chosen"] == "shifted_sums" and rows[1]["forward"].keys() >= {"lax", "shifted_sums"}
    machine = dict(
        date="2026-01-01",
        device="a CPU",
        backend="cpu",
        threads=2,
        jax="0",
        torch=None,
        XLA_FLAGS="",
        VOS3D_TUNE="1",
        load=0.0,
        matmul_peak=100.0,
    )
    timed = [
        dict(
            task="forward",
            system=system,
            seconds=seconds,
            fastest=seconds,
            runs=5,
            compile_seconds=1.0,
            memory_mb=10.0,
            gflops=5.0,
            error=None,
        )
        for system, seconds in (("vos3d_jax", 1.0), ("PyTorch", 4.0))
    ]
    note = "left out, about 96 s a step"
    timed.append(dict(task="training step", system="plain lax", seconds=None, note=note))
    entry = {"size": (16, 16)}
    text = report.markdown(
        {"machine": machine, "layers": [entry | {"rows": rows}], "network": [entry | {"rows": timed}]}
    )
    assert "| forward | vos3d_jax | 1.000 | 0.250 |" in text
    assert "| training step | plain lax: left out, about 96 s a step | |" in text.replace("|  ", "| ")
    assert "| depthwise | 3 | 2x4x4 | 8->8 | 3x3x3 /2 |" in text


def test_wrong_arguments_are_one_line_and_status_two(tmp_path, capsys):
    assert bench.main(["--json", str(tmp_path / "missing" / "x.json")]) == 2
    assert "missing/x.json cannot be written (No such file" in capsys.readouterr().err
    assert bench.main(["--json", str(tmp_path / "x.json"), "--markdown", str(tmp_path)]) == 2
    assert f"{tmp_path} cannot be written (Is a directory)" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--size", "128"])
    assert "'128' is not HEIGHTxWIDTH" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--dept", "14"])
    assert "unknown flag --dept: did you mean --depth?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--depth", "3"], "--depth 3: the encoder has 14, 26, 50, 101, 152"),
        (["--threads", "0"], "--threads 0: this process may use 1 to"),
        (["--network", "--size", "30x64"], "--size 30x64: the network is measured at multiples of 4"),
    ],
)
def test_values_that_cannot_be_measured_are_refused_before_anything_is(
    monkeypatch, capsys, arguments, message
):
    monkeypatch.setattr(timing, "machine", lambda: pytest.fail("it measured"))
    assert bench.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_tables_fit_80_columns_and_have_no_empty_ones(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    times = {"time_in_channels": 1234.5, "lax": 20.94, "winograd_4_4": 2.5, "im2col": 3.0}
    row = {"name": "stage 1 first reduce", "chosen": "time_in_channels", "forward": times}
    report.show_layers((32, 64), [row | {"chosen_training": "lax", "training": times}])
    numbers = dict(gflops=5.0, compile_seconds=1.0, memory_mb=10.0, error=None, runs=5)
    torch = dict(task="training step", system="PyTorch", seconds=2.0, **numbers | {"error": 1e-6})
    note = "left out, about 96 s a step"
    report.show_network(
        (32, 64),
        [
            dict(task="training step", system="vos3d_jax", seconds=1.0, **numbers),
            dict(task="training step", system="plain lax", seconds=None, note=note),
        ],
    )
    printed = capsys.readouterr().out
    assert "stage 1 first reduce time_in_channels 1234 20.9 winograd_4_4 2.50" in printed
    assert "forward and gradients" in printed and "PyTorch" not in printed and "error" not in printed
    assert f"training step, plain lax: {note}" in printed
    ours = torch | {"memory_mb": 67000.0, "seconds": 12.345, "system": "vos3d_jax"}
    report.show_network((32, 64), [ours, torch])
    printed += capsys.readouterr().out
    assert "training step vos3d_jax" in printed and "training step PyTorch" in printed
    assert "PyTorch's" in printed and "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_what_is_measured_is_said_on_stderr(monkeypatch, capsys):
    few = [layer_times.Layer("tiny", 1, (1, 2, 2), 2, 2)]
    monkeypatch.setattr(layer_times, "published", lambda height, width, depth: few)
    monkeypatch.setattr(layer_times, "_milliseconds", lambda functions: dict.fromkeys(functions, 1.0))
    with report.progress() as say:
        layer_times.measure((8, 8), "float32", say=say)
    assert capsys.readouterr().err == "measuring layers, 8x8x8: tiny (1 of 1)\n"


@pytest.mark.parametrize("longest, left_out", [(1e9, False), (0.0, True)])
def test_the_network_is_timed_beside_plain_lax_forward_and_training(monkeypatch, longest, left_out):
    calls = []

    def functions(*_):
        return {
            name: lambda name=name: (calls.append(name), np.ones(2))[1]
            for name in ("vos3d_jax", "plain lax", "PyTorch")
        }

    monkeypatch.setattr(network_times.models, "build_model", lambda *_, **__: None)
    monkeypatch.setattr(network_times, "_forwards", functions)
    monkeypatch.setattr(network_times, "_training_steps", functions)
    monkeypatch.setattr(network_times, "_LONGEST_STEP", longest)
    monkeypatch.setattr(network_times, "_SECONDS", 0.0)
    rows = network_times.measure((32, 32), "float32", depth=14)
    plain = [row for row in rows if row["system"] == "plain lax"]
    assert [row["task"] for row in plain] == ["forward", "training step"]
    assert (plain[1]["seconds"] is None) == left_out and len(rows) == 6
    assert calls.count("plain lax") == (2 if left_out else 4)  # the call that compiles and one more
    assert all(row["error"] == 0 for row in rows if row["seconds"] is not None)


@pytest.mark.slow
def test_the_torch_reference_computes_what_the_network_computes():
    torch = pytest.importorskip("torch")
    import jax
    from flax import nnx

    from vos3d_jax import models
    from vos3d_jax.bench import torch_reference
    from vos3d_jax.models import stacking

    model = models.build_model("dcseg", seed=0, depth=14, implementation="lax")
    network = torch_reference.Network(14)
    arrays = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))
    torch_reference.load(network, stacking.unstack(arrays))
    torch_reference.freeze_norms(network)
    clip = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3)).astype(np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(clip.astype(np.float32).transpose(0, 4, 1, 2, 3)))
    logits = np.asarray(models.forward(model, clip)).transpose(0, 4, 1, 2, 3)
    assert np.abs(logits - expected.numpy()).max() <= 2e-5 * np.abs(logits).max()
