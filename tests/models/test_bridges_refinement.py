import numpy as np
import pytest
from golden_files import assert_golden, load_json, load_npz
from golden_networks import golden_input, set_recipe_weights, torch_layout, unstacked

from vos3d_jax.models.bridges import GC3D
from vos3d_jax.models.layers import ConvSettings
from vos3d_jax.models.refinement import RF3D, Upsampling
from vos3d_jax.models.resize import resize_trilinear
from vos3d_jax.porting import rules


def make(kind, *channels, **options):
    return kind(*channels, settings=ConvSettings(np.random.default_rng(0)), **options)


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


@pytest.mark.parametrize("kind", [RF3D, Upsampling])
def test_a_refinement_resizes_with_the_corners_aligned_where_asked(kind):
    # Trap: RGMP's weights are of a PyTorch that aligned them; the difference is large.
    skip, coarse = (
        golden_input("skip", (1, 5, 2, 6, 7), -1, 1),
        golden_input("coarse", (1, 4, 1, 3, 4), -1, 1),
    )
    resized = resize_trilinear(coarse, skip.shape[1:4], align_corners=True)
    plain, aligned = make(kind, 5, 4), make(kind, 5, 4, align_corners=True)
    np.testing.assert_allclose(aligned(skip, coarse), plain(skip, resized), atol=1e-6)
    assert np.abs(aligned(skip, coarse) - plain(skip, coarse)).max() > 1e-2
