"""docs/performance.md from the results of compare_peers.py, and from misses.md beside this file."""

import graph_work
from tools import HERE, TOOLS

DOCS = HERE.parents[1] / "docs" / "performance.md"
PEERS = [tool for tool, facts in TOOLS.items() if facts.int8 and tool != "fxq"]
AT_LEAST_BEST = ["mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "mnasnet1_0"]
NEAR_BEST = ["resnet18", "resnet50", "googlenet", "inception_v3", "vgg11_bn", "unet", "fcn_resnet50"]


def _time(cell: dict, tool: str) -> float:
    return cell.get(tool, {}).get("min_ms", float("inf"))


def best_peer(cell: dict) -> str:
    return min(PEERS, key=lambda tool: _time(cell, tool))


def _ratio(cell: dict) -> str:
    best = _time(cell, best_peer(cell))
    return f"{best / _time(cell, 'fxq'):.2f}" if best < float("inf") and _time(cell, "fxq") < float("inf") else "-"


def _figure(cell: dict, tool: str) -> str:
    facts = cell.get(tool)
    if facts is None:
        return ""
    return f"{facts['min_ms']:.2f} / {facts['median_ms']:.2f}" if "min_ms" in facts else "fails"


def cell_line(net: str, name: str, cell: dict) -> str:
    figures = ", ".join(f"{tool} {_figure(cell, tool)}" for tool in cell)
    return f"{net} {name}: {figures}; best peer / fxq {_ratio(cell)}"


def _table(head: list, rows: list) -> list:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def _times(results: dict, name: str) -> list:
    rows = []
    for net, entry in results["nets"].items():
        cell = entry["cells"].get(name)
        if cell:
            rows.append([net, *[_figure(cell, tool) for tool in TOOLS], _ratio(cell)])
    return _table(["net", *[facts.name for facts in TOOLS.values()], "best peer / fxq"], rows)


def _costs(results: dict) -> list:
    rows = []
    int8 = ["fxq", *PEERS]
    for net, entry in results["nets"].items():
        quality, timing = entry["cells"].get("b8 t1", {}), entry["cells"].get("b1 t1", {})
        row = [net]
        for tool in int8:
            made, cell = entry["made"].get(tool, {}), timing.get(tool, {})
            if "error" in made or "error" in cell:
                row.append("fails")
                continue
            sqnr = quality.get(tool, {}).get("sqnr_db")
            row.append(
                f"{'-' if sqnr is None else f'{sqnr:.1f}'} / {made.get('seconds', 0):.1f} / {made.get('mib', 0):.1f} / "
                f"{cell.get('load_ms', 0):.0f} / {cell.get('rss_mib', 0):.0f}"
            )
        rows.append(row)
    return _table(["net", *[TOOLS[tool].name for tool in int8]], rows)


def _budget(results: dict, name: str, images: int, threads: int) -> list:
    peaks = results["machine"]["peak_gops"]
    rows = []
    for net, entry in results["nets"].items():
        cell = entry["cells"].get(name)
        if not cell or "min_ms" not in cell.get("fxq", {}):
            continue
        bounds = [2e-6 * entry["macs"] * images / gops / threads if gops else None for gops in (peaks["vnni"], peaks["amx"])]
        steps = sum(step["min_ms"] for step in cell["fxq"].get("steps", []))
        best = best_peer(cell)
        rows.append(
            [net, f"{entry['macs'] * images / 1e9:.2f}", *["-" if bound is None else f"{bound:.2f}" for bound in bounds]]
            + [f"{steps:.2f}", f"{_time(cell, 'fxq'):.2f}", f"{_time(cell, best):.2f} ({TOOLS[best].name})"]
        )
    return _table(["net", "GMAC", "VNNI bound", "AMX bound", "sum of step minima", "fxq", "best peer"], rows)


def misses(results: dict) -> list:
    lines = []
    for net, entry in results["nets"].items():
        for name, cell in entry["cells"].items():
            ours, best = _time(cell, "fxq"), _time(cell, best_peer(cell))
            if ours == float("inf"):
                lines.append(f"- {net} {name}: fxq fails: {cell.get('fxq', {}).get('error', 'not run')}")
                continue
            factor = 1.0 if net in AT_LEAST_BEST else 0.9 if net in NEAR_BEST else 0.0
            if ours > _time(cell, "ort"):
                lines.append(f"- {net} {name}: {_time(cell, 'ort') / ours:.2f}x ONNX Runtime (goal: 1.0x)")
            if best < factor * ours:
                lines.append(f"- {net} {name}: {best / ours:.2f}x {TOOLS[best_peer(cell)].name} (goal: {factor}x)")
    return lines or ["None."]


def _failures(results: dict) -> list:
    seen = {}
    for net, entry in results["nets"].items():
        for name, cell in entry["cells"].items():
            for tool, facts in cell.items():
                if "error" in facts and tool != "fxq":
                    seen.setdefault((net, tool, facts["error"]), []).append(name)
    return [f"- {TOOLS[tool].name}, {net} ({', '.join(cells)}): {error}" for (net, tool, error), cells in seen.items()]


def _commands(results: dict) -> str:
    nets = {}
    for net, entry in results["nets"].items():
        nets.setdefault(entry.get("command", "an earlier version"), []).append(net)
    most = max(nets, key=lambda command: len(nets[command]))
    rest = [f"{', '.join(nets[command])} by `{command}`" for command in nets if command != most]
    return "; ".join([f"`{most}`", *rest])


def document(results: dict) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    peaks = ", ".join(f"{name} {gops} GOPS" for name, gops in machine["peak_gops"].items() if gops)
    lines = [
        "# Speed beside the peers", "",
        f"Written by {_commands(results)}; not to be edited by hand (explanations: bench/peers/misses.md).", "",
        f"Machine: {machine['cpu']} (family {machine['family']}, model {machine['model']}), {machine['cores']} cores, "
        f"{' '.join(machine['flags'])}; measured peak of one core: {peaks}. Versions: {versions}.", "",
        "Every tool quantized the same TorchScript model (random weights, settled batch norms) on the same 32 photo crops. "
        "The tools of a cell took turns in one run; figures are milliseconds, minimum / median. Peers run with bound "
        "input and output; fxq's time includes quantizing the input. How: bench/peers/README.md.", "",
    ]  # fmt: skip
    for name in dict.fromkeys(name for entry in results["nets"].values() for name in entry["cells"]):
        batch, threads = name[1:].split(" t")
        lines += [f"## Batch {batch}, {threads} thread{'s' if threads != '1' else ''}", ""] + _times(results, name)
    lines += ["## Quality and costs", "", "SQNR dB on 8 held-out images / seconds to quantize / file MiB / load ms / peak RSS MiB (batch 1, 1 thread; the Python workers include Python):", ""]
    lines += _costs(results)
    lines += ["## Budget, batch 1, 1 thread (ms)", ""] + _budget(results, "b1 t1", 1, 1)
    lines += ["## Budget, batch 8, 1 thread (ms)", ""] + _budget(results, "b8 t1", 8, 1)
    if "graph_work" in results:
        lines += ["## Graph work on resnet50, 1 thread (ms)", ""]
        lines += ["Beside Python's torch.fx and torch.ao, in turns; minima. Alone: `/usr/bin/python3 bench/peers/graph_work.py`.", ""]
        lines += _table(["stage", "fxq", "Python", "Python / fxq"], graph_work.rows(results["graph_work"]))
    lines += ["## Goals that are missed", ""] + misses(results) + [""]
    explained = HERE / "misses.md"
    if explained.exists():
        lines += [explained.read_text(encoding="utf-8").strip(), ""]
    failures = _failures(results)
    if failures:
        lines += ["## What the peers could not do", "", *failures, ""]
    return "\n".join(lines)


def write(results: dict) -> None:
    partial = DOCS.with_suffix(".partial")
    partial.write_text(document(results), encoding="utf-8")
    partial.rename(DOCS)
