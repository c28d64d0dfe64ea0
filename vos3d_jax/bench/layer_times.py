"""Each convolution form on each layer shape of the published network (ir-CSN, GC3D, RF3D)."""

import statistics
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vos3d_jax.bench import timing
from vos3d_jax.bench.timing import torch
from vos3d_jax.models import convolution, observe
from vos3d_jax.models.abstract import abstract_model

FRAMES = 8
_UNSAID = {"encoder", "rest", "separable", "conv", "skip_residual"}  # of paths, in the names of layers


class Layer(NamedTuple):
    """One convolution of the network; `count` is how often it occurs."""

    name: str
    count: int
    size: tuple[int, int, int]
    inputs: int
    outputs: int
    kernel: tuple[int, int, int] = (1, 1, 1)
    stride: tuple[int, int, int] = (1, 1, 1)
    depthwise: bool = False

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Pads as the network does: half the kernel on each side."""
        return tuple((k // 2, k // 2) for k in self.kernel)

    @property
    def gmac(self) -> float:
        """Returns billions of multiply-adds of one direct convolution, padding counted as values."""
        positions = np.prod([-(-n // s) for n, s in zip(self.size, self.stride, strict=True)])
        inputs = 1 if self.depthwise else self.inputs
        return float(positions * np.prod(self.kernel) * inputs * self.outputs / 1e9)


def published(height: int, width: int, depth: int = 152) -> list[Layer]:
    """Returns the network's layers for clips of 8 frames, equal ones once, under the first one's name.

    `depth` is that of the encoder, a key of `BLOCKS["csn"]`; 152 is the published one.
    """
    model = abstract_model("dcseg", depth=depth)
    clip = jax.ShapeDtypeStruct((1, FRAMES, height, width, 3), jnp.uint8)
    layers: dict[tuple, Layer] = {}
    for conv in observe.convolutions(model, clip):
        geometry = conv.geometry
        name = " ".join(part for part in map(str, conv.path) if part not in _UNSAID)
        shape = (geometry.size, geometry.inputs, geometry.outputs, geometry.kernel, geometry.stride)
        layer = layers.get((shape, conv.depthwise), Layer(name, 0, *shape, conv.depthwise))
        layers[shape, conv.depthwise] = layer._replace(count=layer.count + conv.count)
    return list(layers.values())


def measure(
    size: tuple[int, int],
    dtype: str,
    depth: int = 152,
    *,
    gradients: bool = False,
    say: Callable[[str], None] = timing.silent,
) -> list[dict]:
    """Returns one row a layer: shape, GMAC, "auto"'s choice, and milliseconds of every form and of PyTorch.

    With `gradients`, "training" holds the milliseconds of forward plus both gradients, and "chosen_training"
    the choice of "auto" there. `say` is told what is measured next.
    """
    rows = []
    layers = published(*size, depth)
    for done, layer in enumerate(layers, start=1):
        say(f"layers, {FRAMES}x{size[0]}x{size[1]}: {layer.name} ({done} of {len(layers)})")
        x, kernel = _values(layer, dtype)
        choose = partial(
            convolution.choose,
            convolution.geometry_of(x.shape, kernel.shape, layer.stride, layer.padding),
            depthwise=layer.depthwise,
            dtype=jnp.dtype(dtype),
            backend=jax.default_backend(),
        )
        chosen = choose()
        forward = _forms(layer, x, kernel, gradients=False)
        row = layer._asdict() | {"gmac": layer.gmac, "chosen": chosen, "forward": _milliseconds(forward)}
        if gradients:
            row["chosen_training"] = choose(trained=True)
            row["training"] = _milliseconds(_forms(layer, x, kernel, gradients=True))
        rows.append(row)
    return rows


def _values(layer, dtype):
    generator = np.random.default_rng(0)
    x = np.maximum(generator.standard_normal((1, *layer.size, layer.inputs), np.float32), 0)
    shape = (*layer.kernel, 1 if layer.depthwise else layer.inputs, layer.outputs)
    kernel = generator.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[:4]), dtype=np.float32)
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)


def _milliseconds(functions):
    times = timing.alternate(functions, seconds=0.5)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def _forms(layer, x, kernel, gradients) -> dict[str, Callable]:
    known = convolution.DEPTHWISE_IMPLEMENTATIONS if layer.depthwise else convolution.IMPLEMENTATIONS
    geometry = convolution.geometry_of(x.shape, kernel.shape, layer.stride, layer.padding)
    functions = {
        name: _jax_form(layer, x, kernel, name, gradients)
        for name, form in known.items()
        if form.refuses(geometry) is None and _worth_timing(layer, name)
    }
    if torch is not None:
        functions["PyTorch"] = _torch_form(layer, x, kernel, gradients)
    return functions


def _worth_timing(layer, name):
    """Leaves out forms that would copy a large map many times over (they apply, and are never chosen)."""
    if name == "im2col":
        return np.prod(layer.kernel) * np.prod(layer.size) * layer.inputs < 1e8
    return name != "few_outputs" or layer.outputs <= 4


def _jax_form(layer, x, kernel, name, gradients):
    function = convolution.depthwise_conv3d if layer.depthwise else convolution.conv3d
    options = dict(stride=layer.stride, padding=layer.padding, implementation=name)
    if gradients:

        @jax.jit
        def run(x, kernel):
            y, vjp = jax.vjp(lambda x, kernel: function(x, kernel, **options), x, kernel)
            dx, dkernel = vjp(y)
            return (y, dkernel) if layer.inputs == 3 else (y, dx, dkernel)  # nobody wants the clip's gradient

        return lambda: jax.block_until_ready(run(x, kernel))
    if not layer.depthwise:
        kernel = convolution.prepare_kernel(kernel, name) or kernel
    call = jax.jit(lambda x, kernel: function(x, kernel, **options))
    return lambda: jax.block_until_ready(call(x, kernel))


def _torch_form(layer, x, kernel, gradients):
    from vos3d_jax.bench import torch_reference as reference

    clip = reference.tensor(np.asarray(x, np.float32).transpose(0, 4, 1, 2, 3), str(x.dtype))
    weight = reference.tensor(np.asarray(kernel, np.float32).transpose(4, 3, 0, 1, 2), str(x.dtype))
    padding = [before for before, _ in layer.padding]
    groups = layer.inputs if layer.depthwise else 1

    def run():
        clip.requires_grad_(gradients and layer.inputs != 3)
        weight.requires_grad_(gradients)
        with torch.set_grad_enabled(gradients):
            y = torch.nn.functional.conv3d(clip, weight, None, layer.stride, padding, groups=groups)
        if gradients:
            clip.grad = weight.grad = None
            y.backward(y.detach())
        reference.wait()

    return run
