"""Both stages, evaluation and pictures on generated videos, with a tiny network: see that everything works.

Command:   python -m vos3d_jax.main --config=configs/demo.py
Hardware:  any; two CPU cores are enough
Time:      about 5 minutes, compilation included
Expect:    J of 0.85 (at least 0.80) on 12 held-out generated videos, where everything-foreground has 0.19
           (our own data and figure; compares with nothing published)

Batch norm uses batch statistics in both stages, because the network starts from random weights.
"""

from ml_collections import ConfigDict

SIZE = (64, 96)


def get_config():
    """Returns the recipe."""
    config = ConfigDict()
    config.seed = 0
    config.batch_size = 4

    config.model = dict(depth=14, width=8, decoder_width=16)

    frames = dict(short_edge=None, flip=0.5)
    pretrain = ConfigDict()
    pretrain.name = "pretrain"
    pretrain.data = (
        dict(
            name="moving_shapes",
            split="stills",
            kind="still",
            options=dict(count=600, length=1, size=SIZE),
            augmentation=frames,
            # Gentle: eight of the published steps can shrink a small object to a few pixels.
            synthesis=dict(scale=(0.93, 1.07), translation=(-0.05, 0.05), rotation=(-6.0, 6.0), elastic=0.0),
        ),
    )
    pretrain.size, pretrain.clip_length, pretrain.batch_size = SIZE, 8, config.get_ref("batch_size")
    pretrain.steps = 400
    pretrain.optimiser = dict(learning_rate=3e-3, schedule="cosine", warmup_steps=20, clip_norm=1.0)
    pretrain.batch_norm = "train"

    finetune = ConfigDict()
    finetune.name = "finetune"
    finetune.data = (
        dict(
            name="moving_shapes",
            split="train",
            options=dict(count=120, length=24, size=SIZE),
            sampling=dict(rule="code", gap=8),  # frames in a row, as the predictor gives them
            augmentation=frames,
        ),
    )
    finetune.size, finetune.clip_length, finetune.batch_size = SIZE, 8, config.get_ref("batch_size")
    finetune.steps = 900
    finetune.optimiser = dict(learning_rate=2e-3, schedule="cosine", warmup_steps=10, clip_norm=1.0)
    finetune.batch_norm = "train"

    config.stages = (pretrain, finetune)
    config.evaluation = dict(
        benchmark="moving_shapes",
        data=dict(name="moving_shapes", split="val", options=dict(count=12, length=24, size=SIZE)),
        predictor=dict(short_edge=0),
        baselines=True,
    )
    return config
