"""A fixture: one net with its inputs, and the rule by which it becomes files.

Files of fixture NAME (see README.md): NAME.script.pt, NAME.trace.pt, NAME.input.npy,
NAME.output.npy, NAME.calib.npy; with several inputs or outputs NAME.input.0.npy, ...
"""

import contextlib
import dataclasses
import pathlib
import typing
import warnings

import numpy as np
import torch
from torch import nn


@dataclasses.dataclass
class Fixture:
    name: str
    net: nn.Module
    inputs: typing.Tuple[torch.Tensor, ...]
    calib: typing.Tuple[torch.Tensor, ...]
    scripted: bool = True
    traced: bool = True  # False: tracing would bake in one branch
    extra: typing.Dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)  # more inputs


def noise(seed: int, *shape: int) -> torch.Tensor:
    """Normal noise that depends on the seed only, not on what was drawn before."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def settle_batch_norms(net: nn.Module, batches: typing.Iterable[torch.Tensor]) -> nn.Module:
    """Gives batch norms the statistics of a real forward, and scales and shifts of their own.

    Untouched, a fresh batch norm is the identity: folding it wrongly would go unnoticed.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    generator = torch.Generator().manual_seed(101)
    for norm in norms:
        with torch.no_grad():
            norm.weight.uniform_(0.6, 1.4, generator=generator)
            norm.bias.normal_(0.0, 0.1, generator=generator)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # cumulative average
    net.train()
    with torch.no_grad():
        for batch in batches:
            net(batch)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    return net.eval()


def flatten(value) -> typing.List[torch.Tensor]:
    """Tensors of a nested output, depth first; dicts in their own order, None left out."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flatten(item)]
    return []


def _save_tensors(stem: str, tensors: typing.Sequence[torch.Tensor]) -> None:
    for i, tensor in enumerate(tensors):
        path = f"{stem}.npy" if len(tensors) == 1 else f"{stem}.{i}.npy"
        np.save(path, np.ascontiguousarray(tensor.detach().numpy()))


def write(fixture: Fixture, folder: pathlib.Path) -> None:
    """Writes all files of the fixture; its recorded outputs are the scripted module's own."""
    stem = str(folder / fixture.name)
    net = fixture.net.eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = []
        if fixture.scripted:
            modules.append(torch.jit.script(net))
            modules[-1].save(f"{stem}.script.pt")
        if fixture.traced:
            modules.append(torch.jit.trace(net, fixture.inputs, strict=False))
            modules[-1].save(f"{stem}.trace.pt")
        expected = [flatten(module(*fixture.inputs)) for module in modules]
        for other in expected[1:]:
            for a, b in zip(expected[0], other):
                torch.testing.assert_close(a, b, msg=f"{fixture.name}: script and trace differ")
        _save_tensors(f"{stem}.input", fixture.inputs)
        _save_tensors(f"{stem}.calib", fixture.calib)
        _save_tensors(f"{stem}.output", expected[0])
        for tag, tensor in fixture.extra.items():
            _save_tensors(f"{stem}.{tag}.input", [tensor])
            _save_tensors(f"{stem}.{tag}.output", flatten(modules[0](tensor)))


@contextlib.contextmanager
def reproducible():
    """One thread and fixed seeds: the same files on every run on one machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
