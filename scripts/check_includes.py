#!/usr/bin/env python3
"""Checks every #include against the layers that CMakeLists.txt declares.

    check_includes.py [BUILD]

fxq_layer(NAME [TORCH] FOLDER f USES ...) says what a layer links; it may include just that, itself
and what those layers may include. Without TORCH it may not see LibTorch. With BUILD (a Ninja build
of the tree) the second rule is checked on what the compiler really opened, through any header.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
LIBTORCH = re.compile(r"(^|/)(torch|ATen|c10|caffe2)/")
TOPS = ("cli", "tests", "bench", "examples")  # see everything; no layer sees them
# LibTorch headers that may stand in a header of ours: a base class must be complete, and the reader of
# TorchScript speaks of its types.
TORCH_IN_HEADERS = {"torch/nn/module.h": "", "torch/csrc/jit/": "tracer/script_reader.h"}


class Layer:
    def __init__(self, name: str, folder: str, torch: bool, uses: list):
        self.name, self.folder, self.torch, self.uses = name, folder, torch, uses


def read_layers() -> dict:
    layers = {}
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for words in re.findall(r"^fxq_layer\(([^)]*)\)", text, re.MULTILINE):
        words = words.split()
        uses = words[words.index("USES") + 1 :] if "USES" in words else []
        folder = words[words.index("FOLDER") + 1] if "FOLDER" in words else words[0]
        names = [use[len("fxq_") :] for use in uses if use.startswith("fxq_")]
        layers[words[0]] = Layer(words[0], folder, "TORCH" in words, names)
    return layers


def reachable(layers: dict, name: str) -> set:
    seen, todo = set(), [name]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += layers[current].uses
    return seen


def layer_of(layers: dict, path: str):
    """The layer of a file: the one with the longest folder that holds it."""
    holding = [layer for layer in layers.values() if path.startswith(layer.folder + "/")]
    return max(holding, key=lambda layer: len(layer.folder), default=None)


def torch_in_header(path: str, target: str) -> bool:
    if not target.startswith("torch/"):
        return True
    allowed = TORCH_IN_HEADERS.items()
    return any(target.startswith(start) and path.startswith(where) for start, where in allowed)


def check_one(layers: dict, path: str, target: str, quoted: bool):
    """What is wrong with one include, or None."""
    owner = layer_of(layers, path)
    if target.startswith("fxq/"):
        inner = target[len("fxq/") :]
        if not (ROOT / inner).is_file():
            return f"no such file: {inner}"
        if owner and inner.split("/")[0] in TOPS:
            return f"no layer sees {inner.split('/')[0]}/"
        other = layer_of(layers, inner)
        if owner and other and other.name not in reachable(layers, owner.name):
            allowed = ", ".join(sorted(reachable(layers, owner.name)))
            return f"layer {owner.name} may include only {allowed}, not {other.name}"
    elif owner and quoted and (ROOT / path).parent.joinpath(target).is_file():
        return f'spell it "fxq/{pathlib.Path(path).parent / target}"'
    elif LIBTORCH.search(target):
        if owner and not owner.torch:
            return f"layer {owner.name} does not see LibTorch"
        if owner and path.endswith(".h") and not torch_in_header(path, target):
            return "torch/ headers stay out of headers: forward-declare, include in the .cc"
    return None


def check_text(layers: dict) -> list:
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", "*.cc", "*.h", "*.def"]
    files = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    problems = []
    for path in filter(None, files.split("\n")):
        if not (ROOT / path).is_file():
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            problem = check_one(layers, path, match[2], match[1] == '"')
            if problem:
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: includes {match[2]}: {problem}")
    return problems


def check_opened(layers: dict, build: str) -> list:
    """Reads the compiler's own dependency lists, which Ninja keeps."""
    command = ["ninja", "-C", build, "-t", "deps"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    problems, seen = [], set()
    for block in text.split("\n\n"):
        lines = block.strip().split("\n")
        target = re.match(r"CMakeFiles/fxq_(\w+)\.dir/", lines[0])
        if not target or target[1] not in layers or layers[target[1]].torch:
            continue
        seen.add(target[1])
        opened = [line.strip() for line in lines[1:] if LIBTORCH.search(line)]
        if opened:
            problems.append(f"{lines[0].split(':')[0]}: opens LibTorch's {opened[0]}")
    blind = {layer.name for layer in layers.values() if not layer.torch} - seen
    if blind:
        problems.append(f"{build} holds no object of: {', '.join(sorted(blind))}")
    return problems


def main() -> int:
    layers = read_layers()
    problems = check_text(layers)
    if len(sys.argv) > 1:
        problems += check_opened(layers, sys.argv[1])
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
