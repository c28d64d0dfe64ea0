"""The layers that every network here is made of: convolution with bias or batch norm, residual pairs, remat.

Batch norm and initialisation follow PyTorch's conventions (except that `momentum` is the share of the *old*
running value). Everything is channels last, [batch, time, height, width, channels].
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from vos3d_jax.models import convolution

BatchNormMode = Literal["frozen", "train"]
Triple = tuple[int, int, int]
# Arrays of jax only where a network is built without numbers (`abstract`).
Initialiser = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray | Array]


@dataclasses.dataclass(frozen=True)
class ConvSettings:
    """What all layers of a network share.

    Attributes:
        rng: makes the first weights, in the order in which the layers are made.
        implementation: of the convolutions: "auto", or a name in `convolution.IMPLEMENTATIONS`.
        epsilon: added to the variance.
        momentum: the share of the old running value.
    """

    rng: np.random.Generator
    implementation: str = "auto"
    epsilon: float = 1e-5
    momentum: float = 0.9


def fan_in_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray | Array:
    """Returns PyTorch's default kernel [t, h, w, inputs, outputs]: uniform in +-1/sqrt(t h w inputs)."""
    bound = 1 / np.sqrt(np.prod(shape[:-1]))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def encoder_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray | Array:
    """Returns the encoders' kernel: normal of deviation sqrt(2 / (t h outputs)); no width, on purpose."""
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / (shape[0] * shape[1] * shape[-1])))


def normalise(
    clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"],
    mean: Sequence[float],
    std: Sequence[float],
    dtype: str,
) -> Float[Array, "b t h w 3"]:
    """Returns (clip - mean) / std in float32, or in `dtype` if that is wider; clip is RGB 0..255."""
    wide = jnp.promote_types(dtype, jnp.float32)
    return (jnp.asarray(clip, wide) - jnp.asarray(mean, wide)) / jnp.asarray(std, wide)


class BatchNorm(nnx.Module):
    """(x - mean) / sqrt(var + epsilon) * scale + bias, for each channel.

    In the mode "frozen", which every network begins in, mean and variance are the running ones, which stay:
    `affine` is all there is to compute. In the mode "train" (`nnx.view(model, batch_norm="train")`) they are
    those of the (global) batch, and a call moves the running ones: momentum * old + (1 - momentum) * batch.
    As in PyTorch the running variance takes the unbiased variance of the batch, `nnx.BatchNorm`'s takes the
    biased one; PyTorch's momentum is 1 - ours.

    Args:
        channels: of the maps.
        settings: epsilon and momentum.
    """

    def __init__(self, channels: int, settings: ConvSettings):
        self.mode: BatchNormMode = "frozen"
        self.epsilon, self.momentum = settings.epsilon, settings.momentum
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))

    def set_view(self, batch_norm: BatchNormMode | None = None) -> None:
        """Sets the mode, for `nnx.view`."""
        self.mode = batch_norm or self.mode

    def affine(self) -> tuple[Float[Array, "*stack c"], Float[Array, "*stack c"]]:
        """Returns the factor and offset per channel of running statistics, of stacked blocks too."""
        factor = self.scale[...] * jax.lax.rsqrt(self.var[...] + self.epsilon)
        return factor, self.bias[...] - self.mean[...] * factor

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        """Returns `x` normalised as the mode says, in its own dtype."""
        if self.mode == "frozen":
            factor, offset = self.affine()
            return x * factor.astype(x.dtype) + offset.astype(x.dtype)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean = wide.mean((0, 1, 2, 3))
        var = jnp.square(wide - mean).mean((0, 1, 2, 3))
        count = x.size // x.shape[-1]
        self._move(self.mean, mean)
        self._move(self.var, var * (count / max(count - 1, 1)))
        factor = jax.lax.rsqrt(var + self.epsilon) * self.scale[...]
        return ((wide - mean) * factor + self.bias[...]).astype(x.dtype)

    def _move(self, running: nnx.BatchStat, value: Array) -> None:
        old = running[...]
        value = jax.lax.stop_gradient(value).astype(old.dtype)
        running[...] = self.momentum * old + (1 - self.momentum) * value


class Conv(nnx.Module):
    """A 3-d convolution with what follows it: y[o] = sum over i, taps of x[i] kernel[taps, i, o], + bias[o].

    x is [b, t, h, w, i], padded with zeros; kernel [kt, kh, kw, i, o] (depthwise [kt, kh, kw, 1, o]); y
    [b, t2, h2, w2, o], of size (n + 2 padding - dilation (k - 1) - 1) // stride + 1 on each axis. It is
    computed in the dtype of x by the fastest form for the shapes (`models.convolution`); parameters are
    float32. In place of the bias there may be a batch norm: a frozen one puts its factor into the kernel
    inside the computation, which is the same function, gradients included, and saves a pass over the map.

    Unlike `nnx.Conv` it can be depthwise at a usable speed on a CPU, holds its norm, and pads the same amount
    on both sides ("SAME" of JAX shifts even sizes at stride 2). Unlike PyTorch's `Conv3d` it is channels
    last, and padded to keep the size, if nothing else is said; its weights begin as PyTorch's do.

    Args:
        inputs: channels of x.
        outputs: channels of y; depthwise as many as `inputs`.
        kernel_size: taps in (time, height, width).
        settings: of the network.
        stride: on each axis.
        padding: zeros on both sides of each axis; if None half the (dilated) kernel, so that at stride s an
            axis of n becomes one of ceil(n / s).
        dilation: distance of the taps on each axis.
        depthwise: each channel has its own kernel, and sees no other.
        ending: what follows: "bias", "norm" (batch norm, no bias) or "none".
        initial: makes the first kernel from (rng, shape).

    Raises:
        ValueError: a depthwise convolution of other channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Triple,
        *,
        settings: ConvSettings,
        stride: Triple = (1, 1, 1),
        padding: Triple | None = None,
        dilation: Triple = (1, 1, 1),
        depthwise: bool = False,
        ending: Literal["none", "bias", "norm"] = "bias",
        initial: Initialiser = fan_in_uniform,
    ):
        if depthwise and inputs != outputs:
            raise ValueError(f"a depthwise convolution keeps its channels, not {inputs} -> {outputs}")
        if padding is None:
            padding = tuple(k // 2 * d for k, d in zip(kernel_size, dilation, strict=True))
        kernel_shape = (*kernel_size, 1 if depthwise else inputs, outputs)
        self.stride, self.dilation, self.depthwise = stride, dilation, depthwise
        self.padding = tuple((p, p) for p in padding)
        self.implementation = settings.implementation
        self.kernel = nnx.Param(jnp.asarray(initial(settings.rng, kernel_shape)))
        bound = 1 / np.sqrt(np.prod(kernel_shape[:-1]))
        self.bias = (
            nnx.Param(jnp.asarray(settings.rng.uniform(-bound, bound, outputs), jnp.float32))
            if ending == "bias"
            else None
        )
        self.norm = BatchNorm(outputs, settings) if ending == "norm" else None

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns the convolution of `x` and what follows it."""
        kernel = self.kernel[...]
        bias = None if self.bias is None else self.bias[...]
        if self.norm is not None:
            if self.norm.mode == "train":
                return self.norm(_convolve(self, x, kernel))
            factor, bias = self.norm.affine()
            kernel = kernel * factor
        y = _convolve(self, x, kernel)
        return y if bias is None else convolution.bias_add(y, bias.astype(y.dtype))

    def geometry(self, shape: tuple[int, ...]) -> convolution.Geometry:
        """Returns the shapes of the convolution of an input of `shape`."""
        kernel_shape = self.kernel.shape[-5:]  # before these, the blocks of a stage
        return convolution.geometry_of(shape, kernel_shape, self.stride, self.padding, self.dilation)

    def folded(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns kernel and bias of the same convolution without a batch norm, for inference; on the host.

        Parameters stacked on leading axes stay so.
        """
        kernel = np.asarray(self.kernel[...])
        if self.norm is None:
            return kernel, None if self.bias is None else np.asarray(self.bias[...])
        factor, bias = (np.asarray(x) for x in self.norm.affine())
        return kernel * factor[..., None, None, None, None, :], bias


class PreparedConv(nnx.Module):
    """A `Conv` for inference: its frozen batch norm is in the kernel, which may be transformed for one form.

    Args:
        conv: what it computes; later changes of its weights do not reach this one.
        dtype: of the computation; the kernel is kept in it.
        implementation: the form to transform the kernel for, or "auto": the kernel stays as it is.
    """

    def __init__(self, conv: Conv, dtype: jax.typing.DTypeLike, implementation: str = "auto"):
        kernel, bias = conv.folded()
        kernel = jnp.asarray(kernel, dtype)
        if implementation != "auto":
            kernel = convolution.prepare_kernel(kernel, implementation)
        self.kernel = nnx.data(kernel)
        self.bias = nnx.data(None if bias is None else jnp.asarray(bias))
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.depthwise, self.implementation = conv.depthwise, conv.implementation

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns the convolution of `x` and its bias, in the dtype of `x`."""
        y = _convolve(self, x, self.kernel)
        return y if self.bias is None else convolution.bias_add(y, self.bias.astype(y.dtype))


def _convolve(layer: Conv | PreparedConv, x: Array, kernel: Array | convolution.PreparedKernel) -> Array:
    function = convolution.depthwise_conv3d if layer.depthwise else convolution.conv3d
    return function(
        x,
        kernel,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        implementation=layer.implementation,
    )


DENSE = partial(Conv, kernel_size=(3, 3, 3))


class ResidualPair(nnx.Module):
    """x + conv2(ReLU(conv1(ReLU(x)))), both 3x3x3 with bias: the decoder's repeated piece.

    Some refinements have another `unit` than that convolution, one of them without these two ReLUs.
    """

    def __init__(
        self,
        channels: int,
        *,
        unit: Callable[..., nnx.Module] = DENSE,
        relu: bool = True,
        settings: ConvSettings,
    ):
        self.relu = relu
        self.conv1 = unit(channels, channels, settings=settings)
        self.conv2 = unit(channels, channels, settings=settings)

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        """Returns the sum, of the shape of `x`."""
        y = self.conv1(jax.nn.relu(x) if self.relu else x)
        return x + self.conv2(jax.nn.relu(y) if self.relu else y)


def as_function(
    module: nnx.Module, call: str | Callable[..., Any] = "__call__"
) -> tuple[Callable[..., tuple[Any, dict]], dict]:
    """Returns (function, state): function(state, *inputs) -> (output, moved) computes module.call(*inputs).

    For transformations (`jax.checkpoint`, `jax.lax.scan`), which want arrays instead of modules. `moved` are
    the running statistics of batch norm after the call, for `nnx.update`; an empty dict where all are frozen,
    so that nothing is carried through the transformation for naught.

    Args:
        module: in its mode of batch norm.
        call: the name of a method, or a function of (module, *inputs).
    """
    graphdef, state = nnx.split(module)
    moves = any(isinstance(m, BatchNorm) and m.mode == "train" for _, m in nnx.iter_modules(module))

    def function(state: dict, *inputs: Any) -> tuple[Any, dict]:
        copy = nnx.merge(graphdef, state, copy=True)
        output = getattr(copy, call)(*inputs) if isinstance(call, str) else call(copy, *inputs)
        return output, nnx.to_pure_dict(nnx.state(copy, nnx.BatchStat)) if moves else {}

    return function, nnx.to_pure_dict(state)


def rematerialised(module: nnx.Module, *inputs: Array) -> Array:
    """Returns module(*inputs), whose inner activations are computed again in the backward pass."""
    function, state = as_function(module)
    output, moved = jax.checkpoint(function)(state, *inputs)
    nnx.update(module, moved)
    return output
