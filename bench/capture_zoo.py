#!/usr/bin/env python3
"""Captures every model of Debian's torchvision, scripted and traced, and writes docs/capture.md.

    ./dev bench capture_zoo [MODEL...]        without models: all, and the page is written

Each model is made with random weights in a folder of its own, captured and compared with its own
forward by build/bin/capture (two inputs, and another size where the model takes one), then deleted.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import torch
import torchvision
from torchvision.models import get_model, list_models

ROOT = pathlib.Path(__file__).resolve().parents[1]
CAPTURE = ROOT / "build" / "bin" / "capture"
DETECTION = ("fasterrcnn", "maskrcnn", "keypointrcnn", "fcos", "retinanet", "ssd")
BACKBONE = DETECTION + ("deeplab", "fcn", "lraspp")

HEAD = """# Every model of torchvision {version}, captured

Written by `./dev bench capture_zoo` ({torch}); not to be edited by hand. Random weights, eval mode. *nodes*: of the graph;
*opaque*: nodes that stay TorchScript because data decides (a wrapped branch or loop); *difference*: the largest absolute one
between the graph and the module's own forward over two inputs and, where the model takes it, another size (*runs*: how many
were compared); *ms*: the capture, without loading. No example inputs are given{example}. Detection models take a list of two
images; operators of torchvision's extension come by `--load-library`.

{count} captures, {exact} of them exact (difference 0){failed}.

| model | form | nodes | opaque | difference | runs | ms |
|---|---|---|---|---|---|---|
"""


def shapes(name: str) -> list:
    """The input shapes, and with --also another size."""
    if name.startswith(DETECTION):
        return ["--list", "3x224x224", "3x200x240"]
    if name.startswith("raft"):
        return ["--also", "1x3x128x160", "1x3x128x128", "1x3x128x128"]
    if name.startswith(("mvit", "s3d")):
        return ["1x3x16x224x224"]
    if name.startswith(("swin3d", "r3d", "mc3", "r2plus1d")):
        return ["--also", "2x3x8x96x112", "1x3x8x112x112"]
    if name.startswith(("inception", "quantized_inception")):
        return ["--also", "2x3x128x160", "1x3x160x160"]
    if "vit" in name:
        return ["--also", "2x3x224x224", "1x3x224x224"]
    return ["--also", "2x3x96x128", "1x3x128x128"]


def example(name: str) -> tuple:
    arguments = shapes(name)
    sizes = arguments[2:] if arguments[0] == "--also" else arguments
    return tuple(torch.rand([int(part) for part in text.split("x")]) for text in sizes)


def make(name: str, form: str, path: pathlib.Path) -> str:
    """Saves the model; what stopped it, or nothing."""
    try:
        options = {"weights_backbone": None} if name.startswith(BACKBONE) else {}
        model = get_model(name, weights=None, **options).eval()
        if form == "script":
            module = torch.jit.script(model)
        else:
            with torch.no_grad():
                module = torch.jit.trace(model, example(name), strict=False, check_trace=False)
        module.save(str(path))
    except Exception as error:  # pylint: disable=broad-except
        return str(error).strip().split("\n")[-1][:200]
    return ""


def row(name: str, form: str, folder: str) -> dict:
    path = pathlib.Path(folder) / f"{name}.{form}.pt"
    problem = make(name, form, path)
    if problem:
        return {"made": False, "problem": problem}
    library = importlib.util.find_spec("torchvision._C").origin
    command = [CAPTURE, "--load-library", library, path, *shapes(name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.unlink()
    if done.returncode != 0:
        return {"made": True, "problem": done.stderr.strip().split("\n")[0]}
    return {"made": True, "problem": "", **json.loads(done.stdout)}


def line(name: str, form: str, result: dict) -> str:
    if result["problem"]:
        return f"| {name} | {form} | {result['problem']} | | | | |\n"
    return (
        f"| {name} | {form} | {result['nodes']} | {result['opaque'] or ''} | {result['max_difference']:g} "
        f"| {result['compared']} | {result['ms']:.0f} |\n"
    )


def write_page(rows: list) -> None:
    captured = [result for _, _, result in rows if not result["problem"]]
    failed = [f"{name} ({form})" for name, form, result in rows if result["problem"]]
    helped = [f"{name} ({form})" for name, form, result in rows if result.get("example")]
    head = HEAD.format(
        version=torchvision.__version__,
        torch=f"LibTorch {torch.__version__}",
        count=len(rows),
        exact=sum(result["max_difference"] == 0 for result in captured),
        failed=f"; not captured: {', '.join(failed)}" if failed else "",
        example=f" but to {', '.join(helped)}" if helped else "",
    )
    partial = ROOT / "docs" / "capture.partial"
    partial.write_text(head + "".join(line(*entry) for entry in rows), encoding="utf-8")
    partial.rename(ROOT / "docs" / "capture.md")


def main() -> int:
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    names = sys.argv[1:] or list_models()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for form in ("script", "trace"):
                if form == "trace" and name.startswith(DETECTION):
                    continue  # torch.jit.trace takes no list of images
                result = row(name, form, folder)
                print(f"{name} {form}: {result}", flush=True)
                if result["made"]:
                    rows.append((name, form, result))
    if not sys.argv[1:]:
        write_page(rows)
    return 1 if any(result["problem"] for _, _, result in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
