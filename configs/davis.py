"""3DC-Seg as published: ir-CSN-152, clips from stills, then video; scored on DAVIS-2016 val.

Command:   python -m vos3d_jax.main --config=configs/davis.py --config.data_dir=DAVIS
           (davis.py:dense scores with a clip at every frame)
Hardware:  accelerators with 40 GB or more; batch_size over their number must be whole
Time:      unknown: we never ran it to its end
Expect:    J&F 84.1, dense 84.5: paper, table 4. Never reproduced by us, and not to be expected of this file
           alone: the paper starts from a backbone trained on IG-65M and Kinetics (give its file with
           --config.init_from=FILE; without it the weights are random) and uses COCO in stage one,
           YouTube-VOS in stage two (here: DAVIS only).

Published: network, clip length, crop, padding, Adam, first rate (1e-5, paper), loss, batch norm as meant.
Ours: steps, decay of 0.95 an epoch (the paper states none, the released code's two decays collide), bfloat16
in place of apex O1.
"""

from ml_collections import ConfigDict

FRAMES = 2079  # of the training videos; a clip begins at each


def get_config(variant=""):
    """Returns the recipe; variant "dense" scores with overlapping clips at every frame."""
    if variant not in ("", "dense"):
        raise ValueError(f"no variant {variant!r}: davis.py or davis.py:dense")
    config = ConfigDict()
    config.seed = 0
    config.data_dir = ""
    config.init_from = ""  # a ported or trained folder, or a published file
    config.batch_size = 2
    config.checkpoint_seconds = 60.0
    epoch = FRAMES // config.get_ref("batch_size")  # steps; follows the flag --config.batch_size

    config.model = dict(
        backbone="csn",
        depth=152,
        width=64,
        separation="ir",
        bridge="gc3d",
        refinement="rf3d",
        decoder_width=256,
        remat=True,
    )

    crop = dict(short_edge=480, crop="published", crop_size=(480, 854))
    common = dict(
        size=(480, 864),  # the crop, padded to multiples of 32
        clip_length=8,
        batch_size=config.get_ref("batch_size"),
        # "1 *": a reference of its own, so that an override of decay_steps leaves the stages' steps alone
        optimiser=dict(learning_rate=1e-5, schedule="exponential", decay=0.95, decay_steps=1 * epoch),
        loss=dict(kind="cross_entropy"),
        batch_norm="frozen",
        precision="bfloat16",
    )
    pretrain = ConfigDict(dict(common, name="pretrain", steps=25 * epoch))
    pretrain.data = (dict(name="davis2016", split="train", kind="still", augmentation=crop),)

    finetune = ConfigDict(dict(common, name="finetune", steps=25 * epoch))
    finetune.data = (
        dict(name="davis2016", split="train", sampling=dict(rule="paper", gap=32), augmentation=crop),
    )

    config.stages = (pretrain, finetune)
    config.evaluation = dict(
        benchmark="davis2016_all_frames",  # the frames that the paper's figures count
        data=dict(name="davis2016", split="val"),
        predictor=dict(clip_length=8, overlap=7 if variant == "dense" else 3, tail="code", short_edge=480),
        baselines=False,
        every=5 * epoch,
        quick_videos=0,  # all of them: the scores rank the checkpoints
        quick_frames=0,
    )
    return config
