#!/usr/bin/env python3
"""Writes docs/nets.md: what `fxq quantize` makes of every fixture net of an architecture.

    ./dev build && scripts/nets_page.py

Needs the fixture models (./dev test makes them).
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODELS = ROOT / "build" / "models"
FXQ = ROOT / "build" / "bin" / "fxq"

HEAD = """# Nets that go the whole way

Written by `scripts/nets_page.py`; not to be edited by hand. Each net, scripted and traced, is captured exactly (`tests/tracer`),
quantized for March::CPU, equal to the reference integers bit for bit (`tests/lower`) and run by ONNX Runtime node by node
(`tests/export`). Integer ops are counted after fusion; an op in float has its reason code (docs/reason-codes.md). SQNR is that of
the fixture's small inputs and random weights (pnet, rnet, onet, digits: trained): it compares nothing but two builds of fxq.

| net | form | int8 ops | float ops | why in float | SQNR dB |
|---|---|---|---|---|---|
"""


def row(model: pathlib.Path, folder: str) -> str:
    name, form, _ = model.name.split(".")
    command = [FXQ, "quantize", model, "--calib", MODELS / f"{name}.calib.npy", "-o", f"{folder}/m.fxq"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{model.name}: {done.stderr.strip()}")
    counts = re.search(r"ops: (\d+) int8, (\d+) int16, (\d+) float", done.stdout)
    floats = re.findall(r"float: %\S+ \((\S+)\) (\S+) (.*)", done.stdout)
    why = "; ".join(sorted({f"{op}: {code} {reason}" for op, code, reason in floats}))
    sqnr = re.search(r"first batch: (\S+) dB", done.stdout).group(1)
    return f"| {name} | {form} | {counts.group(1)} | {counts.group(3)} | {why} | {sqnr} |\n"


def main() -> None:
    models = [path for path in sorted(MODELS.glob("*.pt")) if not path.name.startswith("odd_")]
    if not models:
        sys.exit("no fixture models: run ./dev test first")
    with tempfile.TemporaryDirectory() as folder:
        page = HEAD + "".join(row(model, folder) for model in models)
    partial = ROOT / "docs" / "nets.partial"
    partial.write_text(page, encoding="utf-8")
    partial.rename(ROOT / "docs" / "nets.md")


if __name__ == "__main__":
    main()
