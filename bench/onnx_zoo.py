#!/usr/bin/env python3
"""Exports every architecture of torchvision to ONNX and runs the files; writes docs/onnx.md.

    ./dev bench onnx_zoo [MODEL...] [--docs] [--openvino]

Each model (random weights, traced) goes through `fxq export` as float; those that classify images are quantized with
random data and exported again as QDQ. `fxq export` runs each file in ONNX Runtime beside the graph; with --openvino
OpenVINO runs it too. Models that take lists of images, and the quantized ones of torchvision, have no such file.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

import torch
import torchvision
from torchvision.models import get_model, list_models

from capture_zoo import BACKBONE, DETECTION, ROOT, example

FXQ = ROOT / "build" / "bin" / "fxq"
DOCS = ROOT / "docs" / "onnx.md"
RECORD = ROOT / "build" / "onnx_zoo.json"
SECONDS = 900

HEAD = """# Architectures of torchvision {version} as ONNX

Written by `{command}` (ONNX Runtime {runtime}); not to be edited by hand. Random weights, traced, opset 16. *float*: the largest
difference of an output from the graph's, relative to the largest value, optimisations off. *QDQ*: of classifiers, quantized with
random data: nodes compared on the same integers, how many of their integers are equal, the largest distance in steps; then the
SQNR of the whole file's output against the int8 graph{openvino}. Random nets spread one value beside a rounding tie over the
image, so that SQNR says less than the nodes.

{count} architectures in this run (`./dev bench onnx_zoo --docs` takes them all): {floats} float files, {integers} QDQ files{failed}.

| model | float | nodes | equal | steps | whole |{head}
|---|---|---|---|---|---|{rule}
"""


def run(command: list) -> str:
    """What it printed; raises with its last words."""
    environment = {**os.environ, "FXQ_PYTHON": sys.executable}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=SECONDS, env=environment
    )
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").split("\n")
        raise RuntimeError(" ".join(words)[:300])
    return done.stdout


def shape_of(name: str) -> list:
    return [option for tensor in example(name) for option in ("--shape", "x".join(map(str, tensor.shape)))]


def found(pattern: str, text: str, what: str) -> str:
    match = re.search(pattern, text)
    if not match:
        raise RuntimeError(f"no {what} in what fxq printed: {text.strip()[-200:]}")
    return match.group(1)


def openvino_difference(file: pathlib.Path, name: str, wanted) -> float:
    import numpy as np
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(str(file)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled([tensor.numpy() for tensor in inputs(name)])[0]
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def inputs(name: str) -> tuple:
    torch.manual_seed(1)
    return example(name)


def first_output(model, name: str):
    with torch.no_grad():
        result = model(*inputs(name))
    while not isinstance(result, torch.Tensor):
        result = next(iter(result.values())) if isinstance(result, dict) else result[0]
    return result.numpy()


def export_float(model, name: str, folder: pathlib.Path, openvino: bool) -> dict:
    with torch.no_grad():
        torch.jit.trace(model, inputs(name), strict=False, check_trace=False).save(str(folder / "m.pt"))
    text = run([FXQ, "export", folder / "m.pt", "--opset", 16, *shape_of(name), "-o", folder / "m.onnx"])
    result = {"float": float(found(r"largest difference is (\S+) of", text, "difference"))}
    if openvino:
        result["openvino"] = openvino_difference(folder / "m.onnx", name, first_output(model, name))
    return result


def export_integers(name: str, folder: pathlib.Path) -> dict:
    shape = "x".join(map(str, (4, *example(name)[0].shape[1:])))
    run([FXQ, "quantize", folder / "m.pt", "--random-calib", shape, "-q", "-o", folder / "m.fxq"])
    text = run([FXQ, "export", folder / "m.fxq", "--opset", 16, "-o", folder / "q.onnx"])
    return {
        "nodes": int(found(r"inputs: (\d+) nodes", text, "nodes")),
        "equal": float(found(r"(\S+) % of the integers equal", text, "share")),
        "steps": int(found(r"most (\d+) step", text, "steps")),
        "whole": found(r"end to end: (\S+) dB", text, "SQNR"),
    }


def classifies(name: str, model) -> bool:
    """Its output is one score per class and image."""
    with torch.no_grad():
        result = model(*inputs(name))
    return isinstance(result, torch.Tensor) and result.dim() == 2 and not name.startswith("raft")


def examine(name: str, openvino: bool) -> dict:
    options = {"weights_backbone": None} if name.startswith(BACKBONE) else {}
    model = get_model(name, weights=None, **options).eval()
    result = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        try:
            result.update(export_float(model, name, folder, openvino))
            if classifies(name, model):
                result.update(export_integers(name, folder))
        except Exception as error:  # pylint: disable=broad-except
            result["problem"] = " ".join(str(error).split())[:300]
    return result


def line(name: str, result: dict, openvino: bool) -> str:
    def cell(key: str, form: str) -> str:
        return form.format(result[key]) if key in result else ""

    cells = [cell("float", "{:.1e}"), cell("nodes", "{}"), cell("equal", "{:.3f} %"), cell("steps", "{}")]
    cells.append(cell("whole", "{} dB"))
    if openvino:
        cells.append(cell("openvino", "{:.1e}"))
    if "problem" in result:
        cells[-1] = result["problem"].replace("|", "/")
    return f"| {name} | " + " | ".join(cells) + " |\n"


def write_page(results: dict, openvino: bool) -> None:
    import onnxruntime

    failed = [name for name, result in results.items() if "problem" in result]
    head = HEAD.format(
        version=torchvision.__version__,
        command=" ".join(["./dev bench onnx_zoo", *sys.argv[1:]]),
        runtime=onnxruntime.__version__,
        openvino="; *OpenVINO*: as *float*, its output beside the module's own" if openvino else "",
        count=len(results),
        floats=sum("float" in result for result in results.values()),
        integers=sum("nodes" in result for result in results.values()),
        failed=f"; with a problem: {', '.join(failed)}" if failed else "",
        head=" OpenVINO |" if openvino else "",
        rule="---|" if openvino else "",
    )
    DOCS.write_text(head + "".join(line(name, result, openvino) for name, result in results.items()), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench onnx_zoo", description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--openvino", action="store_true", help="run the float files there, too")
    parser.add_argument("--docs", action="store_true", help="write docs/onnx.md")
    parser.add_argument("--resume", action="store_true", help="keep what build/onnx_zoo.json has")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    everything = [name for name in list_models() if not name.startswith((*DETECTION, "quantized_"))]
    results = json.loads(RECORD.read_text()) if args.resume and RECORD.exists() else {}
    for name in args.models or everything:
        if name in results:
            continue
        results[name] = examine(name, args.openvino)
        print(f"{name}: {results[name]}", flush=True)
        RECORD.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if args.docs:
        write_page(results, args.openvino)
    return 1 if any("problem" in result for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
