"""3DC-Seg as published on ViSal: evaluation only, no training on it.

Command:   python -m vos3d_jax.main --config=configs/visal.py --config.data_dir=ViSal --mode=evaluate
               --checkpoint=DIR
           with DIR made by: python -m vos3d_jax.port_weights convert bmvc_final.pth --output=DIR
Hardware:  any with 16 GB; 963 frames of 17 sequences, so better an accelerator
Time:      unknown: we never ran it
Expect:    F 92.2, MAE 0.019 ("pooled F" and "pooled MAE": all pixels of all annotated frames of the 17
           sequences in one precision-recall curve): paper, table 5. Never reproduced by us.

Frames and true masks are resized to a short edge of 480 first and compared there, as in the published code.
"""

from ml_collections import ConfigDict


def get_config():
    """Returns the recipe."""
    config = ConfigDict()
    config.data_dir = ""
    config.model = dict(depth=152, width=64, separation="ir", decoder_width=256)
    config.stages = ()  # nothing is trained
    config.evaluation = dict(
        benchmark="visal",
        data=dict(name="visal", split="all"),
        predictor=dict(clip_length=8, overlap=3, tail="code", short_edge=480),
    )
    return config
