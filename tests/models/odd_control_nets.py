"""Nets that nobody named, second part: control flow, checks, loops, recurrent modules."""

from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fixture import Fixture, noise


class FoldedControl(nn.Module):
    """Ifs and loops whose outcome is known: options, None checks, module lists, ranges."""

    def __init__(self, use_gate: bool = True):
        super().__init__()
        self.use_gate = use_gate
        self.repeats = 2
        self.blocks = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(3))
        self.heads = nn.ModuleDict({"a": nn.Conv2d(6, 2, 1), "b": nn.Conv2d(6, 3, 1)})
        self.optional_norm: Optional[Tensor] = None

    def forward(self, x):
        for i, block in enumerate(self.blocks):
            y = block(x)
            x = F.relu(y) + x if i > 0 else F.relu(y)
        for _ in range(self.repeats):
            x = x * 0.9
        if self.use_gate:
            x = torch.sigmoid(x) * x
        if self.optional_norm is not None:
            x = x / self.optional_norm
        if self.training:
            x = F.dropout(x, 0.5)
        outputs: List[Tensor] = []
        for head in self.heads.values():
            outputs.append(head(x))
        return torch.cat(outputs, dim=1)


class DataBranch(nn.Module):
    """An if and a while on the values of a tensor: only the script has them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.other = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        x = F.relu(self.conv(x))
        if bool(x.mean() > 0.2):
            x = self.other(x)
        else:
            x = x - 1.0
        steps = 0
        while bool(x.abs().max() > 1.0) and steps < 8:
            x = x * 0.5
            steps += 1
        return F.relu(x)


class Asserts(nn.Module):
    """Checks on shapes: guards, never lost and never in the way."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        assert x.dim() == 4, "an image batch is n x c x h x w"
        if x.shape[1] != 3:
            raise ValueError("expected 3 channels")
        if x.shape[2] < 8:
            x = F.interpolate(x, size=[8, 8])
        torch._assert(x.shape[3] % 2 == 0, "width must be even")
        return F.relu(self.conv(x))


class ResizedByData(nn.Module):
    """A branch of torch's own that raises in one arm, on a tensor whose rank only running knows."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        if bool(x.sum() > 0):
            x = x + 1
        return self.conv(F.interpolate(x, size=[6, 6], mode="bilinear", align_corners=True))


class Levels(nn.Module):
    """Levels in an attribute, sizes in a list that a loop over data fills."""

    levels: List[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.levels = []
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        self.levels = [self.conv(x)]
        for _ in range(2):
            self.levels.append(F.avg_pool2d(self.levels[-1], 2))
        kept: List[torch.Tensor] = []
        for level in self.levels:
            if bool(level.mean() > 0):
                kept.append(level.flatten(1))
        kept.append(x.flatten(1))
        return torch.cat(kept, 1)


@torch.jit.script
class Scaler:
    def __init__(self, factor: float):
        self.factor = factor


class CachedObject(nn.Module):
    """torchvision's poolers: the first call makes an object of a script class, from data."""

    scaler: Optional[Scaler]

    def __init__(self):
        super().__init__()
        self.scaler = None
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        if self.scaler is None:
            self.scaler = Scaler(float(x.sum()) * 0.0 + 2.0)
        scaler = self.scaler
        assert scaler is not None
        return F.relu(self.conv(x)) * scaler.factor


@torch.jit.interface
class Step(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pass


class Widen(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.conv(x))


class Squash(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)


class Chosen(nn.Module):
    """Modules behind an interface: by index, by key, and called where data decides."""

    last: Step

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList([Widen(), Squash()])
        self.named = nn.ModuleDict({"widen": Widen(), "squash": Squash()})
        self.last = Widen()

    def forward(self, x):
        for i in range(2):
            step: Step = self.steps[i]
            x = step.forward(x)
        key = "wi" + "den"
        named: Step = self.named[key]
        x = named.forward(x)
        if bool(x.mean() > 0.1):
            x = self.last.forward(x)
            step: Step = self.steps[1]
            x = step.forward(x) * 2.0
        return x


class Constants(nn.Module):
    """Parameters as operands: a position embedding, a scale per channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.position = nn.Parameter(torch.randn(1, 4, 8, 8))
        self.gamma = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, x):
        return F.relu(self.conv(x) + self.position) * self.gamma


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(5, 8)
        self.lstm = nn.LSTM(8, 12, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(24, 3)

    def forward(self, x):
        y, (hidden, _) = self.lstm(F.relu(self.embed(x)))
        return self.fc(y[:, -1]), hidden


class Gru(nn.Module):
    """A recurrent cell in a loop over time."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(5, 6)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        state = torch.zeros(x.size(0), 6)
        for t in range(x.size(1)):
            state = self.cell(x[:, t], state)
        return self.fc(state)


class Decoder(nn.Module):
    """Words one after the other until all images said the last one: a loop over data, with cells."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.embed = nn.Embedding(7, 6)
        self.cell = nn.LSTMCell(6, 8)
        self.fc = nn.Linear(8, 7)

    def forward(self, x):
        hidden = F.relu(self.conv(x)).mean([2, 3])
        memory = torch.zeros_like(hidden)
        word = torch.zeros([x.size(0)], dtype=torch.long)
        words: List[torch.Tensor] = []
        while len(words) < 12 and bool((word != 3).any()):
            hidden, memory = self.cell(self.embed(word), (hidden, memory))
            word = (self.fc(hidden) * 20.0 + x.mean([1, 2, 3]).unsqueeze(1)).argmax(1)
            words.append(word)
        return torch.stack(words, 1), hidden


def _net(name: str, net: nn.Module, *shape: int, traced: bool = True) -> Fixture:
    return Fixture(
        name, net, inputs=(noise(7, 2, *shape),), calib=(noise(17, 8, *shape),), traced=traced
    )


NETS = {
    "odd_control": lambda: _net("odd_control", FoldedControl(), 6, 8, 8),
    "odd_branch": lambda: _net("odd_branch", DataBranch(), 3, 8, 8, traced=False),
    "odd_asserts": lambda: _net("odd_asserts", Asserts(), 3, 10, 10),
    "odd_resized": lambda: _net("odd_resized", ResizedByData(), 3, 8, 8, traced=False),
    "odd_constants": lambda: _net("odd_constants", Constants(), 3, 8, 8),
    "odd_cached": lambda: _net("odd_cached", CachedObject(), 3, 8, 8, traced=False),
    "odd_chosen": lambda: _net("odd_chosen", Chosen(), 3, 8, 8, traced=False),
    "odd_decoder": lambda: _net("odd_decoder", Decoder(), 3, 8, 8, traced=False),
    "odd_levels": lambda: _net("odd_levels", Levels(), 3, 8, 8, traced=False),
    "odd_lstm": lambda: _net("odd_lstm", Lstm(), 7, 5),
    "odd_gru": lambda: _net("odd_gru", Gru(), 7, 5),
}
