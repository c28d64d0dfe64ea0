"""A small network of 3DC-Seg's kind, learnt from real video on a CPU, from random weights.

Command:   python -m vos3d_jax.main --config=configs/davis_small.py --config.data_dir=DAVIS-240p
           (davis_small.py:480p reads DAVIS as it is published; 240p are its frames at half the size)
Hardware:  two CPU cores
Time:      about 25 minutes
Expect:    see docs/reproducing.md. Not a benchmark result: a tiny network, 30 training videos, low
           resolution, no pretrained weights. The table compares it with "everything foreground" and with
           itself untrained.

Frames are shrunk to a short edge of 96, so that a clip shows nearly the whole scene. Stage one learns from
clips that are made of single training frames, stage two from the videos. Batch norm uses batch statistics:
from random weights the running ones mean nothing. The decoder has no norm, so the rate is low and the
gradient clipped: at 2e-3 it died within 50 steps (constant output). All of this is our choice.
"""

from ml_collections import ConfigDict


def get_config(resolution="240p"):
    """Returns the recipe for the frames in JPEGImages/`resolution`."""
    if resolution not in ("240p", "480p"):
        raise ValueError(f"no variant {resolution!r}: davis_small.py or davis_small.py:480p")
    config = ConfigDict()
    config.seed = 0
    config.data_dir = ""
    config.init_from = ""  # a ported or trained folder, or a published file
    config.batch_size = 4

    config.model = dict(depth=26, width=16, decoder_width=32)

    frames = dict(short_edge=96, crop="clip", scale=(1.0, 1.4), flip=0.5, colour=0.2)
    common = dict(size=(96, 160), clip_length=8, batch_size=config.get_ref("batch_size"), batch_norm="train")

    pretrain = ConfigDict(dict(common, name="pretrain", steps=300))
    pretrain.optimiser = dict(learning_rate=5e-4, schedule="cosine", warmup_steps=30, clip_norm=1.0)
    pretrain.data = (
        dict(
            name="davis2016",
            split="train",
            kind="still",
            options=dict(resolution=resolution),
            augmentation=frames,
            synthesis=dict(scale=(0.95, 1.05), translation=(-0.05, 0.05), rotation=(-5.0, 5.0), elastic=0.0),
        ),
    )

    finetune = ConfigDict(dict(common, name="finetune", steps=1500))
    finetune.optimiser = dict(learning_rate=5e-4, schedule="cosine", warmup_steps=30, clip_norm=1.0)
    finetune.data = (
        dict(
            name="davis2016",
            split="train",
            options=dict(resolution=resolution),
            sampling=dict(rule="code", gap=12),
            augmentation=frames,
        ),
    )

    config.stages = (pretrain, finetune)
    config.evaluation = dict(
        benchmark="davis2016_all_frames",  # J, F, T and the saliency measures in one evaluation
        data=dict(name="davis2016", split="val", options=dict(resolution=resolution)),
        predictor=dict(short_edge=96),
        baselines=True,
    )
    return config
