import jax
import numpy as np
import pytest
from flax import nnx

from vos3d_jax.errors import UserError
from vos3d_jax.models import build_model
from vos3d_jax.models.abstract import abstract_model

SMALL = {
    "dcseg": {"depth": 26, "width": 4, "decoder_width": 8, "bridge": "nl3d", "refinement": "conv_transpose"},
    "csn_classifier": {"depth": 26, "width": 4, "classes": 3, "separation": "ip"},
    "resnet3d_classifier": {"depth": 14, "width": 4, "classes": 3},
    "r2plus1d_classifier": {"depth": 18, "width": 4, "classes": 3},
}


@pytest.mark.parametrize("system", SMALL)
def test_a_network_without_numbers_has_the_shapes_and_arguments_of_one_with(system):
    abstract, real = abstract_model(system, **SMALL[system]), build_model(system, **SMALL[system])
    assert abstract.arguments == real.arguments
    shapes, arrays = (nnx.to_pure_dict(nnx.state(model)) for model in (abstract, real))
    assert jax.tree.structure(shapes) == jax.tree.structure(arrays)
    for shape, array in zip(jax.tree.leaves(shapes), jax.tree.leaves(arrays), strict=True):
        assert isinstance(shape, jax.ShapeDtypeStruct)
        assert (shape.shape, shape.dtype) == (array.shape, np.float32)


def test_unknown_arguments_are_refused_as_when_it_is_built():
    with pytest.raises(UserError, match="no argument 'deep'"):
        abstract_model("dcseg", deep=3)
