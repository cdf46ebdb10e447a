#!/usr/bin/env python3
"""Graph work of fxq beside Python's torch.fx and torch.ao on resnet50, interleaved in one run.

    /usr/bin/python3 bench/peers/graph_work.py [ROUNDS [THREADS]]

Each round runs both sides once, in processes of their own; minima in milliseconds. THREADS (default 1) is for both.
"""

import json
import os
import pathlib
import subprocess
import sys

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"

PYTHON = """
import copy, json, time, torch, torchvision, warnings
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, fuse_fx, prepare_fx
warnings.simplefilter("ignore")
torch.set_num_threads(THREADS)
torch.backends.quantized.engine = "onednn"
model = torchvision.models.resnet50(weights=None).eval()
x = torch.randn(1, 3, 64, 64)
mapping = get_default_qconfig_mapping("onednn")
best = {}
for _ in range(3):
    def timed(name, work):
        begin = time.perf_counter()
        result = work()
        best[name] = min(best.get(name, 1e9), (time.perf_counter() - begin) * 1e3)
        return result
    timed("Trace", lambda: torch.fx.symbolic_trace(model))
    timed("Fuse", lambda: fuse_fx(copy.deepcopy(model)))
    prepared = timed("Prepare", lambda: prepare_fx(model, mapping, (x,)))
    prepared(x)
    timed("Convert", lambda: convert_fx(prepared))
print(json.dumps(best))
"""


def fxq_times(threads: int) -> dict:
    done = subprocess.run(
        [BUILD / "bin" / "graph_work", "--benchmark_filter=BM_(Trace|Fuse|Prepare|Convert)$", "--benchmark_format=json",
         "--benchmark_repetitions=5"],
        capture_output=True, text=True, check=True, env={**os.environ, "FXQ_BENCH_THREADS": str(threads)},
    )  # fmt: skip
    best = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry["run_type"] == "iteration":
            name = entry["run_name"].removeprefix("BM_")
            best[name] = min(best.get(name, 1e9), entry["real_time"])
    return best


def python_times(threads: int) -> dict:
    done = subprocess.run([sys.executable, "-c", PYTHON.replace("THREADS", str(threads))], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    best = {"fxq": {}, "python": {}}
    for _ in range(rounds):
        for side, measure in (("fxq", fxq_times), ("python", python_times)):
            for name, value in measure(threads).items():
                best[side][name] = min(best[side].get(name, 1e9), value)
    print(f"{'stage':10} {'fxq ms':>9} {'Python ms':>10} {'ratio':>7}")
    for name in best["python"]:
        ours, theirs = best["fxq"][name], best["python"][name]
        print(f"{name:10} {ours:9.2f} {theirs:10.1f} {theirs / ours:7.1f}")
    ours, theirs = sum(best["fxq"].values()), sum(best["python"].values())
    print(f"{'all':10} {ours:9.2f} {theirs:10.1f} {theirs / ours:7.1f}")


if __name__ == "__main__":
    main()
