"""torchvision's architectures beyond the main ones, with random weights, and a U-Net.

Their inputs are small here; bench/peers takes the same nets at their usual sizes.
"""

import dataclasses
import typing

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from fixture import Fixture, noise, settle_batch_norms


class UNet(nn.Module):
    """Three levels of double convolutions, transposed convolutions up, skips by cat."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.down1, self.down2, self.down3 = _double(3, width), _double(width, 2 * width), _double(2 * width, 4 * width)
        self.bottom = _double(4 * width, 8 * width)
        self.up3, self.up2, self.up1 = _up(4 * width), _up(2 * width), _up(width)
        self.merge3, self.merge2 = _double(8 * width, 4 * width), _double(4 * width, 2 * width)
        self.merge1 = _double(2 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.down3(F.max_pool2d(b, 2))
        x = self.bottom(F.max_pool2d(c, 2))
        x = self.merge3(torch.cat([c, self.up3(x)], 1))
        x = self.merge2(torch.cat([b, self.up2(x)], 1))
        return self.head(self.merge1(torch.cat([a, self.up1(x)], 1)))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def _up(outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(2 * outputs, outputs, 2, 2)


def _vision(name: str, **options) -> typing.Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(weights=None, **options)


def _fcn() -> nn.Module:
    return torchvision.models.segmentation.fcn_resnet50(weights=None, weights_backbone=None)


@dataclasses.dataclass(frozen=True)
class Architecture:
    make: typing.Callable[[], nn.Module]
    usual: int = 224  # pixels of a side
    small: int = 64


_AUX_OFF = {"aux_logits": False, "init_weights": True, "transform_input": False}
ARCHITECTURES = {
    "resnet50": Architecture(_vision("resnet50")),
    "vgg11_bn": Architecture(_vision("vgg11_bn")),
    "squeezenet1_1": Architecture(_vision("squeezenet1_1")),
    "densenet121": Architecture(_vision("densenet121")),
    "googlenet": Architecture(_vision("googlenet", **_AUX_OFF)),
    "inception_v3": Architecture(_vision("inception_v3", **_AUX_OFF), usual=299, small=96),
    "shufflenet_v2_x1_0": Architecture(_vision("shufflenet_v2_x1_0")),
    "mnasnet1_0": Architecture(_vision("mnasnet1_0")),
    "mobilenet_v3_large": Architecture(_vision("mobilenet_v3_large")),
    "efficientnet_b0": Architecture(_vision("efficientnet_b0")),
    "regnet_y_400mf": Architecture(_vision("regnet_y_400mf")),
    "fcn_resnet50": Architecture(_fcn),
    "unet": Architecture(UNet, usual=256, small=32),
}


def _fixture(name: str) -> Fixture:
    torch.manual_seed(18)
    architecture = ARCHITECTURES[name]
    size = architecture.small
    net = settle_batch_norms(architecture.make(), [noise(200 + i, 4, 3, size, size) for i in range(2)])
    return Fixture(
        name, net, inputs=(noise(1, 2, 3, size, size),), calib=(noise(2, 8, 3, size, size),)
    )


NETS = {name: (lambda name=name: _fixture(name)) for name in ARCHITECTURES}
