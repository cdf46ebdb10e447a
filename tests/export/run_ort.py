"""Runs ONNX models in ONNX Runtime, as a job file says.

    run_ort.py JOB.json      {"model": path, "inputs": {name: x.npy}, "outputs": {name: y.npy},
                              "optimize": false}
"""

import json
import sys

import numpy
import onnxruntime


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    options = onnxruntime.SessionOptions()
    if not job["optimize"]:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    inputs = {name: numpy.load(file) for name, file in job["inputs"].items()}
    names = list(job["outputs"])
    for name, value in zip(names, session.run(names, inputs)):
        numpy.save(job["outputs"][name], value)


if __name__ == "__main__":
    main(sys.argv[1])
