"""What a person asks at the start of a run: on what, over what, how much of it, from where."""

from collections.abc import Sequence
from pathlib import Path

import jax
from clu.parameter_overview import count_parameters

from vos3d_jax.data.pipeline import Source
from vos3d_jax.data.video import annotated
from vos3d_jax.recipe import Config
from vos3d_jax.training import optimisers
from vos3d_jax.training.state import State


def describe(
    config: Config,
    mesh: jax.sharding.Mesh,
    state: State,
    sources: Sequence[Sequence[Source]],
    workdir: Path,
    resumed: bool,
    weights: str = "",
) -> str:
    """Returns the lines that a run begins with: devices, network, stages and their data, where it goes on.

    `weights` is the line about the first weights, of a run that begins.
    """
    device = mesh.devices.flat[0]
    lines = [
        f"run       {config.name} in {workdir}",
        f"devices   {mesh.devices.size} x {device.device_kind} ({device.platform}),"
        f" mesh data {mesh.shape['data']} x space {mesh.shape['space']}",
        f"network   {config.system}, {count_parameters(state.params):,} parameters: {_parts(state)}",
    ]
    if weights:
        lines.append(weights)
    for stage, mixture in zip(config.stages, sources, strict=True):
        trained, _ = optimisers.partition(state.params, optimisers.rate_factors(state.params, stage))
        height, width = stage.size
        lines.append(
            f"stage     {stage.name}: {stage.steps} steps of {stage.batch_size} clips"
            f" ({stage.batch_size // mesh.shape['data']} a device) of {stage.clip_length}x{height}x{width},"
            f" {stage.precision}, batch norm {stage.batch_norm},"
            f" {count_parameters(trained):,} parameters trained"
        )
        for part, source in zip(stage.data, mixture, strict=True):
            frames = f"{sum(video.length for video in source.videos)} frames in {len(source.videos)} videos"
            if part.sample.sparse:
                frames += f", {sum(len(annotated(video)) for video in source.videos)} with a mask"
            lines.append(
                f"          {part.name} {part.split} ({part.kind}): {frames}, weight {part.weight:g}"
            )
    step = int(state.step)
    if resumed:
        name = config.stages[config.stage_at(step)].name
        lines.append(f"resuming  at step {step} of {config.total_steps}, in stage {name}")
    return "\n".join(lines)


def _parts(state: State) -> str:
    counts = {name: count_parameters({name: part}) for name, part in sorted(state.params.items())}
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
