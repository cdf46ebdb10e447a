"""Nets that nobody named: Python's own values in code that data decide."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fixture import Fixture, noise


class Scaled(NamedTuple):
    values: Tensor
    times: int


@torch.jit.script
class Sum:
    def __init__(self, start: int):
        self.count = start
        self.total = torch.zeros(1)

    def push(self, x: Tensor):
        self.total = self.total + x.sum()
        self.count += 1


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)


class NamedTuples(Rows):
    """Alone, in a list, a dict and an optional; written by an if and by a loop."""

    def forward(self, x):
        x = self.fc(x)
        one = Scaled(x, 2)
        many: List[Scaled] = []
        known: Dict[str, Scaled] = {"first": Scaled(x, 1)}
        best: Optional[Scaled] = None
        for i in range(x.size(0)):
            if bool(x[i].sum() > 0):
                one = Scaled(one.values + 1, one.times + 1)
                best = Scaled(x[i], i)
            many.append(Scaled(x[i], i))
        if bool(x.sum() > 0):
            known["first"] = Scaled(x + 1, 3)
        total = torch.zeros_like(x[0])
        for item in many:
            total = total + item.values * item.times
        if best is not None:
            total = total + best.values
        return one.values * one.times + total, known["first"].values * known["first"].times


class NumberedDict(Rows):
    """A dict with numbers for keys, empty at first."""

    def forward(self, x):
        x = F.relu(self.fc(x))
        rows: Dict[int, Tensor] = {}
        for i in range(x.size(0)):
            if bool(x[i].sum() > 0.5):
                rows[i] = x[i] * 2
        rows[-1] = x.mean(0)
        return torch.stack(list(rows.values())).sum(0)


class Objects(Rows):
    """Objects of a class of the user's, changed by code that data decide."""

    def forward(self, x):
        x = self.fc(x)
        rows, all_at_once = Sum(2), Sum(0)
        for i in range(x.size(0)):
            rows.push(x[i])
        if bool(x.sum() > 0):
            all_at_once.push(x)
        return x * rows.total * rows.count + all_at_once.total * all_at_once.count


class EarlyReturn(Rows):
    """Returns in the middle of a loop: what follows has no value there."""

    def first_row(self, x) -> Tuple[Tensor, Optional[Tensor]]:
        for i in range(x.size(0)):
            if bool(x[i].sum() > 0):
                return x * i, None
        return x - 1, x

    def rows(self, x) -> List[Tensor]:
        kept: List[Tensor] = []
        for i in range(x.size(0)):
            kept.append(x[i])
            if bool(x[i].max() > 1):
                return kept
        return kept + [x[0]]

    def forward(self, x):
        x, rest = self.first_row(self.fc(x))
        if rest is not None:
            x = x + rest
        return x, torch.stack(self.rows(x)).sum(0)


class Answers(nn.Module):
    """Numbers, a flag and text beside tensors; inputs of different lengths."""

    def forward(self, x, y):
        text = str(x.size(0)) + " rows"
        return torch.mm(x, y.t()), x.size(0) * 2, bool(y.size(0) > 4), 0.5 * y.size(0), text


class Counts(Rows):
    """Numbers beside a tensor: of sizes, of data."""

    def forward(self, x):
        y = F.relu(self.fc(x))
        above = 0
        for i in range(x.size(0)):
            if bool(y[i].sum() > 1):
                above += 1
        return y, above, x.size(0) * 2, bool(y.max() > 2)


def _of_rows(name, net):
    def make():
        return Fixture(name, net(), (noise(3, 5, 6),), (noise(4, 16, 6),), traced=False)

    return make


def answers():
    inputs = (noise(3, 2, 6), noise(4, 5, 6))
    return Fixture("odd_answers", Answers(), inputs, inputs, traced=False)


NETS = {
    "odd_named_tuples": _of_rows("odd_named_tuples", NamedTuples),
    "odd_numbered_dict": _of_rows("odd_numbered_dict", NumberedDict),
    "odd_objects": _of_rows("odd_objects", Objects),
    "odd_early_return": _of_rows("odd_early_return", EarlyReturn),
    "odd_answers": answers,
    "odd_counts": _of_rows("odd_counts", Counts),
}
