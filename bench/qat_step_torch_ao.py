"""torch.ao's side of bench/qat_step.cc: a step of training mobilenet_v2, float and prepared.

qat_step_torch_ao.py SHAPE THREADS
"""

import sys
import time
import warnings

import torch
import torchvision
from torch import nn
from torch.ao.quantization import get_default_qat_qconfig_mapping
from torch.ao.quantization.quantize_fx import prepare_qat_fx

warnings.filterwarnings("ignore")
ROUNDS = 12


def main(shape: str, threads: int) -> None:
    torch.set_num_threads(threads)
    x = torch.randn([int(dim) for dim in shape.split("x")])
    y = torch.randint(0, 10, (x.shape[0],))
    net = torchvision.models.mobilenet_v2(num_classes=10).train()
    prepared = prepare_qat_fx(net, get_default_qat_qconfig_mapping("qnnpack"), (x,))
    sides = {"torch float": net, "torch.ao": prepared}
    times = {name: [] for name in sides}
    optimizers = {name: torch.optim.SGD(side.parameters(), 1e-4, momentum=0.9) for name, side in sides.items()}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            start = time.perf_counter()
            optimizers[name].zero_grad()
            nn.functional.cross_entropy(side(x), y).backward()
            optimizers[name].step()
            times[name].append(1000 * (time.perf_counter() - start))
    least = {name: min(each) for name, each in times.items()}
    middle = {name: sorted(each)[len(each) // 2] for name, each in times.items()}
    for name in times:
        ratios = [figure[name] / figure["torch float"] for figure in (least, middle)]
        print(f"{name:18} {least[name]:9.1f} {ratios[0]:6.2f}x {middle[name]:10.1f} {ratios[1]:6.2f}x")


main(sys.argv[1], int(sys.argv[2]))
