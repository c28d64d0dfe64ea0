import golden_files
import numpy as np
import pytest
from golden_networks import recipe_network

from vos3d_jax.inference.predictor import Predictor

GOLDEN = golden_files.load_npz("3dcseg/end_to_end.npz")


@pytest.fixture(scope="module")
def network():
    model = recipe_network("dcseg", "3dcseg", depth=152)
    bias = model.head.bias
    bias[...] = bias[...].at[1].add(-1.9)  # else everything is foreground
    return model


def _video():
    video = np.uint8(golden_files.recipe.array("dcseg.golden.end_to_end.video", (13, 45, 62, 3), 0, 256))
    return np.repeat(np.repeat(video[:, ::4, ::4], 4, axis=1), 4, axis=2)[:, :45, :62]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "overlap", "short_edge"),
    [("unchanged.code", 3, None), ("unchanged.dense", 7, None), ("short_edge.code", 3, 64)],
)
def test_the_published_network_segments_a_video_as_the_published_program_does(
    network, name, overlap, short_edge
):
    predictor = Predictor(network, overlap=overlap, short_edge=short_edge)
    means, masks = [], []
    for _, mean, fit in predictor.mean_probabilities(_video()):
        assert fit.network == tuple(GOLDEN[f"{name}.network_size"])
        means.append(mean[..., 1])
        masks.append(fit.mask_to_frame(mean.argmax(-1).astype(np.uint8)))
    golden_files.assert_golden(np.stack(means), GOLDEN, f"{name}.probability")
    # Pixels within 1e-4 of a tie may fall on either side; nearest neighbour may copy a network pixel.
    may_differ = int(GOLDEN[f"{name}.margin_below_1e-4"])
    assert (np.stack(masks) != GOLDEN[f"{name}.mask"]).sum() <= may_differ
