"""OpenVINO, one stream, precision pinned to f32 + int8 (its default of bf16 is slower without AMX)."""

import openvino as ov

from protocol import serve


def load(path, array, threads):
    core = ov.Core()
    model = core.read_model(path)
    model.reshape(list(array.shape))
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", config).create_infer_request()
    request.set_input_tensor(ov.Tensor(array, shared_memory=True))
    return request


def run(request):
    request.infer()
    return [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]


serve(load, run)
