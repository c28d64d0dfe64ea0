import numpy as np
import pytest
from golden_files import assert_golden, load_json, load_npz
from golden_networks import golden_input, set_recipe_weights, torch_layout, unstacked

from vos3d_jax.models.bridges import GC3D
from vos3d_jax.models.layers import Setting
from vos3d_jax.models.refinement import RF3D
from vos3d_jax.porting import rules


def make(kind, *channels, **options):
    return kind(*channels, rng=np.random.default_rng(0), setting=Setting(), **options)


def recipe_names(module, case, path, theirs):
    """{path in the module: recipe name}: the module stands alone in the golden file."""
    names = rules.torch_names([f"{path}/{own}" for own in unstacked(module)], "3dcseg")
    return {
        ours.removeprefix(f"{path}/"): f"modules.{case}.{name.removeprefix(theirs)}"
        for ours, name in names.items()
    }


def golden_inputs(case):
    shapes = load_json("3dcseg/modules_manifest.json")[case]["inputs"]
    return [
        golden_input(f"dcseg.golden.modules.{case}.{i}", tuple(shape), -1, 1)
        for i, shape in enumerate(shapes)
    ]


def test_the_bridge_equals_the_original():
    bridge = make(GC3D, 6, 5, inner=256)
    set_recipe_weights(bridge, recipe_names(bridge, "GC3d", "bridge", "decoders.0.GC."))
    assert_golden(torch_layout(bridge(*golden_inputs("GC3d"))), load_npz("3dcseg/modules.npz"), "GC3d")


@pytest.mark.parametrize("case", ["Refine3d", "Refine3d_odd"])
def test_the_refinement_equals_the_original(case):
    refinement = make(RF3D, 5, 4)
    set_recipe_weights(refinement, recipe_names(refinement, case, "refine4", "decoders.0.RF4."))
    y = refinement(*golden_inputs(case))
    assert_golden(torch_layout(y), load_npz("3dcseg/modules.npz"), case)
