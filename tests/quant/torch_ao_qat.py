"""The first steps of quantization-aware training by torch.ao, for torch_ao_test.cc to repeat.

torch_ao_qat.py FOLDER writes model.pt (the float model, scripted, in train() mode), x.npy, y.npy, losses.npy
(one per step), scales.npy (of activations after the last step, in program order) and positions.txt (what is
fake-quantized, in program order).

The net has nothing that only moves integers (max_pool2d, flatten): there torch.ao shows the same observer both the
value and what it was moved to, so its moving average takes two steps a batch, and ours one.
"""

import sys

import numpy as np
import torch
from torch import nn
from torch.ao.quantization import FakeQuantize, QConfig
from torch.ao.quantization.observer import MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver
from torch.ao.quantization.quantize_fx import prepare_qat_fx

STEPS, BATCH, RATE = 20, 64, 0.01


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.bn2 = nn.BatchNorm2d(8)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(8, 16, 3)
        self.bn3 = nn.BatchNorm2d(16)
        self.fc = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.fc(self.bn3(self.conv3(x)))


def qconfig() -> QConfig:
    # Symmetric quint8 around 128 has the values of symmetric qint8, which torch.ao's backends lack. (With a
    # quant_min of its own it would stand around 127.)
    activation = FakeQuantize.with_args(
        observer=MovingAverageMinMaxObserver,
        dtype=torch.quint8,
        qscheme=torch.per_tensor_symmetric,
        averaging_constant=0.01,
    )
    weight = FakeQuantize.with_args(
        observer=MovingAveragePerChannelMinMaxObserver,
        quant_min=-128,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        averaging_constant=1.0,
    )
    return QConfig(activation=activation, weight=weight)


def main(folder: str) -> None:
    torch.manual_seed(1)
    net = Net().train()
    for bn in (net.bn1, net.bn2, net.bn3):
        nn.init.uniform_(bn.weight, 0.5, 1.5)
    torch.jit.script(net).save(f"{folder}/model.pt")
    x = torch.randn(STEPS, BATCH, 3, 16, 16)
    y = torch.randint(0, 4, (STEPS, BATCH))
    np.save(f"{folder}/x.npy", x.numpy())
    np.save(f"{folder}/y.npy", y.numpy())

    model = prepare_qat_fx(net, {"": qconfig()}, (x[0],))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[step]).mean((2, 3)), y[step])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.save(f"{folder}/losses.npy", np.array(losses, dtype=np.float64))

    modules = dict(model.named_modules(remove_duplicate=False))
    scales, positions = [], []
    for node in model.graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], FakeQuantize):
            positions.append(str(node.args[0]))
            scales.append(modules[node.target].scale.item())
    np.save(f"{folder}/scales.npy", np.array(scales, dtype=np.float64))
    with open(f"{folder}/positions.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(positions) + "\n")


main(sys.argv[1])
