"""What a config says, checked: the run, its stages, their data and optimiser, the evaluation.

A config file is plain Python for people; here it becomes frozen data classes, so that a wrong key or
value is found before anything is loaded or compiled.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from vos3d_jax import schema
from vos3d_jax.constants import STRIDE
from vos3d_jax.data.samples import SAMPLES, Clip, Sample
from vos3d_jax.errors import UserError
from vos3d_jax.inference.registry import PREDICTORS

_Options = Mapping[str, Any]


@dataclass(frozen=True)
class Data:
    """One part of a stage's data mixture.

    A config sets the fields of `sample` beside the others: `kind` says which there are.

    Attributes:
        name: a row of `data.datasets.DATASETS`.
        split: which videos of it.
        kind: how samples are made of them: a row of `data.samples.SAMPLES`.
        weight: the share of this part in the mixture, relative to the others.
        options: further arguments of the reader.
        sample: the row with its own options.
    """

    name: str
    split: str = "train"
    kind: str = "clip"
    weight: float = 1.0
    options: _Options = field(default_factory=dict)
    sample: Sample = field(default=Clip(), metadata={"rows": SAMPLES, "named_by": "kind"})

    def __post_init__(self):
        if not self.weight > 0:
            raise UserError(f"data {self.name}: weight is {self.weight}: it must be above 0")


@dataclass(frozen=True)
class Group:
    """Parameters whose unstacked path matches `pattern` learn at `rate` times the rate; 0 freezes them."""

    pattern: str
    rate: float

    def __post_init__(self):
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise UserError(f"group pattern {self.pattern!r} is no regular expression: {error}") from error


@dataclass(frozen=True)
class Optimiser:
    """Adam (with decoupled decay when `weight_decay` is not 0), its schedule and parameter groups.

    Attributes:
        learning_rate: the highest rate, reached after `warmup_steps`.
        schedule: "constant", "cosine" (to 0 at the end of the stage) or "exponential" (times `decay` every
            `decay_steps`, continuously).
        clip_norm: largest global norm of the gradient; 0 leaves it alone.
        groups: the first whose pattern is found in a path counts; parameters of no group have rate 1.
    """

    learning_rate: float
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    warmup_steps: int = 0
    decay: float = 1.0
    decay_steps: int = 1
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    groups: tuple[Group, ...] = ()

    def __post_init__(self):
        if self.warmup_steps < 0 or self.decay_steps < 1:
            raise UserError(
                f"optimiser: warmup_steps is {self.warmup_steps} and decay_steps {self.decay_steps}:"
                " they must be at least 0 and 1"
            )


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        size: (height, width) of the clips the network sees, both divisible by 32; (0, 0) takes the size that
            most frames of the data have at their short edge, each side rounded to the nearest multiple of 32.
        task: what is learnt: a row of `training.tasks.TASKS`.
        loss: the task's own options, which it checks.
        batch_norm: "frozen" (running statistics; scale and bias not trained) or "train" (batch statistics).
        precision: what the network computes in; parameters and losses are float32.
    """

    name: str
    data: tuple[Data, ...]
    size: tuple[int, int]
    clip_length: int
    batch_size: int
    steps: int
    optimiser: Optimiser
    task: str = "clip"
    loss: _Options = field(default_factory=dict)
    batch_norm: Literal["frozen", "train"] = "frozen"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self):
        for name in ("clip_length", "batch_size", "steps"):
            if getattr(self, name) < 1:
                raise UserError(f"stage {self.name}: {name} is {getattr(self, name)}: it must be at least 1")
        if not self.data:
            raise UserError(f"stage {self.name}: its data mixture is empty: name at least one data set")
        if any(self.size) and any(side < STRIDE or side % STRIDE for side in self.size):
            raise UserError(
                f"stage {self.name}: size is {self.size}: both sides must be multiples of {STRIDE}, or both 0"
            )
        for part in self.data:
            crop = part.sample.augmentation.crop_size
            if crop and not all(0 < ours <= room for ours, room in zip(crop, self.size, strict=True)):
                raise UserError(
                    f"stage {self.name}: data {part.name} has crop_size {crop}: it must fit into the stage's"
                    f" size {self.size}"
                )


@dataclass(frozen=True)
class Evaluation:
    """How the trained network is scored.

    Attributes:
        benchmark: a row of `evaluation.benchmarks.BENCHMARKS`.
        data: the videos (sampling and augmentation do not apply).
        predictor: settings of the predictor of the config's system, which checks them.
        baselines: score "everything foreground" and the untrained network in the same table.
        every: during training a few frames are scored every so many steps, and the best network is kept; None
            is ten times in the whole run, 0 never.
        quick_videos, quick_frames: what is scored then: so many videos, evenly spread over the list, and of
            each so many frames in a row (those with the most masks); 0 takes all.
    """

    benchmark: str
    data: Data
    predictor: _Options = field(default_factory=dict)
    baselines: bool = False
    every: int | None = None
    quick_videos: int = 4
    quick_frames: int = 16

    def __post_init__(self):
        for name in ("every", "quick_videos", "quick_frames"):
            if (getattr(self, name) or 0) < 0:
                raise UserError(f"evaluation: {name} is {getattr(self, name)}: it must be at least 0")


@dataclass(frozen=True)
class Mesh:
    """The devices as axes `data` (of clips; 0 takes all that are left) and `space` (of rows of a frame)."""

    data: int = 0
    space: int = 1


@dataclass(frozen=True)
class Config:
    """A whole run.

    Attributes:
        name: comes from the file (`davis.py:dense` is "davis-dense").
        stages: what the network learns from, in order; () is a config that only evaluates.
        system, model: of `models.build_model`.
        init_from: a trained or ported folder, or a published file, whose weights the run begins with; "" is
            random. Backbone files fill the encoder.
        data_dir: the folder of the data; "" for data that needs none, or for the reader's own default.
        batch_size: what the stages' own may refer to (`config.get_ref`), so that one flag changes them all.
        checkpoint_seconds: how old the last checkpoint may get.
        log_seconds: how far apart progress lines are where the output is no terminal.
        log_steps: how many steps one line of `metrics.jsonl` is the mean of.
    """

    name: str
    stages: tuple[Stage, ...]
    evaluation: Evaluation
    system: str = "dcseg"
    model: _Options = field(default_factory=dict)
    seed: int = 0
    init_from: str = ""
    data_dir: str = ""
    batch_size: int | None = None
    mesh: Mesh = Mesh()
    checkpoint_seconds: float = 10.0
    log_seconds: float = 5.0
    log_steps: int = 10

    def __post_init__(self):
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise UserError(f"config {self.name}: stages must have different names: {names}")
        if self.log_steps < 1:
            raise UserError(f"config {self.name}: log_steps is {self.log_steps}: it must be at least 1")
        if self.batch_size is not None and all(one.batch_size != self.batch_size for one in self.stages):
            raise UserError(
                f"config {self.name}: batch_size is {self.batch_size}, but no stage has it: its stages must"
                ' refer to it (batch_size=config.get_ref("batch_size"));'
                " or set '--config.stages[0].batch_size'"
            )
        if kind := PREDICTORS.get(self.system):
            settings = schema.parse(self.evaluation.predictor, kind, "config.evaluation.predictor")
            # All of them, so that a run knows what it was begun with.
            object.__setattr__(self, "evaluation", replace(self.evaluation, predictor=asdict(settings)))

    @property
    def total_steps(self) -> int:
        """Steps of all stages together; the step of a state counts through them."""
        return sum(stage.steps for stage in self.stages)

    @property
    def score_every(self) -> int:
        """Steps from one scoring of held-out frames to the next; 0 where there is none during training."""
        every = self.evaluation.every
        return math.ceil(self.total_steps / 10) if every is None else every

    def require_stages(self) -> None:
        """Returns if there is something to train.

        Raises:
            UserError: the config only evaluates.
        """
        if not self.stages:
            raise UserError(
                f"config {self.name} has nothing to train: add --mode=evaluate --checkpoint=DIR, the folder"
                " of a trained or converted network"
            )

    def stage_at(self, step: int) -> int:
        """Returns the index of the stage of step `step` (0-based); the last one when all are done."""
        for index in range(len(self.stages) - 1):
            if step < self.first_step(index + 1):
                return index
        return len(self.stages) - 1

    def first_step(self, index: int) -> int:
        """Returns the step at which stage `index` begins."""
        return sum(stage.steps for stage in self.stages[:index])


def parse(values: Mapping[str, Any]) -> Config:
    """Returns the run that plain `values` (dicts, tuples, numbers, strings) say.

    Raises:
        UserError: an unknown or missing key, or a value of another type; it names the key by its path.
    """
    return schema.parse(values, Config, "config")


def plain(config: Config) -> dict[str, Any]:
    """Returns the JSON values that `parse` makes `config` of."""
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    parts = [part for stage in values["stages"] for part in stage["data"]]
    for part in [*parts, values["evaluation"]["data"]]:
        part |= part.pop("sample")
    return values
