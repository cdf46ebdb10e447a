"""make_artifact.py TOOL NET FOLDER FXQ: one tool's model of a net, in a process of its own.

Prints {"seconds": ..., "file": ...}: the time to quantize, without imports and making the net.
FOLDER holds float.pt, float.onnx (TOOL "float" writes them), calib.npy, b1.npy, b8.npy.
"""

import importlib
import json
import pathlib
import subprocess
import sys
import time

import numpy as np


def make_float(net: str, folder: pathlib.Path, _) -> str:
    import torch

    import nets

    size = nets.NETS[net][1]
    np.save(folder / "calib.npy", nets.photo_crops(1, 32, size))
    np.save(folder / "b8.npy", nets.photo_crops(2, 8, size))
    np.save(folder / "b1.npy", np.load(folder / "b8.npy")[:1])
    model = nets.make(net)
    x = torch.from_numpy(np.load(folder / "b1.npy"))
    torch.jit.trace(model, x).save(str(folder / "float.pt"))
    torch.onnx.export(
        model, x, str(folder / "float.onnx"), opset_version=13, input_names=["x"],
        dynamic_axes={"x": {0: "N"}},
    )  # fmt: skip
    return "float.pt"


def make_fxq(_, folder: pathlib.Path, fxq: str) -> str:
    command = [fxq, "quantize", "float.pt", "--calib", "calib.npy", "-q", "-o", "fxq.fxq"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return "fxq.fxq"


def onnx_maker(name: str, *flags: str):
    """fxq's program of a net as an ONNX file; make_fxq comes first."""

    def make(_, folder: pathlib.Path, fxq: str) -> str:
        command = [fxq, "export", "fxq.fxq", "--no-validate", *flags, "-o", f"{name}.onnx"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return f"{name}.onnx"

    return make


def make_ort(_, folder: pathlib.Path, __) -> str:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.images = iter(np.load(folder / "calib.npy"))

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {"x": image[None]}

    prepared = str(folder / "ort.prepared.onnx")
    quant_pre_process(str(folder / "float.onnx"), prepared)
    quantize_static(
        prepared, str(folder / "ort.onnx"), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return "ort.onnx"


def make_openvino(_, folder: pathlib.Path, __) -> str:
    import nncf
    import openvino as ov

    images = np.load(folder / "calib.npy")
    dataset = nncf.Dataset([image[None] for image in images])
    model = nncf.quantize(ov.convert_model(str(folder / "float.onnx")), dataset, subset_size=len(images))
    ov.save_model(model, str(folder / "openvino.xml"), compress_to_fp16=False)
    return "openvino.xml"


def make_torch(net: str, folder: pathlib.Path, _) -> str:
    import torch
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    import nets

    torch.backends.quantized.engine = "onednn"
    images = torch.from_numpy(np.load(folder / "calib.npy"))
    prepared = prepare_fx(nets.make(net), get_default_qconfig_mapping("onednn"), (images[:1],))
    with torch.inference_mode():
        for batch in images.split(8):
            prepared(batch)
    with torch.no_grad():
        torch.jit.trace(convert_fx(prepared), images[:1]).save(str(folder / "torch.pt"))
    return "torch.pt"


MAKERS = {"float": make_float, "fxq": make_fxq, "ort": make_ort, "openvino": make_openvino, "torch": make_torch}
MAKERS |= {
    "fxq_exact": onnx_maker("fxq_exact"),
    "fxq_ort": onnx_maker("fxq_ort", "--profile", "ort"),
    "fxq_qoperator": onnx_maker("fxq_qoperator", "--profile", "ort", "--format", "qoperator"),
}

IMPORTS = {
    "ort": ["onnxruntime.quantization", "onnxruntime.quantization.shape_inference"],
    "openvino": ["nncf", "openvino"],
    "torch": ["torch.ao.quantization.quantize_fx", "nets"],
}


def main() -> int:
    tool, net, folder, fxq = sys.argv[1:5]
    for module in IMPORTS.get(tool, []):
        importlib.import_module(module)
    begin = time.perf_counter()
    try:
        file = MAKERS[tool](net, pathlib.Path(folder), fxq)
    except Exception as error:  # the peers raise whatever they like; the driver records it
        print(json.dumps({"error": " ".join(str(error).split())[:300]}))
        return 1
    print(json.dumps({"seconds": time.perf_counter() - begin, "file": file}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
