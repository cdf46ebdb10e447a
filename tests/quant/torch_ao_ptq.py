"""Calibration by torch.ao of nets with adds, cats, pools and activations, for torch_ao_ptq_test.cc to repeat.

torch_ao_ptq.py FOLDER writes, for each net: NAME.pt (the float model, scripted, in eval() mode), NAME.npy (batches)
and NAME.txt, a line "value scale" for each observer in program order. Values that were fused have the name of their
last member, as in fxq.
"""

import sys

import numpy as np
import torch
from torch import nn
from torch.ao.quantization import QConfig
from torch.ao.quantization.observer import MinMaxObserver, ObserverBase, PerChannelMinMaxObserver
from torch.ao.quantization.quantize_fx import prepare_fx


class Residual(nn.Module):
    LAST = {"conv1": "relu1", "conv2": "bn2", "add": "relu2"}

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.bn2 = nn.BatchNorm2d(8)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)) + x)
        return self.fc(torch.flatten(self.pool(x), 1))


class Branches(nn.Module):
    LAST = {"left": "relu1", "right": "relu2"}

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(3, 4, 1)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.right = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU()
        self.last = nn.Conv2d(8, 4, 3)

    def forward(self, x):
        a = self.pool(self.relu1(self.left(x)))
        b = self.relu2(self.right(x))
        return self.last(torch.cat([a, b], 1))


class Gates(nn.Module):
    LAST = {}

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.elu = nn.ELU()
        self.swish = nn.Hardswish()
        self.last = nn.Conv2d(8, 4, 2, stride=2)

    def forward(self, x):
        x = self.swish(self.conv(x))
        return self.last(x * self.elu(self.gate(x)))


class Dense(nn.Module):
    LAST = {"fc1": "relu"}

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 16)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(16, 16)
        self.act = nn.LeakyReLU(0.1)
        self.fc3 = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc3(self.act(self.fc2(self.relu(self.fc1(x)))))


def qconfig() -> QConfig:
    # Symmetric quint8 around 128 has the values of symmetric qint8, which torch.ao's backends lack.
    return QConfig(
        activation=MinMaxObserver.with_args(dtype=torch.quint8, qscheme=torch.per_tensor_symmetric),
        weight=PerChannelMinMaxObserver.with_args(dtype=torch.qint8, qscheme=torch.per_channel_symmetric),
    )


def main(folder: str) -> None:
    torch.manual_seed(3)
    for net in (Residual(), Branches(), Gates(), Dense()):
        name = type(net).__name__
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        net.eval()
        torch.jit.script(net).save(f"{folder}/{name}.pt")
        batches = torch.randn((4, 6, 12) if name == "Dense" else (4, 6, 3, 12, 12))
        np.save(f"{folder}/{name}.npy", batches.numpy())
        model = prepare_fx(net, {"": qconfig()}, (batches[0],))
        for batch in batches:
            model(batch)
        modules = dict(model.named_modules(remove_duplicate=False))
        with open(f"{folder}/{name}.txt", "w", encoding="utf-8") as file:
            for node in model.graph.nodes:
                if node.op == "call_module" and isinstance(modules[node.target], ObserverBase):
                    value = str(node.args[0])
                    scale = modules[node.target].calculate_qparams()[0].item()
                    file.write(f"{type(net).LAST.get(value, value)} {scale!r}\n")


main(sys.argv[1])
