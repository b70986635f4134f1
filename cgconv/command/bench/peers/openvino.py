"""OpenVINO as a peer: its CPU plug-in on a model of one Conv node. It must not know the other peers."""
from __future__ import annotations

import io

import openvino

from ..case import Call, Case, Contender, needs_float32, needs_zero_padding
from .onnx_model import conv_model

__all__ = ["contenders"]


def contenders(threads: int) -> list[Contender]:
    return [OpenVino()]


class OpenVino:
    """One request, whose input is our array and whose output stays in the request."""

    name = "openvino"
    version = openvino.__version__.partition("-")[0]

    def forward(self, case: Case) -> Call:
        needs_float32(case)  # it takes float64 and computes in float32
        needs_zero_padding(case)
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": case.threads,
            "INFERENCE_PRECISION_HINT": "f32",  # not bfloat16, where the CPU has it
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = core.compile_model(core.read_model(io.BytesIO(conv_model(case))), "CPU", settings)
        request = model.create_infer_request()
        request.set_input_tensor(openvino.Tensor(case.x, shared_memory=True))
        return Call(lambda: request.infer(share_outputs=True), lambda _: request.get_output_tensor().data)
