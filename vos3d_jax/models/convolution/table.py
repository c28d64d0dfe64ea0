"""Which implementation is used for which shape on which backend: data, with the measurements behind it.

Times are of one thread in float32, one table's row against the other forms in the same run; the runs and
the machine are in docs/performance.md. A row is used only where its implementation applies.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from vos3d_jax.models.convolution.geometry import Geometry
from vos3d_jax.models.convolution.winograd import Tile, tiles


class Rule(NamedTuple):
    """Where `holds(geometry)`, `name` is used; `evidence` says why."""

    name: str
    holds: Callable[[Geometry], bool]
    evidence: str


def _always(_: Geometry) -> bool:
    return True


def _thin(g: Geometry) -> bool:
    return sum(k > 1 for k in g.kernel) == 1


def _wide(g: Geometry) -> bool:
    return g.inputs >= 32 and g.outputs >= 32


def _rows(g: Geometry) -> int:
    return g.batch * math.prod(g.output)


CPU_DENSE = (
    Rule("dot", _always, "1x1x1: already at the peak of the matrix product"),
    Rule(
        "few_outputs",
        lambda g: g.outputs <= 4 and g.inputs >= 8 * g.outputs,
        "256->2, 8x32x56: 5.6 ms, lax 282, PyTorch 18",
    ),
    Rule(
        "time_in_channels",
        lambda g: g.inputs <= 16,
        "3->64 3x7x7 s2, 8x128x224: 27 ms, lax 216, PyTorch 19",
    ),
    Rule("im2col", _thin, "2048->256 1x7x1, 1x4x7: 1.8 ms, lax 4.5, PyTorch 2.0"),
    Rule(
        "winograd_4_4",
        lambda g: _wide(g) and min(g.output[1:]) > 4 and tiles(g, Tile(4, 4)) > 100,
        "256->256, 8x32x56: 76 ms, 2-d 339, tiles 2,4 98, PyTorch 250",
    ),
    Rule(
        "winograd_2_4",
        lambda g: _wide(g) and min(g.output[1:]) > 4 and tiles(g, Tile(2, 4)) >= 56,
        "256->256, 4x16x28: 11.5 ms, 2-d 41.6, tiles 4,4 12.7, PyTorch 52",
    ),
    Rule(
        "winograd_2_2",
        lambda g: _wide(g) and tiles(g, Tile(2, 2)) >= 24,
        "1024->256, 2x8x14: 13.4 ms, 2-d 26.8, im2col 24.8, PyTorch 25",
    ),
    Rule(
        "im2col",
        lambda g: _wide(g) and _rows(g) < 24,
        "so few positions that reading the kernel once decides",
    ),
    Rule("time_in_channels", lambda g: g.kernel[0] <= 3, "256->256, 1x4x7: 0.46 ms, im2col 0.50, lax 1.9"),
    Rule("lax", _always, "right for every shape"),
)

# Where the kernel changes with every call, Winograd has to transform it (and its gradient) every time.
CPU_DENSE_TRAINED = (
    *CPU_DENSE[:4],
    Rule(
        "im2col",
        lambda g: _wide(g) and _rows(g) <= 512 and tiles(g, Tile(2, 2)) < 56,
        "1024->256, 2x8x14, forward and backward: 106 ms, tiles 2,2 161, 2-d 134",
    ),
    Rule(
        "time_in_channels",
        lambda g: g.kernel[0] <= 3 and g.outputs < 64 and tiles(g, Tile(4, 4)) <= 100,
        "32->32, 4 clips of 2x6x10, forward and backward: 0.5 ms, tiles 2,2 1.2; of 4x12x20: 7.7 ms and "
        "0.4 s to compile, tiles 2,4 4.2 ms and 4.1 s",
    ),
    *CPU_DENSE[4:],
)

# In half precision the transforms of Winograd lose too much, and the products are not what costs.
CPU_DENSE_HALF = (
    Rule("dot", _always, "1x1x1 is a matrix product"),
    Rule("few_outputs", lambda g: g.outputs <= 4 and g.inputs >= 8 * g.outputs, "as in float32"),
    Rule("im2col", _thin, "as in float32"),
    Rule("time_in_channels", lambda g: g.kernel[0] <= 3, "as in float32"),
    Rule("lax", _always, "right for every shape"),
)

CPU_DEPTHWISE = (
    Rule("shifted_sums", lambda g: g.taps <= 125, "64 channels, 8x32x56: 1.8 ms, lax 457, PyTorch 7.0"),
    Rule("lax", _always, "right for every shape"),
)

ACCELERATOR_DENSE = (
    Rule("dot", _always, "1x1x1 is a matrix product"),
    Rule("lax", _always, "cuDNN and the MXU are right for it; not measured here"),
)

ACCELERATOR_DEPTHWISE = (
    Rule("shifted_sums", lambda g: g.taps <= 125, "fuses into one kernel; cuDNN has no depthwise 3-d kernel"),
    Rule("lax", _always, "right for every shape"),
)
