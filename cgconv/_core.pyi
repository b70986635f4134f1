"""The types of the extension module; src/pyx/_core.pyx documents it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

DTYPES: dict[str, int]
LAYOUTS: dict[str, int]
PAD_MODES: dict[str, int]
LINE: int
FORWARD: int
BACKWARD_INPUT: int
BACKWARD_WEIGHT: int

Standing: TypeAlias = tuple[Sequence[int], Sequence[int], Callable[[], np.ndarray[Any, Any]] | None]

class Unsupported(ValueError): ...

class Spec:
    def __init__(
        self,
        dtype: str,
        shape: Sequence[int],
        kernel: Sequence[int],
        groups: int,
        filters_per_group: int,
        stride: Sequence[int],
        dilation: Sequence[int],
        pads: Sequence[int] | None,
        pad_mode: str,
        pad_value: float,
        clamp_lo: float,
        clamp_hi: float,
    ) -> None: ...
    @property
    def pads(self) -> tuple[int, int, int, int]: ...
    def output_size(self) -> tuple[int, int]: ...

class PackedWeight:
    @property
    def shape(self) -> tuple[int, int, int, int]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def nbytes(self) -> int: ...

class Plan:
    def __init__(
        self,
        spec: Spec,
        layout: str,
        n: int,
        x_strides: Sequence[int],
        y_strides: Sequence[int],
        threads: int = 0,
        algorithm: str | None = None,
        isa: str | None = None,
        x: Standing | None = None,
        y: Standing | None = None,
    ) -> None: ...
    def algorithm(self, which: int) -> str: ...
    def algorithms(self, which: int) -> tuple[str, ...]: ...
    def threads(self, which: int) -> int: ...
    def workspace_nbytes(self, which: int) -> int: ...
    def pack(self, weight: np.ndarray[Any, Any]) -> PackedWeight: ...
    def run(self, which: int, x: Any, weight: Any, bias: Any, y: Any) -> Any: ...
    def forward(
        self,
        x: np.ndarray[Any, Any],
        weight: np.ndarray[Any, Any] | PackedWeight,
        bias: np.ndarray[Any, Any] | None,
        y: np.ndarray[Any, Any],
    ) -> None: ...
    def backward_input(
        self, dy: np.ndarray[Any, Any], weight: np.ndarray[Any, Any], dx: np.ndarray[Any, Any]
    ) -> None: ...
    def backward_weight(
        self,
        x: np.ndarray[Any, Any],
        dy: np.ndarray[Any, Any],
        dw: np.ndarray[Any, Any],
        db: np.ndarray[Any, Any] | None,
    ) -> None: ...

class Separable:
    def __init__(self, channelwise: Plan, pointwise: Plan) -> None: ...
    def threads(self) -> int: ...
    def workspace_nbytes(self) -> int: ...
    def run(
        self, x: Any, channelwise_weight: Any, channelwise_bias: Any, pointwise_weight: Any, pointwise_bias: Any, y: Any
    ) -> Any: ...
    def forward(
        self,
        x: np.ndarray[Any, Any],
        channelwise_weight: np.ndarray[Any, Any],
        channelwise_bias: np.ndarray[Any, Any] | None,
        pointwise_weight: np.ndarray[Any, Any],
        pointwise_bias: np.ndarray[Any, Any] | None,
        y: np.ndarray[Any, Any],
    ) -> None: ...

def bytes_to_line(memory: np.ndarray[Any, Any]) -> int: ...
def workspaces_nbytes() -> int: ...
def pad_sources(pad_mode: str, sources: np.ndarray[Any, Any], pad_before: int, extent: int) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def library() -> dict[str, Any]: ...
