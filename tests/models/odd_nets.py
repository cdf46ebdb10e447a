"""Nets that nobody named, one theme each: straight-line code in the ways people write it."""

from typing import Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fixture import Fixture, noise, settle_batch_norms


class Functional(nn.Module):
    """Weights as parameters of the net itself, every op a function."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.2)
        self.kernel_bias = nn.Parameter(torch.randn(8) * 0.1)
        self.matrix = nn.Parameter(torch.randn(10, 8 * 4 * 4) * 0.1)

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.kernel, self.kernel_bias, stride=2, padding=1))
        x = F.adaptive_avg_pool2d(F.max_pool2d(x, 2), (4, 4))
        return F.linear(torch.flatten(x, 1), self.matrix)


class Shuffle(nn.Module):
    """ShuffleNet's unit: chunk, cat, channel shuffle, uneven split."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        a, b, d = torch.split(x, [4, 4, 8], dim=1)
        return torch.cat([d, a, b], 1)


class Deconv(nn.Module):
    """Transposed convolutions: grouped, strided, with output padding and batch norm."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.up1 = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.up2 = nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2)

    def forward(self, x):
        return self.up2(F.relu(self.norm(self.up1(F.relu(self.down(x))))))


class Conv1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, 16, 5, stride=2, padding=2, bias=False),
                                  nn.BatchNorm1d(16), nn.ReLU())
        self.dilated = nn.Conv1d(16, 16, 3, padding=2, dilation=2)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(x + self.dilated(x))
        return self.fc(F.avg_pool1d(x, 4).mean(dim=2))


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.squeeze = nn.Conv2d(16, 4, 1)
        self.excite = nn.Conv2d(4, 16, 1)
        self.last = nn.Conv2d(16, 8, 1)

    def forward(self, x):
        x = F.hardswish(self.norm(self.conv(x)))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))).sigmoid()
        y = self.last(gate * x)
        return y * F.hardsigmoid(y) + F.silu(y)


class Pyramid(nn.Module):
    """Upsampling by factor and by size; two outputs."""

    def __init__(self):
        super().__init__()
        self.bottom = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.top = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.lateral = nn.Conv2d(8, 8, 1)

    def forward(self, x) -> Tuple[Tensor, Tensor]:
        a = F.relu(self.bottom(x))
        b = F.relu(self.middle(a))
        c = self.top(b)
        b = self.lateral(b) + F.interpolate(c, scale_factor=2.0, mode="nearest")
        a = a + F.interpolate(b, size=a.shape[-2:], mode="bilinear", align_corners=False)
        return a, b


class DictOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU6())
        self.scores = nn.Conv2d(8, 2, 1)
        self.boxes = nn.Conv2d(8, 4, 1)

    def forward(self, x) -> Dict[str, Tensor]:
        x = self.body(x)
        return {"scores": self.scores(x).softmax(dim=1), "boxes": self.boxes(x)}


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Conv2d(3, 6, 3, padding=1)
        self.depth = nn.Conv2d(1, 6, 3, padding=1)
        self.head = nn.Conv2d(12, 4, 1)

    def forward(self, image, depth):
        a, b = self.image(image), self.depth(depth)
        return self.head(torch.cat([F.relu(a + b), torch.maximum(a, b)], 1))


class InPlace(nn.Module):
    """Mutation of values (exact to functionalise) and of a view (not)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        y = self.conv1(x).relu_()
        z = self.conv2(y)
        z += y
        z.mul_(0.5).clamp_(-1.0, 2.0)
        z[:, :2] = 0.25
        return z


class Sizes(nn.Module):
    """Python arithmetic on sizes: nothing here may be baked to one batch or image size."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        n = x.size(0)
        h, w = x.shape[2] // 2, x.shape[3] // 2
        x = self.conv(x)[:, :, :2 * h, :2 * w]
        x = x.reshape(n, 8, h, 2, w, 2).permute(0, 3, 5, 1, 2, 4)
        x = x.reshape(n, 4 * 8, h, w)
        return x.flatten(2).mean(-1) * (1.0 / float(h * w))


class Kernels(nn.Module):
    """Shapes of convolutions beyond 3x3: grouped, dilated, even, rectangular, padded by name."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, (5, 3), stride=(2, 1), padding=(2, 1))
        self.slope = nn.PReLU(12)
        self.grouped = nn.Conv2d(12, 12, 3, padding=2, dilation=2, groups=3, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.same = nn.Conv2d(12, 6, 4, padding="same")
        self.reflect = nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect")
        self.wide = nn.Conv2d(6, 12, 3, padding=1, groups=6)

    def forward(self, x):
        x = self.slope(self.stem(x))
        x = F.leaky_relu(self.norm(self.grouped(x)), 0.1)
        return F.elu(self.wide(self.reflect(self.same(F.pad(x, [1, 2, 0, 1])))))


class Shared(nn.Module):
    """One module called twice, and one parameter under two names."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x):
        x = F.relu(self.conv(F.relu(self.conv(x)))).mean([2, 3])
        return self.second(self.first(x))


class Scalars(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        x = self.conv((x - 0.45) / 0.22)
        y = F.relu6(x * 0.5 + 1.0)
        y = 2.0 - y + torch.pow(y, 2) - torch.add(x, y, alpha=2)
        return torch.sqrt(y.abs() + 1e-3).clamp(min=0.1) / (1 + torch.exp(-x))


class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        x = self.conv(x)
        a = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
        b = F.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
        values, indices = torch.max(a + b, dim=1)
        return values, indices, x.argmax(1), x.sum(dim=[2, 3]), x.amax(1, keepdim=True)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, t, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(torch.matmul(q, k.transpose(-2, -1)) * 0.5, dim=-1)
        x = x + self.out(torch.matmul(weights, v).transpose(1, 2).reshape(n, t, c))
        return x + self.mlp(x)


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(2, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm3d(6)
        self.pool = nn.MaxPool3d(2)

    def forward(self, x):
        return self.pool(F.relu(self.norm(self.conv(x)))).mean([2, 3, 4])


class RareOps(nn.Module):
    """Ops that no table of ops has a row for."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.register_buffer("limit", torch.tensor(0.3))

    def forward(self, x):
        x = self.conv(x)
        y = torch.special.i0e(x) + torch.erf(x).cumsum(dim=1)
        y = torch.where(x > self.limit, y, torch.zeros_like(y)).masked_fill(x < -1.0, -1.0)
        return torch.einsum("nchw,nkhw->nck", x, y)


class Chunks(nn.Module):
    """chunk(4) of 5 channels gives three pieces."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)

    def forward(self, x):
        parts = self.conv(x).chunk(4, dim=1)
        return torch.cat([parts[2], torch.relu(parts[0])], 1) + parts[1][:, :1]


class Defaults(nn.Module):
    """Arguments that a caller may leave out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x, factor: int = 2, mask: Optional[Tensor] = None):
        y = self.conv(x) * factor
        if mask is not None:
            y = y + mask
        return y


class Indices(nn.Module):
    """An input of integers."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 12)
        self.fc = nn.Linear(12, 5)

    def forward(self, words):
        return self.fc(self.table(words).mean(1))


def _words(name: str, net: nn.Module) -> Fixture:
    draw = lambda seed, count: torch.randint(
        0, 20, (count, 7), generator=torch.Generator().manual_seed(seed)
    )
    return Fixture(name, net.eval(), inputs=(draw(5, 2),), calib=(draw(6, 8),))


def _image(name: str, net: nn.Module, channels: int = 3, size: int = 16) -> Fixture:
    return _any(name, net, (channels, size, size))


def _any(name: str, net: nn.Module, *shapes: Tuple[int, ...]) -> Fixture:
    if len(shapes) == 1:
        settle_batch_norms(net, [noise(300 + i, 8, *shapes[0]) for i in range(3)])
    return Fixture(
        name,
        net,
        inputs=tuple(noise(6 + i, 2, *shape) for i, shape in enumerate(shapes)),
        calib=tuple(noise(16 + i, 8, *shape) for i, shape in enumerate(shapes)),
    )


NETS = {
    "odd_functional": lambda: _image("odd_functional", Functional()),
    "odd_shuffle": lambda: _image("odd_shuffle", Shuffle(), channels=16, size=8),
    "odd_deconv": lambda: _image("odd_deconv", Deconv()),
    "odd_conv1d": lambda: _any("odd_conv1d", Conv1d(), (4, 32)),
    "odd_se": lambda: _image("odd_se", SqueezeExcite()),
    "odd_pyramid": lambda: _image("odd_pyramid", Pyramid()),
    "odd_dict": lambda: _image("odd_dict", DictOutput()),
    "odd_two_inputs": lambda: _any("odd_two_inputs", TwoInputs(), (3, 12, 12), (1, 12, 12)),
    "odd_inplace": lambda: _image("odd_inplace", InPlace()),
    "odd_sizes": lambda: _image("odd_sizes", Sizes(), size=15),
    "odd_kernels": lambda: _image("odd_kernels", Kernels(), size=17),
    "odd_shared": lambda: _image("odd_shared", Shared(), channels=6, size=8),
    "odd_scalars": lambda: _image("odd_scalars", Scalars()),
    "odd_pools": lambda: _image("odd_pools", Pools(), size=13),
    "odd_attention": lambda: _any("odd_attention", Attention(), (10, 16)),
    "odd_volume": lambda: _any("odd_volume", Volume(), (2, 6, 8, 8)),
    "odd_chunks": lambda: _image("odd_chunks", Chunks()),
    "odd_defaults": lambda: _image("odd_defaults", Defaults()),
    "odd_indices": lambda: _words("odd_indices", Indices()),
    "odd_rare_ops": lambda: _image("odd_rare_ops", RareOps(), size=10),
}
