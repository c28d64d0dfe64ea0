"""Makes the helpers importable, keeps every test on the CPU, and takes the clock out of property tests."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# A busy machine is no reason to fail: no deadline, and slow drawing of examples is none of our business.
settings.register_profile("vos3d", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vos3d")
