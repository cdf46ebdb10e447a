"""The nets of the end-to-end tests: torchvision's resnet18 and mobilenet_v2, MTCNN's three nets, digits.

resnet18 and mobilenet_v2 have random weights and a small main input (64x64), so that debug and
sanitizer builds stay quick; ".224" holds the usual size.
"""

import functools
import importlib
import importlib.util
import pathlib
import sys
import types
import typing

import numpy as np
import torch

from fixture import Fixture, noise, settle_batch_norms

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _torchvision(name: str) -> Fixture:
    import torchvision

    torch.manual_seed(18)
    net = getattr(torchvision.models, name)(weights=None)
    settle_batch_norms(net, [noise(200 + i, 8, 3, 96, 96) for i in range(3)])
    return Fixture(
        name,
        net,
        inputs=(noise(1, 2, 3, 64, 64),),
        calib=(noise(2, 16, 3, 64, 64),),
        extra={"224": noise(3, 1, 3, 224, 224)},
    )


def resnet18() -> Fixture:
    return _torchvision("resnet18")


def mobilenet_v2() -> Fixture:
    return _torchvision("mobilenet_v2")


@functools.lru_cache(maxsize=None)
def mtcnn_module() -> typing.Optional[types.ModuleType]:
    """facenet_pytorch.models.mtcnn without the package's __init__, which wants more packages."""
    spec = importlib.util.find_spec("facenet_pytorch")
    if spec is None or not spec.submodule_search_locations:
        return None
    for name, sub in (("facenet_pytorch", ""), ("facenet_pytorch.models", "models")):
        package = types.ModuleType(name)
        package.__path__ = [str(pathlib.Path(spec.submodule_search_locations[0]) / sub)]
        sys.modules[name] = package
    return importlib.import_module("facenet_pytorch.models.mtcnn")


def _photo_crops(seed: int, count: int, size: int) -> torch.Tensor:
    """Random crops of scikit-learn's two sample photographs, as MTCNN normalises its input."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    rng = np.random.RandomState(seed)
    crops = []
    for i in range(count):
        photo = photos[i % len(photos)]
        step = rng.randint(1, 5)
        y = rng.randint(0, photo.shape[0] - size * step)
        x = rng.randint(0, photo.shape[1] - size * step)
        crops.append(photo[y : y + size * step : step, x : x + size * step : step])
    pixels = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32))
    return (pixels - 127.5) * 0.0078125


def _mtcnn(name: str, kind: str, size: int) -> typing.Optional[Fixture]:
    mtcnn = mtcnn_module()
    if mtcnn is None:
        return None
    inputs, calib = _photo_crops(4, 4, size), _photo_crops(5, 16, size)
    return Fixture(name, getattr(mtcnn, kind)(), inputs=(inputs,), calib=(calib,))


def onet() -> typing.Optional[Fixture]:
    return _mtcnn("onet", "ONet", 48)


def pnet() -> typing.Optional[Fixture]:
    return _mtcnn("pnet", "PNet", 36)


def rnet() -> typing.Optional[Fixture]:
    return _mtcnn("rnet", "RNet", 24)


def digits() -> Fixture:
    """The shipped trained net, with the code of examples/digits/net.py."""
    folder = ROOT / "examples" / "digits"
    spec = importlib.util.spec_from_file_location("net", folder / "net.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["net"] = module
    spec.loader.exec_module(module)
    net = module.DigitsNet()
    net.load_state_dict(torch.jit.load(str(folder / "digits.script.pt")).state_dict())
    images = torch.from_numpy(np.load(folder / "test_images.npy"))
    calib = torch.from_numpy(np.load(folder / "calib_images.npy"))
    return Fixture("digits", net, inputs=(images[:8],), calib=(calib,))


NETS = {"resnet18": resnet18, "mobilenet_v2": mobilenet_v2, "onet": onet, "digits": digits, "pnet": pnet, "rnet": rnet}
