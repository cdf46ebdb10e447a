"""The tools of the comparison: how each one's worker is started, and how a worker is spoken to."""

import dataclasses
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"


@dataclasses.dataclass(frozen=True)
class Tool:
    name: str  # in tables
    maker: str  # of make_artifact.py
    worker: str  # a file here, or a program of build/bin
    int8: bool = True
    artefact: str = ""  # of a float tool: a file that maker "float" wrote


TOOLS = {
    "fxq": Tool("fxq", "fxq", "peer_worker"),
    "ort": Tool("ONNX Runtime U8S8", "ort", "ort_worker.py"),
    "openvino": Tool("OpenVINO + NNCF", "openvino", "openvino_worker.py"),
    "torch": Tool("torch.ao onednn", "torch", "torch_worker.py"),
    "ort_float": Tool("ONNX Runtime f32", "float", "ort_worker.py", False, "float.onnx"),
    "torch_float": Tool("TorchScript f32", "float", "torch_worker.py", False, "float.pt"),
}


class WorkerError(Exception):
    pass


class Worker:
    def __init__(self, tool: Tool, artefact: pathlib.Path, array: pathlib.Path, threads: int):
        program = HERE / tool.worker if tool.worker.endswith(".py") else BUILD / "bin" / tool.worker
        command = [sys.executable] if tool.worker.endswith(".py") else []
        self.log = open(artefact.parent / f"{artefact.name}.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*command, str(program), str(artefact), str(array), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        self.started = self._answer()

    def ask(self, command: str):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # _answer says what it printed
        return self._answer()

    def _answer(self):
        for line in self.process.stdout:
            if line[:1] in '[{"0123456789':  # libraries print, too
                return json.loads(line)
        self.process.wait()
        self.log.seek(0)
        lines = [line.strip() for line in self.log if line.strip()]
        raise WorkerError(lines[-1][:300] if lines else f"exit code {self.process.returncode}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
