"""The task and the nets of this folder: scikit-learn's handwritten digits, turned, scaled and coloured, on
crops of its two photographs, as 3x32x32 pictures; a residual and a depthwise net that read them, and
the depthwise one again with badly scaled channels: the same function, but one in 32 channels of a
depthwise convolution has weights that are 14 times as large.

task.py FOLDER trains them (some minutes) and writes NET.script.pt, NET.onnx and the data as .npy.
Digits and parts of the photographs that the test pictures show are not in the training pictures.
"""

import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TRAIN, TEST, CALIB = 16000, 4000, 256
EPOCHS, BATCH = 12, 64
FACTOR, RARE = 14.0, 32  # one channel of 32 is badly scaled


def _block(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), *([nn.ReLU()] if act else []))


class Residual(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU()
        self.shortcut = nn.Identity() if stride == 1 else _block(c_in, c_out, 1, stride, act=False)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.shortcut(x))


class InvertedResidual(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        wide = 4 * c_in
        self.expand = _block(c_in, wide, 1)
        self.depthwise = _block(wide, wide, 3, stride, groups=wide)
        self.project = _block(wide, c_out, 1, act=False)
        self.keeps = stride == 1 and c_in == c_out

    def forward(self, x):
        y = self.project(self.depthwise(self.expand(x)))
        if self.keeps:
            y = y + x
        return y


class Net(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        block = Residual if kind == "residual" else InvertedResidual
        stride = 1 if kind == "residual" else 2
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = [(16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        self.blocks = nn.Sequential(*[block(*w) for w in widths])
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


def _backgrounds(count: int, left: bool, rng: np.random.RandomState) -> np.ndarray:
    """Crops of the left two thirds of the photographs, or of the right third."""
    from sklearn.datasets import load_sample_images

    crops = np.empty((count, 32, 32, 3), np.float32)
    for i in range(count):
        photo = load_sample_images.photos[i % 2]
        cut = photo.shape[1] * 2 // 3
        photo = photo[:, :cut] if left else photo[:, cut:]
        step = rng.randint(1, 5)
        y = rng.randint(0, photo.shape[0] - 32 * step)
        x = rng.randint(0, photo.shape[1] - 32 * step)
        crops[i] = photo[y : y + 32 * step : step, x : x + 32 * step : step]
    return crops.transpose(0, 3, 1, 2) / 255


def _pictures(digits: np.ndarray, count: int, left: bool, seed: int):
    """Pictures and the index of the digit that each shows."""
    rng = np.random.RandomState(seed)
    index = rng.randint(0, len(digits), count)
    turn, size = rng.uniform(-0.3, 0.3, count), rng.uniform(1.0, 1.7, count)
    place = rng.uniform(-0.25, 0.25, (count, 2)) * size[:, None]
    cos, sin = np.cos(turn) * size, np.sin(turn) * size
    matrices = np.stack([cos, -sin, place[:, 0], sin, cos, place[:, 1]], 1).reshape(-1, 2, 3)
    grid = F.affine_grid(torch.from_numpy(matrices).float(), [count, 1, 32, 32], align_corners=False)
    ink = F.grid_sample(torch.from_numpy(digits[index])[:, None].float() / 16, grid, align_corners=False).numpy()
    ink = ink * rng.uniform(0.4, 1.0, (count, 1, 1, 1)).astype(np.float32)
    colour = rng.uniform(0, 1, (count, 3, 1, 1)).astype(np.float32)
    pixels = _backgrounds(count, left, rng) * (1 - ink) + colour * ink
    return np.ascontiguousarray((pixels - 0.5) / 0.25, np.float32), index


def make_data(folder: pathlib.Path) -> None:
    from sklearn.datasets import load_digits, load_sample_images
    from sklearn.model_selection import train_test_split

    load_sample_images.photos = load_sample_images().images
    bunch = load_digits()
    parts = train_test_split(bunch.images, bunch.target, test_size=0.2, random_state=0, stratify=bunch.target)
    for name, digits, labels, count, seed in (
        ("train", parts[0], parts[2], TRAIN, 1),
        ("test", parts[1], parts[3], TEST, 2),
    ):
        pictures, index = _pictures(digits, count, name == "train", seed)
        np.save(folder / f"{name}.npy", pictures)
        np.save(folder / f"{name}_labels.npy", labels[index].astype(np.int64))
    np.save(folder / "calib.npy", np.load(folder / "train.npy")[:CALIB])


def train(kind: str, x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    torch.manual_seed(3)
    net = Net(kind)
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, steps)
    for epoch in range(EPOCHS):
        hits = 0
        for batch in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            out = net(x[batch])
            loss = F.cross_entropy(out, y[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            hits += int((out.argmax(1) == y[batch]).sum())
        print(f"{kind} epoch {epoch + 1}: top-1 {100 * hits / len(x):.2f} %", file=sys.stderr, flush=True)
    return net.eval()


def rescale(net: nn.Module, factor: float = FACTOR) -> nn.Module:
    """relu(y / k) * k = relu(y): some channels of each depthwise convolution read less and weigh more."""
    with torch.no_grad():
        for block in net.blocks:
            norm, weight = block.expand[1], block.depthwise[0].weight
            some = torch.arange(0, norm.num_features, RARE)
            norm.weight[some] /= factor
            norm.bias[some] /= factor
            weight[some] *= factor
    return net


def make_net(kind: str, folder: pathlib.Path) -> None:
    x, y = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("train", "train_labels"))
    net = rescale(load("depthwise", folder)) if kind == "rescaled" else train(kind, x, y)
    torch.jit.script(net).save(str(folder / f"{kind}.script.pt"))
    torch.save(net.state_dict(), str(folder / f"{kind}.weights.pt"))
    torch.onnx.export(
        net, x[:1], str(folder / f"{kind}.onnx"), opset_version=13, input_names=["x"], dynamic_axes={"x": {0: "N"}}
    )


def load(kind: str, folder: pathlib.Path) -> nn.Module:
    net = Net(kind)
    net.load_state_dict(torch.load(folder / f"{kind}.weights.pt"))
    return net.eval()


def make(folder: pathlib.Path) -> None:
    """Whatever of it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "calib.npy").exists():
        make_data(folder)
    for kind in ("residual", "depthwise", "rescaled"):
        if not (folder / f"{kind}.onnx").exists():
            make_net(kind, folder)


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
