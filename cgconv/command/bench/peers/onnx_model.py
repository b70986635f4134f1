"""The bytes of an ONNX model with one Conv node, without the package onnx. It must not know who reads them.

An ONNX file is one message of protocol buffers. A message is a run of fields, each a key (its number * 8 + its wire
type), then for wire type 0 a varint, seven bits a byte and the lowest first, or for wire type 2 a length and as many
bytes. The numbers below are those of onnx.proto.
"""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..case import Case

__all__ = ["conv_model"]

_IR_VERSION, _OPSET = 8, 13
_FLOAT = 1  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


def conv_model(case: Case) -> bytes:
    """Input "x", output "y", the weights inside. The type is float32 and the padding zero."""
    problem = case.problem
    top, bottom, left, right = problem.pads
    attributes = {
        "dilations": (problem.dilation_h, problem.dilation_w),
        "kernel_shape": (problem.kh, problem.kw),
        "pads": (top, left, bottom, right),
        "strides": (problem.stride_h, problem.stride_w),
    }
    node = _text(1, "x") + _text(1, "weight") + _text(2, "y") + _text(4, "Conv")
    node += b"".join(_bytes(5, _ints(name, numbers)) for name, numbers in attributes.items())
    node += _bytes(5, _text(1, "group") + _number(3, problem.groups) + _number(20, _INT))
    graph = _bytes(1, node) + _text(2, "graph") + _bytes(5, _tensor("weight", case.weight))
    graph += _bytes(11, _described("x", problem.x_shape)) + _bytes(12, _described("y", problem.y_shape))
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, _OPSET))


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _ints(name: str, numbers: Iterable[int]) -> bytes:
    """An AttributeProto."""
    return _text(1, name) + b"".join(_number(8, number) for number in numbers) + _number(20, _INTS)


def _tensor(name: str, array: np.ndarray) -> bytes:
    """A TensorProto."""
    extents = b"".join(_number(1, extent) for extent in array.shape)
    return extents + _number(2, _FLOAT) + _text(8, name) + _bytes(9, array.astype("<f4").tobytes())


def _described(name: str, shape: Iterable[int]) -> bytes:
    """A ValueInfoProto of a tensor."""
    extents = b"".join(_bytes(1, _number(1, extent)) for extent in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, extents)))
