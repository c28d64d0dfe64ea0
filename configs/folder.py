"""Your own videos: a small network from random weights, or the published one trained further.

Command:   python -m vos3d_jax.main --config=configs/folder.py --config.data_dir=VIDEOS
           VIDEOS/<video>/frames/00000.jpg and VIDEOS/<video>/masks/00000.png; docs/training.md says more
           folder.py:sparse      only some of the frames have a mask
           folder.py:published   3DC-Seg's architecture at a short edge of 480, for accelerators; give it
                                 converted weights: --config.init_from=3dc-seg
           folder.py:published-sparse
Hardware:  two CPU cores (published: an accelerator with 40 GB or more)
Time:      about 15 minutes (published: never run by us)
Expect:    see docs/training.md; a small network learns little from few videos. --config.init_from=WORKDIR
           goes on from the network of another run, for example of davis_small.py, which is the same network.

The clips' size is taken from the data: the size that most frames have at their short edge, in multiples of
32. Stage one learns from clips that are made of single frames, stage two from the videos.
"""

from ml_collections import ConfigDict

VARIANTS = ("", "sparse", "published", "published-sparse")


def get_config(variant=""):
    """Returns the recipe; `variant` is one of `VARIANTS`."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}: folder.py, or folder.py: with {', '.join(VARIANTS[1:])}")
    published, sparse = "published" in variant, "sparse" in variant
    config = ConfigDict()
    config.seed = 0
    config.data_dir = ""
    config.init_from = ""  # a ported or trained folder, or a published file
    config.batch_size = 2 if published else 4

    if published:
        short_edge = 480
        config.model = dict(depth=152, width=64, separation="ir", decoder_width=256, remat=True)
        how = dict(batch_norm="frozen", precision="bfloat16")
        rate = 1e-5
    else:
        short_edge = 96
        config.model = dict(depth=26, width=16, decoder_width=32)
        how = dict(batch_norm="train")  # from random weights the running statistics mean nothing
        rate = 5e-4

    data = dict(
        name="folder",
        split="train",
        sparse=sparse,
        options=dict(strict=not sparse),
        augmentation=dict(short_edge=short_edge, crop="clip", scale=(1.0, 1.4), flip=0.5, colour=0.2),
    )
    common = dict(size=(0, 0), clip_length=8, batch_size=config.get_ref("batch_size"), **how)
    common["optimiser"] = dict(learning_rate=rate, schedule="cosine", warmup_steps=20, clip_norm=1.0)

    pretrain = ConfigDict(dict(common, name="pretrain", steps=200))
    gentle = dict(scale=(0.95, 1.05), translation=(-0.05, 0.05), rotation=(-5.0, 5.0), elastic=0.0)
    pretrain.data = (dict(data, kind="still", synthesis=gentle),)

    finetune = ConfigDict(dict(common, name="finetune", steps=800))
    finetune.data = (dict(data, sampling=dict(rule="code", gap=12)),)

    config.stages = (pretrain, finetune)
    config.evaluation = dict(
        benchmark="folder",
        data=dict(name="folder", split="val"),
        predictor=dict(short_edge=short_edge),
        baselines=not published,
    )
    return config
