"""The nets of the comparison: torchvision's with random weights and settled batch norms, a U-Net
(tests/models/zoo_nets.py), and facenet-pytorch's trained P-Net and R-Net, if ./dev setup was run.

Data are crops of scikit-learn's two photographs, normalised as for ImageNet.
"""

import pathlib
import sys

import numpy as np
import torch
import torchvision
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "models"))
from fixture import settle_batch_norms  # noqa: E402
from vision_nets import mtcnn_module  # noqa: E402
from zoo_nets import ARCHITECTURES  # noqa: E402

# last: facenet-pytorch is there, and nothing else is wanted from there
VENV = pathlib.Path(__file__).resolve().parents[2] / "build" / "venv"
sys.path += [str(folder) for folder in VENV.glob("lib/python3*/site-packages")]


class _Main(nn.Module):
    """A segmentation net's main output as a tensor."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)["out"]


def _architectures() -> dict:
    """name: (maker, pixels of a side)"""
    all_of_them = {
        "resnet18": (lambda: torchvision.models.resnet18(weights=None), 224),
        "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2(weights=None), 224),
    }
    for name, architecture in ARCHITECTURES.items():
        all_of_them[name] = architecture.make, architecture.usual
    mtcnn = mtcnn_module()
    if mtcnn:
        all_of_them["pnet"] = mtcnn.PNet, 160
        all_of_them["rnet"] = mtcnn.RNet, 24
    fcn, size = all_of_them["fcn_resnet50"]
    all_of_them["fcn_resnet50"] = (lambda: _Main(fcn())), size
    return all_of_them


NETS = _architectures()


def photo_crops(seed: int, count: int, size: int) -> np.ndarray:
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    rng = np.random.RandomState(seed)
    crops = []
    for i in range(count):
        photo = photos[i % len(photos)]
        y = rng.randint(0, photo.shape[0] - size + 1)
        x = rng.randint(0, photo.shape[1] - size + 1)
        crop = photo[y : y + size, x : x + size]
        crops.append(crop[:, ::-1] if rng.randint(2) else crop)
    pixels = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32) / 255
    mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
    deviation = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1)
    return np.ascontiguousarray((pixels - mean) / deviation)


def make(name: str) -> nn.Module:
    """The net in eval mode; the same weights on every call."""
    maker, size = NETS[name]
    torch.manual_seed(18)
    torch.set_num_threads(1)
    batch_norm_data = torch.from_numpy(photo_crops(7, 16, size)).split(8)
    return settle_batch_norms(maker(), batch_norm_data)


def macs(name: str) -> int:
    """Multiply-adds of convolutions and linear layers for one image."""
    total = 0

    def count(module, _, output):
        nonlocal total
        weight = module.weight
        if isinstance(module, nn.ConvTranspose2d):
            total += weight.numel() * output.numel() // output.size(1) // (module.stride[0] * module.stride[1])
        else:
            total += output.numel() * weight[0].numel()

    model = make(name)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.register_forward_hook(count)
    size = NETS[name][1]
    with torch.inference_mode():
        model(torch.zeros(1, 3, size, size))
    return total
