#!/usr/bin/env python3
"""Graph work of fxq beside Python's torch.fx and torch.ao on resnet50, interleaved in one run.

    /usr/bin/python3 bench/peers/graph_work.py [ROUNDS [THREADS]] [--docs]

Each round runs both sides once, in processes of their own; minima in milliseconds. THREADS (default 1) is for both.
--docs writes docs/graph-work.md.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

STAGES = ["Trace", "Fuse", "Prepare", "Convert"]

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
class Chain(torch.nn.Module):
    def forward(self, x):
        for _ in range(1000):
            x = torch.relu(x)
        return x
chain = torch.fx.symbolic_trace(Chain())
interpreter = torch.fx.Interpreter(chain)
one = torch.randn(1)
with torch.no_grad():
    for _ in range(30):
        timed("bare", lambda: Chain()(one))
        timed("interpreted", lambda: interpreter.run(one))
best["Interpreter"] = best.pop("interpreted") - best.pop("bare")  # ms for 1000 nodes: us per node
print(json.dumps(best))
"""


def fxq_times(threads: int) -> dict:
    done = subprocess.run(
        [BUILD / "bin" / "graph_work", "--benchmark_filter=BM_(Trace|Fuse|CopyWeights|Prepare|Convert|InterpreterNode)$", "--benchmark_format=json",
         "--benchmark_repetitions=5"],
        capture_output=True, text=True, check=True, env={**os.environ, "FXQ_BENCH_THREADS": str(threads)},
    )  # fmt: skip
    best = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry["run_type"] == "iteration":
            name = entry["run_name"].removeprefix("BM_")
            value = entry["real_time"]
            if name == "InterpreterNode":
                name, value = "Interpreter", entry["overhead_ns"] / 1e3
            best[name] = min(best.get(name, 1e9), value)
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
    pairs = [(name, best["fxq"][name], best["python"][name]) for name in STAGES]
    pairs.append(("all", sum(pair[1] for pair in pairs), sum(pair[2] for pair in pairs)))
    return [[name, f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.1f}"] for name, ours, theirs in pairs]


def processor() -> str:
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
    return f"{len(names)} cores of an {names[0]}"


def page(best: dict, command: str) -> str:
    """docs/graph-work.md."""
    ours, theirs = best["fxq"], best["python"]
    lines = ["# What graph work costs", "", f"Written by `{command}` on {processor()}; not to be edited by hand. Both sides in",
             "turns, in processes of their own; minima. resnet50, one thread unless the command says another number.", "",
             "| stage | fxq, ms | torch.fx and torch.ao, ms | ratio |", "|---|---|---|---|"]  # fmt: skip
    lines += ["| " + " | ".join(row) + " |" for row in rows(best)]
    lines += ["", f"**Interpreter**, per node over the bare ATen call (a chain of 1000 `relu` on one number): fxq {ours['Interpreter']:.2f} us, "
              f"torch.fx {theirs['Interpreter']:.1f} us.", ""]  # fmt: skip
    return "\n".join(lines + [(pathlib.Path(__file__).parent / "graph_work.md").read_text().strip().format(**ours), ""])


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    threads = numbers[1] if len(numbers) > 1 else 1
    best = measure(numbers[0] if numbers else 3, threads)
    for row in [["stage", "fxq ms", "Python ms", "ratio"], *rows(best)]:
        print("{:10} {:>9} {:>10} {:>7}".format(*row))
    print(f"interpreter, us per node over the bare call: {best['fxq']['Interpreter']:.2f}, {best['python']['Interpreter']:.1f}")
    print(f"copying the weights alone: {best['fxq']['CopyWeights']:.1f} ms")
    if "--docs" in sys.argv:
        command = "/usr/bin/python3 bench/peers/graph_work.py " + " ".join(sys.argv[1:])
        (ROOT / "docs" / "graph-work.md").write_text(page(best, command), encoding="utf-8")


if __name__ == "__main__":
    main()
