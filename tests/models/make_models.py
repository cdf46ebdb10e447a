#!/usr/bin/env python3
"""Writes the fixture models of the tests: make_models.py FOLDER [NAME ...]."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import odd_control_nets
import odd_nets
import odd_python_nets
import odd_size_nets
import vision_nets
import zoo_nets
from fixture import reproducible, write


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    nets = {
        **vision_nets.NETS,
        **odd_nets.NETS,
        **odd_control_nets.NETS,
        **odd_python_nets.NETS,
        **odd_size_nets.NETS,
        **zoo_nets.NETS,
    }
    names = sys.argv[2:] or list(nets)
    unknown = [name for name in names if name not in nets]
    if unknown:
        print(f"no such net: {', '.join(unknown)}; known: {', '.join(nets)}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        start = time.time()
        with reproducible():
            fixture = nets[name]()
            if fixture is None:
                print(f"{name}: skipped, what it is made from is missing (run ./dev setup)")
                continue
            write(fixture, folder)
        print(f"{name}: {time.time() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
