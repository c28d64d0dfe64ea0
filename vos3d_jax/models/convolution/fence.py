"""Keeps XLA:CPU from fusing across a chosen line, where fusing would do the same work many times.

XLA:CPU fuses a cheap producer into each of its consumers: a padded array read by 27 shifted sums, or a
transformed one read by 216 products, is then computed 27 or 216 times. `lax.optimization_barrier` does not
help (it is removed before fusion); a call that may not be inlined does. Evidence: docs/performance.md.
"""

from collections.abc import Callable

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def fence(function: Callable) -> Callable:
    """Returns `function` as a call of its own whose outputs are materialised; `function` itself off the CPU.

    Other backends fuse well by themselves, and a call boundary would cost them memory traffic.
    """
    if jax.default_backend() != "cpu":
        return function
    jitted = jax.jit(function)

    def call(*arguments):
        with set_xla_metadata(inlineable="false"):
            return jitted(*arguments)

    return call
