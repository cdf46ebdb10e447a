#!/usr/bin/env python3
"""What cross-layer equalization and bias correction give where weights have one scale for each tensor:
SQNR of the outputs of MTCNN's O-Net (trained; facenet-pytorch's weights, as tests/models has them) on
512 crops of scikit-learn's two photographs, calibrated on 256 others.

    ./dev bench weight_fixes      prints the table
"""

import json
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "accuracy"
FXQ = str(ROOT / "build" / "bin" / "fxq")
ONET = str(ROOT / "build" / "models" / "onet.script.pt")
sys.path.insert(0, str(ROOT / "tests" / "models"))

OPTIONS = {
    "as it is": [],
    "`--equalize`": ["--equalize"],
    "`--bias-correction`": ["--bias-correction"],
    "both": ["--equalize", "--bias-correction"],
}


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-300:]}")


def outputs(model: str, *options: str) -> list:
    run(FXQ, "run", model, *options, "--input", "onet_test.npy", "--output", "onet.npy")
    return [np.load(path) for path in sorted(FOLDER.glob("onet.[0-9].npy"))]


def sqnr(reference: np.ndarray, value: np.ndarray) -> float:
    return 10 * float(np.log10((reference**2).sum() / ((reference - value) ** 2).sum()))


def main() -> None:
    from vision_nets import _photo_crops

    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, seed, count in (("calib", 11, 256), ("test", 12, 512)):
        np.save(FOLDER / f"onet_{name}.npy", _photo_crops(seed, count, 48).numpy())
    weights = {"observer": "MovingAverageMinMaxObserver"}
    (FOLDER / "per_tensor.json").write_text(json.dumps({"qconfig": {"": {"weight_qkwargs": weights}}}))
    reference = outputs(ONET, "--eager")
    names = [f"output {i}, {'x'.join(map(str, y.shape[1:]))}" for i, y in enumerate(reference)]
    print("| weights | | " + " | ".join(names) + " |\n|---|---" + "|---" * len(names) + "|")
    for scales, config in (("a scale per tensor", ["--config", "per_tensor.json"]), ("per channel", [])):
        for name, options in OPTIONS.items():
            run(FXQ, "quantize", ONET, "--calib", "onet_calib.npy", "-q", *config, *options, "-o", "onet.fxq")
            cells = [f"{sqnr(f, q):.1f}" for f, q in zip(reference, outputs("onet.fxq"))]
            print(f"| {scales} | {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
