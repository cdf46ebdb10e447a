"""What the figures were measured on: the processor, the versions, and its int8 peak."""

import importlib.metadata
import json
import os
import re
import subprocess

from tools import BUILD


def describe() -> dict:
    cpu = open("/proc/cpuinfo", encoding="utf-8").read()
    flags = set(re.search(r"^flags\s*:(.*)$", cpu, re.M).group(1).split())
    interesting = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_vbmi", "avx512_bf16", "amx_int8"]
    packages = ["onnxruntime", "openvino", "nncf", "onnx", "torch", "torchvision", "numpy"]
    return {
        "cpu": re.search(r"^model name\s*:\s*(.*)$", cpu, re.M).group(1),
        "family": re.search(r"^cpu family\s*:\s*(.*)$", cpu, re.M).group(1),
        "model": re.search(r"^model\s*:\s*(.*)$", cpu, re.M).group(1),
        "cores": os.cpu_count(),
        "flags": [flag for flag in interesting if flag in flags],
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "peak_gops": json.loads(subprocess.run([str(BUILD / "bin" / "int8_peak")], capture_output=True, text=True, check=True).stdout),
    }
