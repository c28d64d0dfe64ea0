"""The whole network: forward and training step, beside plain lax and beside PyTorch with the same weights."""

import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vos3d_jax import models
from vos3d_jax.bench import timing
from vos3d_jax.bench.layer_times import FRAMES, published
from vos3d_jax.bench.timing import torch
from vos3d_jax.models import stacking
from vos3d_jax.training.losses import segmentation_loss

_SECONDS = 20.0  # of measuring each task
# On a CPU tens of times as slow as the others: it is run as rarely as possible, and left out of the training
# step where a step, guessed from the forward pass, takes longer than this many seconds.
_PLAIN = "plain lax"
_LONGEST_STEP = 60.0
_STEP_PER_FORWARD = 4.0


def measure(
    size: tuple[int, int], dtype: str, depth: int = 152, say: Callable[[str], None] = timing.silent
) -> list[dict]:
    """Returns one row a system and task: seconds (median), first call, memory, GFLOP/s, error to PyTorch.

    The training step is loss and gradients (frozen batch norm; all kernels and decoder biases trained), the
    optimiser not counted on either side. Plain lax is left out of it ("seconds" is None, "note" says why)
    where it would take more than a minute. `say` is told what is measured next.
    """
    name = f"network, {FRAMES}x{size[0]}x{size[1]}"
    say(f"{name}: its weights")
    model = models.build_model("dcseg", seed=0, depth=depth, dtype=dtype)
    generator = np.random.default_rng(0)
    clip = generator.integers(0, 256, (1, FRAMES, *size, 3)).astype(np.uint8)
    mask = (generator.random((1, FRAMES, *size)) > 0.7).astype(np.uint8)
    gmac = sum(layer.gmac * layer.count for layer in published(*size, depth))

    def compare(task, functions, gmac):
        return _compare(task, functions, gmac, lambda text: say(f"{name}, {task}: {text}"))

    rows = compare("forward", _forwards(model, clip, dtype, depth), gmac)
    steps = _training_steps(model, clip, mask, dtype, depth)
    guess = _STEP_PER_FORWARD * next(row["seconds"] for row in rows if row["system"] == _PLAIN)
    if guess > _LONGEST_STEP:
        del steps[_PLAIN]
        note = f"left out, about {guess:.0f} s a step"
        rows.append({"task": "training step", "system": _PLAIN, "seconds": None, "note": note})
    return rows + compare("training step", steps, 3 * gmac)


def _compare(task, functions, gmac, say):
    firsts = {}
    for name, function in functions.items():
        say(f"first call of {name}, compilation included")
        firsts[name] = timing.first_call(function)
    say(f"{', '.join(functions)} in turn, {_SECONDS:.0f} s or more")
    once = {_PLAIN} & functions.keys() if jax.default_backend() == "cpu" else ()
    times = timing.alternate(functions, seconds=_SECONDS, once=once)
    rows = []
    for name, values in times.items():
        seconds = statistics.median(values)
        first, memory, output = firsts[name]
        rows.append(
            {
                "task": task,
                "system": name,
                "seconds": seconds,
                "fastest": min(values),
                "runs": len(values),
                "compile_seconds": max(0.0, first - seconds),
                "memory_mb": memory,
                "gflops": 2 * gmac / seconds,
                "error": _error(output, firsts["PyTorch"][2]) if "PyTorch" in firsts else None,
            }
        )
    return rows


def _error(value, expected):
    return float(np.abs(value - expected).max() / np.abs(expected).max())


def _forwards(model, clip, dtype, depth):
    """Functions that return the logits [b, t, h, w, k] of the clip as a NumPy array."""
    plain = _plain(model)
    nnx.update(plain, nnx.state(model))
    on_device = jax.device_put(clip)

    def logits(network):
        run = models.prepare(network, clip)
        return lambda: np.asarray(run(on_device))

    functions = {"vos3d_jax": logits(model), _PLAIN: logits(plain)}
    if torch is None:
        return functions
    from vos3d_jax.bench import torch_reference as reference

    network, tensor = _torch_network(model, clip, dtype, depth)

    def run():
        with torch.no_grad():
            logits = network(tensor)
        reference.wait()
        return logits.permute(0, 2, 3, 4, 1).cpu().numpy()

    return functions | {"PyTorch": run}


def _training_steps(model, clip, mask, dtype, depth):
    """Functions that compute loss and gradients and return the loss as a NumPy array."""

    def trained(path, _):
        return not any(str(part).startswith("norm") for part in path)

    def of(path, value):
        return isinstance(value, nnx.Param) and trained(path, value)

    _, parameters, rest = nnx.split(model, of, ...)
    clip_on_device, mask_on_device = jax.device_put(clip), jax.device_put(mask)

    def step_of(network):
        graphdef = nnx.graphdef(network)

        @jax.jit
        def step(parameters, rest, clip, mask):
            def loss(parameters):
                return segmentation_loss(nnx.merge(graphdef, parameters, rest)(clip), mask)

            return jax.value_and_grad(loss)(parameters)

        def run():
            value, gradients = step(parameters, rest, clip_on_device, mask_on_device)
            jax.block_until_ready(gradients)
            return np.asarray(value, np.float32)

        return run

    functions = {"vos3d_jax": step_of(model), _PLAIN: step_of(_plain(model))}
    if torch is None:
        return functions
    from vos3d_jax.bench import torch_reference as reference

    network, tensor = _torch_network(model, clip, dtype, depth)
    target = torch.from_numpy(mask.astype(np.int64)).to(tensor.device)

    def run_torch():
        network.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(network(tensor), target)
        loss.backward()
        reference.wait()
        return loss.detach().cpu().numpy()

    return functions | {"PyTorch": run_torch}


def _plain(model):
    """The same network with XLA's own convolutions; its weights are still to be given."""
    return models.build_model("dcseg", **model.arguments | {"implementation": "lax"})


def _torch_network(model, clip, dtype, depth):
    from vos3d_jax.bench import torch_reference as reference

    network = reference.Network(depth)
    arrays = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))
    reference.load(network, stacking.unstack(arrays))
    reference.freeze_norms(network)
    clip = np.asarray(jnp.asarray(clip, jnp.float32)).transpose(0, 4, 1, 2, 3)
    return reference.place(network, dtype), reference.tensor(clip, "float32")
