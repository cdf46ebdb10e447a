"""Nets that nobody named, third part: arguments that sizes give, writes into views, weights that
are computed, transformers."""

import torch
import torch.nn.functional as F
from torch import nn

from fixture import Fixture, noise


class Sizes(nn.Module):
    """Windows, paddings, parts and grids that depend on the input's size."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.down = nn.Conv2d(12, 12, 4, stride=4)
        self.left = nn.Conv2d(6, 6, 1)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        height, width = x.shape[-2:]
        x = F.pad(x, (0, (8 - width % 8) % 8, 0, (8 - height % 8) % 8))
        x = self.down(x)
        half = x.shape[1] // 2
        a, b = torch.split(x, [half, x.shape[1] - half], 1)
        first = torch.split(x, half, dim=1)[0]
        x = torch.cat([self.left(a) + first, b], 1)
        y = F.adaptive_avg_pool2d(x, (x.shape[2] // 2, x.shape[3] // 2))
        x = x + F.interpolate(y, size=x.shape[2:], mode="nearest")
        x = F.avg_pool2d(x, x.shape[2:])
        return self.fc(x.view(x.size(0), -1))


class Writes(nn.Module):
    """Assignments to parts of tensors, of the data's and of a mask's own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        y = F.relu(self.conv(x)).clone()
        y[:, :4] = 0.0
        y[:, :, ::2] *= 0.5
        y[:, 5, 1:3] += 1.0
        y[:, 6] = y[:, 7]
        mask = torch.zeros(8, 8)
        mask[2:-2, 2:-2] = 1
        return self.head(y * mask)


class ComputedWeights(nn.Module):
    """weight_norm and spectral_norm: the weights are computed from parameters in every call."""

    def __init__(self):
        super().__init__()
        self.a = nn.utils.weight_norm(nn.Conv2d(3, 8, 3, padding=1))
        self.b = nn.utils.spectral_norm(nn.Conv2d(8, 8, 3))
        self.fc = nn.utils.weight_norm(nn.Linear(8, 4))

    def forward(self, x):
        x = F.relu(self.b(F.relu(self.a(x))))
        return self.fc(x.mean((2, 3)))


class Upsamples(nn.Module):
    """Modules that resize by factors; corners aligned or not; reflected borders."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.aligned = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.border = nn.ReplicationPad2d(1)
        self.head = nn.Conv2d(8, 3, 3)

    def forward(self, x):
        return self.head(self.border(self.aligned(self.up(F.relu(self.conv(x))))))


class Recomputed(nn.Module):
    """Sizes that a trace computes in real tensors: floor(float(h) * 1.5)."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.last = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        x = self.first(x)
        for factor, mode in ((1.5, "bilinear"), (2.0, "bilinear"), (0.5, "nearest")):
            corners = False if mode == "bilinear" else None
            x = F.interpolate(
                x,
                scale_factor=factor,
                mode=mode,
                align_corners=corners,
                recompute_scale_factor=True,
            )
        return self.last(x)


class Encoder(nn.Module):
    """torch's own transformer layer: traced it is attention, scripted it asks what it runs on."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc(self.layer(x)[:, 0])


class Heads(nn.Module):
    """nn.MultiheadAttention of one tensor with itself, which torch has one kernel for, and of two."""

    def __init__(self):
        super().__init__()
        self.own = nn.MultiheadAttention(16, 4, batch_first=True)
        self.other = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        y, _ = self.own(x, x, x)
        z, _ = self.other(self.norm(x + y), x, x, need_weights=False)
        return x + z


class Doubles(nn.Module):
    """Scores that are weighed in float64, as scientific code does."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.register_buffer("weights", torch.linspace(0.1, 1.1, 6, dtype=torch.float64))

    def forward(self, x):
        scores = F.relu(self.conv(x)).mean((2, 3)).double()
        return torch.softmax(scores * self.weights, 1) - 1e-9


def _net(name: str, net: nn.Module, *shape: int, scripted: bool = True) -> Fixture:
    return Fixture(
        name,
        net.eval(),
        inputs=(noise(7, 2, *shape),),
        calib=(noise(17, 8, *shape),),
        scripted=scripted,
    )


NETS = {
    "odd_sizes": lambda: _net("odd_sizes", Sizes(), 3, 20, 24),
    "odd_writes": lambda: _net("odd_writes", Writes(), 3, 8, 8),
    "odd_weights": lambda: _net("odd_weights", ComputedWeights(), 3, 8, 8, scripted=False),
    "odd_upsamples": lambda: _net("odd_upsamples", Upsamples(), 3, 8, 8),
    "odd_recomputed": lambda: _net("odd_recomputed", Recomputed(), 3, 9, 12),
    "odd_doubles": lambda: _net("odd_doubles", Doubles(), 3, 8, 8),
    "odd_heads": lambda: _net("odd_heads", Heads(), 6, 16),
    "odd_encoder": lambda: _net("odd_encoder", Encoder(), 6, 16),
}
