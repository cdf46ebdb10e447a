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


def measure(rounds: int, threads: int) -> dict:
    """{"fxq": {stage: ms}, "python": {stage: ms}}, minima."""
    best = {"fxq": {}, "python": {}}
    for _ in range(rounds):
        for side, times in (("fxq", fxq_times), ("python", python_times)):
            for name, value in times(threads).items():
                best[side][name] = min(best[side].get(name, 1e9), value)
    return best


def rows(best: dict) -> list:
    """[stage, fxq ms, Python ms, ratio], the last row for all stages together."""
    pairs = [(name, best["fxq"][name], theirs) for name, theirs in best["python"].items()]
    pairs.append(("all", sum(best["fxq"].values()), sum(best["python"].values())))
    return [[name, f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.1f}"] for name, ours, theirs in pairs]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for row in [["stage", "fxq ms", "Python ms", "ratio"], *rows(measure(rounds, threads))]:
        print("{:10} {:>9} {:>10} {:>7}".format(*row))


if __name__ == "__main__":
    main()
