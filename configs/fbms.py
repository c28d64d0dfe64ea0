"""3DC-Seg as published on FBMS-59's test set: evaluation only, no training on it.

Command:   python -m vos3d_jax.main --config=configs/fbms.py --config.data_dir=FBMS --mode=evaluate
               --checkpoint=DIR
           with DIR made by: python -m vos3d_jax.port_weights convert bmvc_final.pth --output=DIR
Hardware:  any with 16 GB; every frame of 30 sequences is segmented, so better an accelerator
Time:      unknown: we never ran it
Expect:    F 84.5, MAE 0.048 ("pooled F" and "pooled MAE": all pixels of all annotated frames of the 30
           sequences in one precision-recall curve): paper, table 5. Never reproduced by us.

Frames keep their size (padded to multiples of 32), every id is foreground, only annotated frames count.
"""

from ml_collections import ConfigDict


def get_config():
    """Returns the recipe."""
    config = ConfigDict()
    config.data_dir = ""
    config.model = dict(depth=152, width=64, separation="ir", decoder_width=256)
    config.stages = ()  # nothing is trained
    config.evaluation = dict(
        benchmark="fbms",
        data=dict(name="fbms", split="test"),
        predictor=dict(clip_length=8, overlap=3, tail="code", short_edge=0),
    )
    return config
