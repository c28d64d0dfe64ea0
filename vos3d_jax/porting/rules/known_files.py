"""Published files that can be known by their content: the first eight hex digits of their sha256.

The digits are in the files' own names (docs/porting.md says where authors publish them). They settle what a
state dict cannot show: with which constants the network's input was normalised. None of the files was at hand
when this was written.
"""

from typing import Any

from vos3d_jax.constants import IMAGENET_INPUT, VMZ_INPUT

# {start of the sha256: (what it is, arguments that its state dict does not show)}
KNOWN_FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "c7a3cc5b": ("mmaction2 ir-CSN-152, IG-65M, fine-tuned there on Kinetics-400", IMAGENET_INPUT),
    "7d1dacde": ("mmaction2 ir-CSN-152, IG-65M, fine-tuned there, batch norm frozen", IMAGENET_INPUT),
    "44395bae": ("mmaction2 ir-CSN-50, IG-65M, fine-tuned there, batch norm frozen", IMAGENET_INPUT),
    "5c933ae1": ("mmaction2 ir-CSN-152 from scratch on Kinetics-400, ported from VMZ", VMZ_INPUT),
    "d565828d": ("mmaction2 ip-CSN-152 from scratch on Kinetics-400, ported from VMZ", VMZ_INPUT),
    "c3be9793": ("mmaction2 ip-CSN-152, IG-65M, ported from VMZ", VMZ_INPUT),
    "3367437a": ("mmaction2 ip-CSN-152, Sports-1M, ported from VMZ", VMZ_INPUT),
    "b9b10241": ("mmaction2 ir-CSN-152, Sports-1M, ported from VMZ", VMZ_INPUT),
    "771c4135": ("mmaction2 backbone ir-CSN-152, IG-65M", VMZ_INPUT),
    "ce545a37": ("mmaction2 backbone ir-CSN-50, IG-65M", VMZ_INPUT),
    "c4b99d38": ("mmaction2 backbone ip-CSN-152, IG-65M", VMZ_INPUT),
    "bcc9c0dd": ("mmaction2 backbone ir-CSN-152, Sports-1M", VMZ_INPUT),
    "449a7af9": ("R(2+1)D-34, clips of 32 frames, IG-65M", {}),
    "9bae36ae": ("R(2+1)D-34, clips of 8 frames, IG-65M", {}),
    "ade133f1": ("R(2+1)D-34, clips of 32 frames, IG-65M then Kinetics-400", {}),
    "0aa0550b": ("R(2+1)D-34, clips of 8 frames, IG-65M then Kinetics-400", {}),
    "91a641e6": ("torchvision R(2+1)D-18, Kinetics-400", {}),
    "19c8e357": ("torchvision ResNet-50, ImageNet", {}),
}
