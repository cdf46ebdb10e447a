#!/usr/bin/env python3
"""Trains the digits net and writes every file of this folder that is not source. Takes seconds.

The data are the 1797 8x8 images that come with scikit-learn. Each pixel 0..16 becomes the byte of
a PNG (0..255); the .npy files hold what preprocess.json makes of those bytes.
"""

import concurrent.futures
import json
import linecache
import os
import pathlib
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

FOLDER = pathlib.Path(__file__).resolve().parent
PREPROCESS = {"color": "GRAY", "scale": 1.0 / 255.0, "mean": [0.3], "std": [0.4]}
EPOCHS, BATCH, CALIB, PNGS = 40, 64, 128, 20


def load_net_module() -> types.ModuleType:
    """Imports net.py under its name in the repository: that name is saved in the .pt files."""
    os.chdir(FOLDER.parents[1])
    name = "examples/digits/net.py"
    module = types.ModuleType("net")
    module.__file__ = name
    linecache.checkcache(name)
    with open(name, encoding="utf-8") as file:
        exec(compile(file.read(), name, "exec"), module.__dict__)
    sys.modules["net"] = module
    return module


def load_data():
    bunch = load_digits()
    pixels = np.round(bunch.images * 255.0 / 16.0).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    return train_test_split(pixels, labels, test_size=360, random_state=0, stratify=labels)


def preprocess(pixels: np.ndarray) -> np.ndarray:
    x = pixels[:, None].astype(np.float32) * np.float32(PREPROCESS["scale"])
    x = (x - np.float32(PREPROCESS["mean"][0])) / np.float32(PREPROCESS["std"][0])
    return np.ascontiguousarray(x)


def shifted(batch: torch.Tensor) -> torch.Tensor:
    """The batch, each image moved by up to one pixel: the only augmentation."""
    padded = F.pad(batch, [1, 1, 1, 1], value=float(batch.min()))
    dy, dx = torch.randint(0, 3, (2,)).tolist()
    return padded[:, :, dy : dy + 8, dx : dx + 8]


def train(net: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    steps = EPOCHS * ((len(images) + BATCH - 1) // BATCH)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=steps)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for start in range(0, len(images), BATCH):
            index = order[start : start + BATCH]
            loss = F.cross_entropy(net(shifted(images[index])), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()


def save_data(train_pixels, test_pixels, test_labels) -> None:
    np.save(FOLDER / "calib_images.npy", preprocess(train_pixels[:CALIB]))
    np.save(FOLDER / "test_images.npy", preprocess(test_pixels))
    np.save(FOLDER / "test_labels.npy", test_labels)
    (FOLDER / "images").mkdir(exist_ok=True)
    for i in range(PNGS):
        Image.fromarray(test_pixels[i], "L").save(FOLDER / "images" / f"{i:02d}_is_{test_labels[i]}.png")
    text = json.dumps({"preprocess": PREPROCESS}, indent=2)
    (FOLDER / "preprocess.json").write_text(text + "\n", encoding="utf-8")


def save_net(net: torch.nn.Module, example: torch.Tensor) -> None:
    torch.jit.script(net).save(str(FOLDER / "digits.script.pt"))
    # A trace records the Python call stack: on a thread of its own it holds no path of this machine.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        traced = pool.submit(torch.jit.trace, net, example).result()
    traced.save(str(FOLDER / "digits.trace.pt"))


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    train_pixels, test_pixels, train_labels, test_labels = load_data()
    net = load_net_module().DigitsNet()
    train(net, torch.from_numpy(preprocess(train_pixels)), torch.from_numpy(train_labels))
    test_images = torch.from_numpy(preprocess(test_pixels))
    with torch.no_grad():
        top1 = (net(test_images).argmax(1).numpy() == test_labels).mean()
    save_net(net, test_images[:1])
    save_data(train_pixels, test_pixels, test_labels)
    print(f"{sum(p.numel() for p in net.parameters())} parameters, test top-1 {100 * top1:.2f} %")


if __name__ == "__main__":
    main()
