"""What the card of a model tells people: where its weights are from, and why masks cannot be good."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_GENERATED = ("moving_shapes",)  # data sets without a real video
_EARLY = 0.1  # of a training's steps
# What a card has to be where it is anything: it may be a stranger's. A list holds values of its one type.
_FORM: dict[str, Any] = {
    "system": str,
    "arguments": dict,
    "step": int,
    "score": (int, float),
    "checksums": dict,
    "config": str,
    "stage": str,
    "recent": [dict],
    "inference": {"trained_edge": int},  # the rest is checked by the predictor
    "trained": {"steps": int, "data": [str], "init_from": str},
    "source": {"kind": str, "title": str, "file": str, "sha256": str, "size": int},
    "report": {"random": [str], "allowed": [str]},
}
_REQUIRED = ("system", "arguments", "step", "checksums")


def problem(card: object) -> str | None:
    """Returns why this is no card, in one line; None for one."""
    missing = [name for name in _REQUIRED if not (isinstance(card, dict) and name in card)]
    return f"its card has no {missing[0]}" if missing else _misfit(card, _FORM, "its card")


def _misfit(value: object, form: Any, name: str) -> str | None:
    if isinstance(form, list):
        fits = isinstance(value, list) and all(isinstance(one, form[0]) for one in value)
        return None if fits else f"{name} is no list of {form[0].__name__}"
    if not isinstance(form, dict):
        return None if isinstance(value, form) else f"{name} is a {type(value).__name__}"
    if not isinstance(value, dict):
        return f"{name} is no mapping"
    inner = (_misfit(value[key], form[key], f"{name}: {key}") for key in form if key in value)
    return next(filter(None, inner), None)


def doubt(card: Mapping[str, Any]) -> str | None:
    """Returns why the masks of a network cannot be good, as one line; None where its card gives no reason.

    The rules, in this order: some of its weights are random (a backbone with a new decoder) or broken
    (`--allow` let values that are not finite through); the card names no training and no file, as that of a
    network fresh from `build_model`; less than a tenth of its training's steps are done; it was trained from
    random weights on generated videos alone.

    Args:
        card: as `storage.load_card` gives it.
    """
    report, trained = card.get("report", {}), card.get("trained")
    if random := report.get("random"):
        parts = ", ".join(dict.fromkeys(path.split("/")[0] for path in random))
        return f"{len(random)} of its tensors are random ({parts}): train it before its masks mean anything"
    if broken := [one for one in report.get("allowed", ()) if one.endswith(": broken")]:
        return f"{len(broken)} of its tensors hold values that no trained network has: its masks mean nothing"
    if trained is None:
        if "source" in card or "config" in card:
            return None
        return (
            "its card names no training and no file that its weights are from: those of a new network are "
            "random, and its masks mean nothing"
        )
    steps, data = trained.get("steps", 0), trained.get("data", [])
    if card["step"] < _EARLY * steps:
        return f"only {card['step']:,} of the {steps:,} steps of its training are done"
    if data and not trained.get("init_from") and set(data) <= set(_GENERATED):
        return (
            f"it was trained on generated videos alone ({', '.join(data)}): that shows that all "
            "works, but it does not know the objects of real videos"
        )
    return None


def origin(card: Mapping[str, Any]) -> str:
    """Returns where the weights of a network are from, as one line: a training and its data, or a file.

    Args:
        card: as `storage.load_card` gives it.
    """
    if "config" in card:
        trained = card.get("trained", {})
        data = f" on {', '.join(trained['data'])}" if trained.get("data") else ""
        begun = f", begun from {trained['init_from']}" if trained.get("init_from") else ""
        return f"trained by config {card['config']}{data}{begun}"
    if source := card.get("source"):
        return f"converted from {source.get('file')} ({source.get('title')})"
    return "from a folder whose card names no training and no file"


def digest(card: Mapping[str, Any]) -> str:
    """Returns the sha256 of a card: as it holds a checksum of every array, that of the network."""
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
