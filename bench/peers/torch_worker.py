"""TorchScript in Debian's torch: float models, and torch.ao's int8 on the onednn engine."""

import torch

from protocol import serve


def load(path, array, threads):
    torch.set_num_threads(threads)
    torch.backends.quantized.engine = "onednn"
    module = torch.jit.freeze(torch.jit.load(path).eval())
    state = module, torch.from_numpy(array)
    with torch.inference_mode():
        for _ in range(3):  # its executor specialises on the first runs
            module(state[1])
    return state


def run(state):
    module, x = state
    with torch.inference_mode():
        y = module(x)
    return list(y.values()) if isinstance(y, dict) else list(y) if isinstance(y, tuple) else [y]


serve(load, run)
