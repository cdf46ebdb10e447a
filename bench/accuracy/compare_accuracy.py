#!/usr/bin/env python3
"""Top-1 and SQNR of the logits after int8 quantization on the same 256 pictures, tool by tool, on
the trained nets of task.py (test pictures: 4000). Every tool has its defaults, as in bench/peers.

    ./dev bench accuracy [--qat]   writes build/accuracy/results.json and prints the tables

With --qat: what `fxq qat` makes of the same nets in one epoch with its default settings, with a scale
per channel of weights and with one for each tensor.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "accuracy"
FXQ = str(ROOT / "build" / "bin" / "fxq")
NETS = ("residual", "depthwise")


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return done.stdout


def calib() -> np.ndarray:
    return np.load(FOLDER / "calib.npy")


def test() -> np.ndarray:
    return np.load(FOLDER / "test.npy")


def float_logits(net: str) -> np.ndarray:
    run(FXQ, "run", f"{net}.script.pt", "--eager", "--input", "test.npy", "--output", f"{net}.float.npy")
    return np.load(FOLDER / f"{net}.float.npy")


def fxq_logits(net: str, *options: str) -> np.ndarray:
    run(FXQ, "quantize", f"{net}.script.pt", "--calib", "calib.npy", "-q", *options, "-o", f"{net}.fxq")
    run(FXQ, "run", f"{net}.fxq", "--input", "test.npy", "--output", f"{net}.fxq.npy")
    return np.load(FOLDER / f"{net}.fxq.npy")


def onnx_logits(path: str) -> np.ndarray:
    import onnxruntime as ort

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": part})[0] for part in np.split(test(), 40)])


def ort_logits(net: str) -> np.ndarray:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.images = iter(calib())

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {"x": image[None]}

    prepared, quantized = str(FOLDER / f"{net}.prepared.onnx"), str(FOLDER / f"{net}.ort.onnx")
    quant_pre_process(str(FOLDER / f"{net}.onnx"), prepared)
    quantize_static(
        prepared, quantized, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return onnx_logits(quantized)


def openvino_logits(net: str, preset: str) -> np.ndarray:
    import nncf
    import openvino as ov

    images = calib()
    dataset = nncf.Dataset([image[None] for image in images])
    model = nncf.quantize(
        ov.convert_model(str(FOLDER / f"{net}.onnx")), dataset, subset_size=len(images),
        preset=nncf.QuantizationPreset(preset),
    )  # fmt: skip
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(part)[0] for part in np.split(test(), 40)])


def torch_logits(net: str) -> np.ndarray:
    import torch
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    import task

    torch.backends.quantized.engine = "onednn"
    images = torch.from_numpy(calib())
    prepared = prepare_fx(task.load(net, FOLDER), get_default_qconfig_mapping("onednn"), (images[:1],))
    with torch.no_grad():
        for batch in images.split(8):
            prepared(batch)
        model = convert_fx(prepared)
        return torch.cat([model(part) for part in torch.from_numpy(test()).split(100)]).numpy()


TOOLS = {
    "fxq": fxq_logits,
    "ONNX Runtime": ort_logits,
    "OpenVINO + NNCF PERFORMANCE": lambda net: openvino_logits(net, "performance"),
    "OpenVINO + NNCF MIXED": lambda net: openvino_logits(net, "mixed"),
    "torch.ao onednn": torch_logits,
}


def top1(logits: np.ndarray) -> float:
    return 100 * float((logits.argmax(1) == np.load(FOLDER / "test_labels.npy")).mean())


def sqnr(reference: np.ndarray, logits: np.ndarray) -> float:
    return 10 * float(np.log10((reference**2).sum() / ((reference - logits) ** 2).sum()))


def worker(tool: str, net: str) -> None:
    logits = TOOLS[tool](net)
    print(json.dumps({"top1": top1(logits), "sqnr": sqnr(np.load(FOLDER / f"{net}.float.npy"), logits)}))


def compare() -> dict:
    results = {}
    for net in NETS:
        results[net] = {"float": {"top1": top1(float_logits(net)), "sqnr": None}}
        for tool in TOOLS:
            print(f"{net}: {tool}", file=sys.stderr, flush=True)
            out = run(sys.executable, __file__, "--worker", tool, net)
            results[net][tool] = json.loads([line for line in out.splitlines() if line.startswith("{")][-1])
    return results


def per_tensor(net: str) -> str:
    path = FOLDER / "per_tensor.json"
    weights = {"observer": "MovingAverageMinMaxObserver"}
    path.write_text(json.dumps({"qconfig": {"": {"weight_qkwargs": weights}}}))
    return str(path)


def train(net: str, *options: str) -> tuple:
    """top-1 of the test pictures, and seconds"""
    begin = time.perf_counter()
    run(
        FXQ, "qat", f"{net}.script.pt", "--data", "train.npy", "--labels", "train_labels.npy",
        "-q", *options, "-o", f"{net}.qat.fxq", "--restart",
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    run(FXQ, "run", f"{net}.qat.fxq", "--input", "test.npy", "--output", f"{net}.qat.npy")
    return top1(np.load(FOLDER / f"{net}.qat.npy")), seconds


def qat() -> dict:
    results = {}
    for net in ("depthwise", "rescaled"):
        for name, config in (("per channel", []), ("per tensor", ["--config", per_tensor(net)])):
            row = {"calibrated": top1(fxq_logits(net, *config))}
            row["trained"], row["seconds"] = train(net, *config)
            row["with_bn"], _ = train(net, *config, "--with-bn")
            row["float"] = top1(float_logits(net))
            results[f"{net}, {name}"] = row
            print(name, row, file=sys.stderr, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--qat", action="store_true")
    parser.add_argument("--worker", nargs=2)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(*arguments.worker)
    import task

    task.make(FOLDER)
    results = compare()
    print("| | " + " | ".join(f"{net} top-1 | SQNR dB" for net in NETS) + " |\n|---" + "|---" * 4 + "|")
    for tool in ["float", *TOOLS]:
        cells = [results[net][tool] for net in NETS]
        text = [f"{c['top1']:.2f} | {'' if c['sqnr'] is None else format(c['sqnr'], '.1f')}" for c in cells]
        print(f"| {tool} | " + " | ".join(text) + " |")
    if arguments.qat:
        results["qat"] = qat()
        print("\n| | float | calibrated | `fxq qat`, 1 epoch | `--with-bn` |\n|---|---|---|---|---|")
        for name, row in results["qat"].items():
            print(f"| {name} | {row['float']:.2f} | {row['calibrated']:.2f} | {row['trained']:.2f} | {row['with_bn']:.2f} |")
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1))
    return None


if __name__ == "__main__":
    main()
