"""Keeps XLA:CPU from fusing across a chosen line, where fusing would do the same work many times.

XLA:CPU fuses a cheap producer into each of its consumers: a padded array read by 27 shifted sums, or a
transformed one read by 216 products, is then computed 27 or 216 times. `lax.optimization_barrier` does not
help (it is removed before fusion); a call that may not be inlined does. Evidence: docs/performance.md.
"""

from collections.abc import Callable, Hashable
from functools import cache, partial

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def fence(function: Callable, *static: Hashable) -> Callable:
    """Returns `function` with its first arguments given, as a call whose outputs are materialised.

    Off the CPU it is only that, no call: other backends fuse well by themselves, and a boundary would cost
    them memory traffic. With `static` arguments the function must be one of a module: it is then traced once
    for all calls with the same ones, which is what makes large networks quick to trace.
    """
    if jax.default_backend() != "cpu":
        return partial(function, *static)
    jitted = _jitted(function, *static) if static else jax.jit(function)

    def call(*arguments):
        with set_xla_metadata(inlineable="false"):
            return jitted(*arguments)

    return call


@cache
def _jitted(function, *static):
    return jax.jit(partial(function, *static))
