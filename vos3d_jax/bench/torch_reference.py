"""The published network in PyTorch, what the bench compares with.

Plain modules in PyTorch's own layout [batch, channel, time, height, width], batch norm not fused. Module
names are those of our network, so that `load` can copy its parameters by name. Needs torch.
"""

from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vos3d_jax.constants import BLOCKS, DCSEG_MEAN


class Conv(nn.Module):
    """A convolution with bias, or with batch norm in its place."""

    def __init__(self, inputs, outputs, kernel=(1, 1, 1), *, stride=(1, 1, 1), groups=1, norm=False):
        super().__init__()
        padding = tuple(k // 2 for k in kernel)
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding, groups=groups, bias=not norm)
        self.norm = nn.BatchNorm3d(outputs) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolution of x."""
        y = self.conv(x)
        return y if self.norm is None else self.norm(y)


class Bottleneck(nn.Module):
    """The ir-CSN block."""

    def __init__(self, inputs, width, stride, projection):
        super().__init__()
        self.reduce = Conv(inputs, width, norm=True)
        depthwise = Conv(width, width, (3, 3, 3), stride=stride, groups=width, norm=True)
        pointwise = Conv(width, 4 * width, norm=True)
        self.separable = nn.Sequential(OrderedDict(depthwise=depthwise, relu=nn.ReLU(), pointwise=pointwise))
        self.shortcut = Conv(inputs, 4 * width, stride=stride, norm=True) if projection else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the block's output."""
        y = self.separable(functional.relu(self.reduce(x)))
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Encoder(nn.Module):
    """ir-CSN: the maps of stages 1 to 4."""

    def __init__(self, depth):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv = Conv(3, 64, (3, 7, 7), stride=(1, 2, 2), norm=True)
        inputs = 64
        stages = zip((64, 128, 256, 512), BLOCKS["csn"][depth], strict=True)
        for stage, (width, blocks) in enumerate(stages, start=1):
            first = Bottleneck(inputs, width, (1, 1, 1) if stage == 1 else (2, 2, 2), projection=True)
            inputs = 4 * width
            others = (Bottleneck(inputs, width, (1, 1, 1), projection=False) for _ in range(blocks - 1))
            setattr(self, f"stage{stage}", nn.Sequential(first, *others))

    def forward(self, clip: Tensor) -> list[Tensor]:
        """Returns the four maps."""
        x = functional.relu(self.stem.conv(clip))
        x = functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        maps = []
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4):
            x = stage(x)
            maps.append(x)
        return maps


class ResidualPair(nn.Module):
    """x + conv2(ReLU(conv1(ReLU(x))))."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = Conv(channels, channels, (3, 3, 3))
        self.conv2 = Conv(channels, channels, (3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the refined x."""
        return x + self.conv2(functional.relu(self.conv1(functional.relu(x))))


class GC3D(nn.Module):
    """Two branches of a tall and a wide convolution."""

    def __init__(self, inputs, outputs):
        super().__init__()
        tall, wide = (1, 7, 1), (1, 1, 7)
        self.left1, self.left2 = Conv(inputs, outputs, tall), Conv(outputs, outputs, wide)
        self.right1, self.right2 = Conv(inputs, outputs, wide), Conv(outputs, outputs, tall)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the sum of both branches."""
        return self.left2(self.left1(x)) + self.right2(self.right1(x))


class RF3D(nn.Module):
    """Refines a skip feature, adds the resized coarse map, refines the sum."""

    def __init__(self, skip, channels):
        super().__init__()
        self.skip = Conv(skip, channels, (3, 3, 3))
        self.skip_residual, self.merge_residual = ResidualPair(channels), ResidualPair(channels)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """Returns the refined map."""
        fine = self.skip_residual(self.skip(skip))
        up = functional.interpolate(coarse, fine.shape[2:], mode="trilinear", align_corners=False)
        return self.merge_residual(fine + up)


class Network(nn.Module):
    """3DC-Seg: ir-CSN, GC3D, RF3D; RGB 0..255 [b, 3, t, h, w] to two logits a pixel."""

    def __init__(self, depth: int = 152):
        super().__init__()
        self.encoder = Encoder(depth)
        self.bridge, self.bridge_residual = GC3D(2048, 256), ResidualPair(256)
        self.refine4, self.refine3, self.refine2 = RF3D(1024, 256), RF3D(512, 256), RF3D(256, 256)
        self.head = Conv(256, 2, (3, 3, 3))
        self.register_buffer("mean", torch.tensor(DCSEG_MEAN).reshape(1, 3, 1, 1, 1), persistent=False)

    def forward(self, clip: Tensor) -> Tensor:
        """Returns logits [b, 2, t, h, w], float32."""
        r2, r3, r4, r5 = self.encoder(((clip - self.mean) / 255).to(self.head.conv.weight.dtype))
        m4 = self.refine4(r4, self.bridge_residual(self.bridge(r5)))
        m2 = self.refine2(r2, self.refine3(r3, m4))
        small = self.head(functional.relu(m2)).float()
        return functional.interpolate(small, scale_factor=(1, 4, 4), mode="trilinear", align_corners=False)


def load(network: Network, parameters: dict[str, np.ndarray]) -> None:
    """Copies our network's unstacked parameters ("encoder/stage1/0/reduce/kernel": array) by name."""
    norm_names = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    with torch.no_grad():
        for name, value in parameters.items():
            *path, leaf = name.split("/")
            module = network.get_submodule(".".join(path))
            value = np.asarray(value)
            if leaf == "kernel":
                target, value = module.conv.weight, value.transpose(4, 3, 0, 1, 2)
            elif isinstance(module, nn.BatchNorm3d):
                target = getattr(module, norm_names[leaf])
            else:
                target = module.conv.bias
            target.copy_(torch.from_numpy(np.array(value)))


def freeze_norms(network: Network) -> None:
    """Batch norm by running statistics, its scale and bias not trained."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.requires_grad_(False)


def place(network: Network, dtype: str) -> nn.Module:
    """Returns the network as it is fastest there: on a GPU channels last and compiled, on a CPU as it is."""
    network = network.to(getattr(torch, dtype))
    if not torch.cuda.is_available():
        return network
    return torch.compile(network.cuda().to(memory_format=torch.channels_last_3d))


def tensor(array: np.ndarray, dtype: str) -> Tensor:
    """Returns the array [b, c, t, h, w] on the device that `place` uses, channels last there."""
    value = torch.from_numpy(np.array(array)).to(getattr(torch, dtype))
    if torch.cuda.is_available():
        value = value.cuda().contiguous(memory_format=torch.channels_last_3d)
    return value


def wait() -> None:
    """Waits for the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
