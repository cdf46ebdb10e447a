"""ONNX Runtime with bound input and output, as protocol.py says."""

import onnxruntime as ort

from protocol import serve


def load(path, array, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return session, binding


def run(state):
    session, binding = state
    session.run_with_iobinding(binding)
    return binding.copy_outputs_to_cpu()


serve(load, run)
