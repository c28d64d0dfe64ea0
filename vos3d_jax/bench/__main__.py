"""`python -m vos3d_jax.bench`."""

import sys

from vos3d_jax.bench import main

if __name__ == "__main__":
    sys.exit(main())
