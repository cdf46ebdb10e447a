#!/usr/bin/env python3
"""The same TorchScript models, quantized by each tool on the same data and timed in one run.

All workers of a cell (net, batch, threads) are alive at once and take turns, a burst each, so that
they see the same machine. Thread pools spin for tens of milliseconds after their work (ONNX Runtime's
2^20 pauses): each turn begins once those of the one before sleep. Results: build/peers/results.json
and, with --docs, docs/performance.md.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

import graph_work
import machine
import nets
import render
from tools import BUILD, HERE, TOOLS, Worker, WorkerError

FOLDER = BUILD / "peers"
PAUSE = 0.1  # seconds between turns


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def artefacts(net: str, tools: list, again: bool) -> dict:
    """{tool: {"file", "seconds", "mib"} or {"error"}}; kept from run to run in made.json."""
    folder = FOLDER / net
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "made.json"
    made = json.loads(record.read_text()) if record.exists() else {}
    for maker in dict.fromkeys(["float"] + [TOOLS[tool].maker for tool in tools]):
        if maker in made and not (again or maker == "fxq"):
            continue
        say(f"{net}: {maker}")
        done = subprocess.run(
            [sys.executable, str(HERE / "make_artifact.py"), maker, net, str(folder), str(BUILD / "bin" / "fxq")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        made[maker] = json.loads(lines[-1]) if lines else {"error": (done.stderr.strip() or "killed")[-300:]}
        if "file" in made[maker]:
            file = folder / made[maker]["file"]
            parts = [file, file.with_suffix(".bin")] if file.suffix == ".xml" else [file]
            made[maker]["mib"] = sum(part.stat().st_size for part in parts) / 2**20
        record.write_text(json.dumps(made, indent=1))
    return made


def start_all(net: str, made: dict, tools: list, batch: int, threads: int, cell: dict) -> dict:
    workers = {}
    for tool in tools:
        maker = made[TOOLS[tool].maker]
        if "error" in maker:
            cell[tool] = {"error": maker["error"]}
            continue
        folder = FOLDER / net
        artefact = folder / (TOOLS[tool].artefact or maker["file"])
        try:
            workers[tool] = Worker(TOOLS[tool], artefact, folder / f"b{batch}.npy", threads)
            first = workers[tool].ask("run 2")[-1]
            cell[tool] = {**workers[tool].started, "burst": max(1, int(40 / max(first, 0.01)))}
        except WorkerError as error:
            workers.pop(tool, None)
            cell[tool] = {"error": str(error)}
    return workers


def quality(workers: dict, net: str, cell: dict) -> None:
    """SQNR of the first output on held-out images, against TorchScript in float."""
    import torch

    x = torch.from_numpy(np.load(FOLDER / net / "b8.npy"))
    with torch.inference_mode():
        wanted = torch.jit.load(str(FOLDER / net / "float.pt")).eval()(x)
    wanted = (wanted[0] if isinstance(wanted, tuple) else wanted).numpy().astype(np.float64)
    for tool, worker in workers.items():
        stem = FOLDER / net / f"{tool}.output"
        worker.ask(f"save {stem}")
        got = np.load(f"{stem}.0.npy").astype(np.float64)
        error = ((wanted - got) ** 2).sum()
        cell[tool]["sqnr_db"] = float(10 * np.log10((wanted**2).sum() / error)) if error else None


def time_cell(net: str, made: dict, tools: list, batch: int, threads: int, rounds: int) -> dict:
    cell = {}
    workers = start_all(net, made, tools, batch, threads, cell)
    times = {tool: [] for tool in workers}
    try:
        for _ in range(rounds):
            for tool, worker in workers.items():
                time.sleep(PAUSE)
                times[tool] += worker.ask(f"run {cell[tool]['burst']}")
        for tool, worker in workers.items():
            cell[tool].update(min_ms=min(times[tool]), median_ms=float(np.median(times[tool])))
            cell[tool].update(runs=len(times[tool]), rss_mib=worker.ask("memory"))
        if batch == 8 and threads == 1:
            quality(workers, net, cell)
        if "fxq" in workers:
            cell["fxq"]["steps"] = workers["fxq"].ask(f"steps {max(5, cell['fxq']['burst'])}")
    finally:
        for worker in workers.values():
            worker.stop()
    return cell


def keep(results: dict, file: pathlib.Path) -> None:
    partial = pathlib.Path(f"{file}.partial")
    partial.write_text(json.dumps(results, indent=1))
    partial.rename(file)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench peers", description=__doc__)
    parser.add_argument("nets", nargs="*", default=list(nets.NETS), help="default: all of them")
    parser.add_argument("--tools", default=",".join(TOOLS), help="default: all, comma-separated")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=12, help="turns per tool and cell")
    parser.add_argument("--again", action="store_true", help="let the peers quantize anew, too")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md from the results")
    parser.add_argument("--render", action="store_true", help="only write docs/performance.md again")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    results_file = FOLDER / "results.json"
    if args.render:
        render.write(json.loads(results_file.read_text()))
        return 0
    unknown = [net for net in args.nets if net not in nets.NETS] + [t for t in args.tools.split(",") if t not in TOOLS]
    if unknown:
        say(f"no such net or tool: {', '.join(unknown)}; nets: {', '.join(nets.NETS)}; tools: {', '.join(TOOLS)}")
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = json.loads(results_file.read_text()) if results_file.exists() else {"nets": {}}
    results.update(machine=machine.describe())
    begin = time.time()
    for done, net in enumerate(args.nets):
        made = artefacts(net, args.tools.split(","), args.again)
        entry = results["nets"].setdefault(net, {"cells": {}})
        entry.update(made=made, macs=nets.macs(net), command=" ".join(["./dev bench peers", *sys.argv[1:]]))
        for batch in map(int, args.batches.split(",")):
            for threads in map(int, args.threads.split(",")):
                if net == "fcn_resnet50" and batch > 1:
                    continue
                cell = time_cell(net, made, args.tools.split(","), batch, threads, args.rounds)
                entry["cells"][f"b{batch} t{threads}"] = cell
                say(render.cell_line(net, f"b{batch} t{threads}", cell))
        keep(results, results_file)
        left = (time.time() - begin) / (done + 1) * (len(args.nets) - done - 1)
        say(f"{done + 1}/{len(args.nets)} nets, about {left / 60:.0f} min left")
    if args.docs:
        say("graph work beside Python's")
        results["graph_work"] = graph_work.measure(rounds=3, threads=1)
        keep(results, results_file)
        render.write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
