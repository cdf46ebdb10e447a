#!/usr/bin/env python3
"""ONNX files of fxq, profiles exact and ort, beside ONNX Runtime's own quantize_static, interleaved in one run.

    ./dev bench onnx_profiles [NET...] [--rounds N] [--threads N] [--docs]

All files of a net run in ONNX Runtime with its default optimisations, in turns (compare_peers.py); fxq's own
program runs beside them. --docs writes docs/onnx-profiles.md. Results: build/peers/onnx_profiles.json.
"""

import argparse
import json
import pathlib
import sys

import numpy as np

import compare_peers
import machine
from tools import TOOLS, Tool

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "onnx-profiles.md"
RESULTS = compare_peers.FOLDER / "onnx_profiles.json"
NETS = ["resnet18", "mobilenet_v2", "resnet50", "squeezenet1_1", "googlenet", "shufflenet_v2_x1_0"]
OWN = {"exact": "fxq_exact", "ort": "fxq_ort", "QOperator": "fxq_qoperator"}

HEAD = """# ONNX Runtime on fxq's files

Written by `{command}`; not to be edited by hand. {machine}, ONNX Runtime {version}, batch {batch}, {threads} thread(s); all
columns of a row ran in turns in one run, *minimum / median* in ms. *own*: ONNX Runtime's `quantize_static` (QDQ, U8S8, per
channel, the same 32 images) of the same float model. *exact*, *ort*: `fxq export`, with `--profile ort`; *QOperator*: that with
`--format qoperator`. *fxq*: its own program. *ort : own* is of minima. The last columns are SQNR in dB of eight held-out images:
ONNX Runtime on the file against the int8 program (exact, ort), and against the float model (own, ort).
Nets without adds (squeezenet, googlenet) have the same file in both profiles: what differs there is the noise of the run.

| net | own | exact | ort | QOperator | fxq | ort : own | exact - program | ort - program | own - float | ort - float |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def sqnr(wanted: np.ndarray, got: np.ndarray) -> float:
    error = ((wanted - got) ** 2).sum()
    return float(10 * np.log10((wanted**2).sum() / error)) if error else float("inf")


def output(net: str, tool: str) -> np.ndarray:
    return np.load(compare_peers.FOLDER / net / f"{tool}.output.0.npy").astype(np.float64)


def measure(net: str, batch: int, threads: int, rounds: int) -> dict:
    tools = ["fxq", "ort", *OWN.values()]
    record = compare_peers.FOLDER / net / "made.json"
    if record.exists():  # fxq's program is made anew each time, and so are its files
        made = json.loads(record.read_text())
        record.write_text(json.dumps({tool: entry for tool, entry in made.items() if tool not in OWN.values()}))
    made = compare_peers.artefacts(net, tools, again=False)
    cell = compare_peers.time_cell(net, made, tools, batch, threads, rounds)
    outputs = compare_peers.time_cell(net, made, tools, 8, 1, 1)  # saves them
    wanted = output(net, "fxq")
    for tool in tools:
        cell[tool].update(to_float=outputs[tool].get("sqnr_db"), to_program=sqnr(wanted, output(net, tool)))
    return cell


def times(cell: dict) -> str:
    return f"{cell['min_ms']:.2f} / {cell['median_ms']:.2f}" if "min_ms" in cell else cell["error"][:60]


def row(net: str, cell: dict) -> str:
    columns = [times(cell[tool]) for tool in ("ort", *OWN.values(), "fxq")]
    columns.append(f"{cell['fxq_ort']['min_ms'] / cell['ort']['min_ms']:.2f}")
    columns += [f"{cell[tool]['to_program']:.1f}" for tool in ("fxq_exact", "fxq_ort")]
    columns += [f"{cell[tool]['to_float']:.1f}" for tool in ("ort", "fxq_ort")]
    return f"| {net} | " + " | ".join(columns) + " |\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench onnx_profiles", description=__doc__)
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--docs", action="store_true", help="write docs/onnx-profiles.md")
    args = parser.parse_args()
    rows = []
    results = {}
    for net in args.nets:
        results[net] = measure(net, args.batch, args.threads, args.rounds)
        rows.append(row(net, results[net]))
        print(rows[-1], end="", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1))
    if args.docs:
        import onnxruntime

        head = HEAD.format(
            command=" ".join(["./dev bench onnx_profiles", *sys.argv[1:]]), machine=machine.describe()["cpu"],
            version=onnxruntime.__version__, batch=args.batch, threads=args.threads,
        )  # fmt: skip
        DOCS.write_text(head + "".join(rows), encoding="utf-8")
    return 0


for tool_name in OWN.values():
    TOOLS[tool_name] = Tool(tool_name, tool_name, "ort_worker.py")

if __name__ == "__main__":
    sys.exit(main())
