"""Published files that can be known by their content: the first eight hex digits of their sha256.

The digits are in the files' own names (docs/porting.md says where authors publish them). They settle what a
state dict cannot show: with which constants the network's input was normalised. None of the files was at hand
when this was written.
"""

from typing import Any

_VMZ = {"mean": (110.2008, 100.63983, 95.99475), "std": (58.14765, 56.46975, 55.332195)}
_IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

# {start of the sha256: (what it is, arguments that its state dict does not show)}
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "c7a3cc5b": ("mmaction2 ir-CSN-152, IG-65M, fine-tuned there on Kinetics-400", _IMAGENET),
    "7d1dacde": ("mmaction2 ir-CSN-152, IG-65M, fine-tuned there, batch norm frozen", _IMAGENET),
    "44395bae": ("mmaction2 ir-CSN-50, IG-65M, fine-tuned there, batch norm frozen", _IMAGENET),
    "5c933ae1": ("mmaction2 ir-CSN-152 from scratch on Kinetics-400, ported from VMZ", _VMZ),
    "d565828d": ("mmaction2 ip-CSN-152 from scratch on Kinetics-400, ported from VMZ", _VMZ),
    "c3be9793": ("mmaction2 ip-CSN-152, IG-65M, ported from VMZ", _VMZ),
    "3367437a": ("mmaction2 ip-CSN-152, Sports-1M, ported from VMZ", _VMZ),
    "b9b10241": ("mmaction2 ir-CSN-152, Sports-1M, ported from VMZ", _VMZ),
    "771c4135": ("mmaction2 backbone ir-CSN-152, IG-65M", _VMZ),
    "ce545a37": ("mmaction2 backbone ir-CSN-50, IG-65M", _VMZ),
    "c4b99d38": ("mmaction2 backbone ip-CSN-152, IG-65M", _VMZ),
    "bcc9c0dd": ("mmaction2 backbone ir-CSN-152, Sports-1M", _VMZ),
    "449a7af9": ("R(2+1)D-34, clips of 32 frames, IG-65M", {}),
    "9bae36ae": ("R(2+1)D-34, clips of 8 frames, IG-65M", {}),
    "ade133f1": ("R(2+1)D-34, clips of 32 frames, IG-65M then Kinetics-400", {}),
    "0aa0550b": ("R(2+1)D-34, clips of 8 frames, IG-65M then Kinetics-400", {}),
    "91a641e6": ("torchvision R(2+1)D-18, Kinetics-400", {}),
    "19c8e357": ("torchvision ResNet-50, ImageNet", {}),
}


def find(sha256: str) -> tuple[str, dict[str, Any]] | None:
    """What is published under this hash: its description and hidden arguments; None when it is not known."""
    return PUBLISHED.get(sha256[:8])
