#!/usr/bin/env python3
"""Seeds for the fuzzers, from what is in the tree and in build/: make_seeds.py BUILD SEEDS.

Arrays of every kind from NumPy, graph texts from the golden files, int8 programs that the fxq of the
build makes of small fixture nets, configs from the examples and by hand.
"""

import pathlib
import re
import subprocess
import sys

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGETS = sorted(path.stem for path in (ROOT / "fuzz").glob("*.cc"))
LARGEST = 60_000  # bytes of a seed
CONFIGS = (
    "{}",
    '{"march": "cpu", "observer": "kl", "batch": 4, "limit": 8}',
    '{"qconfig": {"": {"dtype": "qint8"}, "module_type": [["torch.nn.Conv2d", null]],'
    ' "module_name": [["layer1.0", {"dtype": "qint16", "observer": "MinMaxObserver"}]]}}',
    '// a comment\n{"preprocess": {"size": [224, 224], "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}}',
)


def arrays() -> dict:
    kinds = ("f4", "f8", "f2", "i1", "u1", "i2", "i4", "i8", "?")
    made = {kind.replace("?", "b"): numpy.arange(12).reshape(3, 4).astype(kind) for kind in kinds}
    made["fortran"] = numpy.asfortranarray(made["f4"])
    made["scalar"] = numpy.float32(3)
    made["empty"] = numpy.zeros((0, 3), "f4")
    return made


def seed_arrays(folder: pathlib.Path) -> None:
    for name, array in arrays().items():
        numpy.save(folder / "npy" / f"{name}.npy", array)
    few = {name: arrays()[name] for name in ("f4", "i8", "fortran")}
    numpy.savez(folder / "npz" / "stored.npz", **few)
    numpy.savez_compressed(folder / "npz" / "deflated.npz", **few)


def seed_text(folder: pathlib.Path) -> None:
    for number, path in enumerate(sorted((ROOT / "tests" / "golden").rglob("*.golden"))):
        graphs = re.findall(r"(?:^[a-z].*\n)*^graph \(.*?^}", path.read_text(encoding="utf-8"), re.M | re.S)
        for part, text in enumerate(graphs[:40]):
            (folder / "text" / f"{number}_{part}").write_text(text, encoding="utf-8")


def seed_programs(folder: pathlib.Path, build: pathlib.Path) -> None:
    for model in sorted((build / "models").glob("odd_*.script.pt")):
        data = model.with_name(model.name.replace(".script.pt", ".calib.npy"))
        target = folder / "program" / model.name.replace(".script.pt", ".fxq")
        if target.exists() or not data.exists():
            continue
        command = [build / "bin" / "fxq", "quantize", model, "--calib", data, "-q", "-o", target]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0 and target.stat().st_size > LARGEST:
            target.unlink()


def main() -> None:
    build, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for name in TARGETS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    seed_arrays(folder)
    seed_text(folder)
    seed_programs(folder, build)
    for number, text in enumerate(CONFIGS):
        (folder / "config" / f"{number}.json").write_text(text, encoding="utf-8")
    empty = [name for name in TARGETS if not any((folder / name).iterdir())]
    if empty:
        sys.exit(f"no seeds for {', '.join(empty)}: build and run the tests first (./dev test)")


if __name__ == "__main__":
    main()
