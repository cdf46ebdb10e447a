"""The line protocol between the driver and its workers, one process per tool, artefact and cell.

A worker loads its artefact, answers {"load_ms": ...} and then one line of JSON per command line:

    run N      -> [milliseconds, ...] of N runs on the bound input
    save PATH  -> "ok"; the outputs are PATH.0.npy, PATH.1.npy, ...
    memory     -> peak resident MiB of this process
    quit
"""

import json
import sys
import time

import numpy as np


def _peak_mib() -> float:
    """Of this program: ru_maxrss would count what its parent had before exec."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def serve(load, run) -> None:
    """`load(artefact, array, threads)` gives a state; `run(state)` a list of output arrays."""
    artefact, input_file, threads = sys.argv[1:4]
    array = np.load(input_file)
    begin = time.perf_counter()
    state = load(artefact, array, int(threads))
    _answer({"load_ms": (time.perf_counter() - begin) * 1e3})
    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            return
        if words[0] == "run":
            _answer(_times(state, run, int(words[1])))
        elif words[0] == "save":
            for i, output in enumerate(run(state)):
                np.save(f"{words[1]}.{i}.npy", np.asarray(output))
            _answer("ok")
        elif words[0] == "memory":
            _answer(_peak_mib())


def _times(state, run, count: int) -> list:
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        run(state)
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def _answer(value) -> None:
    print(json.dumps(value), flush=True)
