"""Plan: everything that can be decided about a convolution before its numbers are known, to be run many times.

It joins the checks of spec, the placement of formats and the binding. It must not know layers, files or initialisers.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from . import _core, arrays, formats, spec

Array = np.ndarray[Any, Any]

_DTYPE_NAMES = {4: "float32", 8: "float64"}  # dtype.name is slow
PassName = Literal["forward", "backward_input", "backward_weight"]

_FORWARD, _BACKWARD_INPUT, _BACKWARD_WEIGHT = _core.FORWARD, _core.BACKWARD_INPUT, _core.BACKWARD_WEIGHT
_PASSES: dict[str, int] = {
    "forward": _FORWARD,
    "backward_input": _BACKWARD_INPUT,
    "backward_weight": _BACKWARD_WEIGHT,
}


class PassInfo(NamedTuple):
    """How a plan runs one pass."""

    algorithm: str
    """The algorithm in use."""
    algorithms: tuple[str, ...]
    """The algorithms that could serve this pass, best first."""
    threads: int
    """The most threads that a run uses: 1 where the work is too small to share."""
    workspace_nbytes: int
    """The workspace of a run, in bytes. All plans share theirs: as many are kept as runs were ever at work at once,
    of at most 64 MiB, or one if it is larger."""


class Plan:
    """A convolution of one shape, checked and planned, to be run many times.

    Parameters
    ----------
    x_shape : sequence of int
        The shape of the input, in the axes of `layout`; the batch axis B may be missing.
    weight_shape : sequence of int
        The shape of the weights: (F*G, C/G, kh, kw) in every layout.
    stride, padding, dilation, groups, padding_value, layout, clamp, threads, algorithm
        As for `conv2d`. The clamp is applied by `forward` alone.
    dtype : "float32" or "float64"
        The data type of every array.
    isa : str, optional
        Exactly this instruction set, one of ``show_config("dicts")["isa_alternatives"]``.
    x_strides, y_strides : sequence of int, optional
        The strides in bytes of the input and the output, as NumPy's ``strides``: arrays that lie in memory like that
        run without a copy. Without strides the input is C-contiguous, and the output follows the input.

    Raises
    ------
    ValueError, TypeError
        If an argument breaks a rule; the message says which.
    MemoryError
        If there is no memory for the plan.

    Notes
    -----
    A plan is immutable, and any number of threads may run it at once. A run whose arrays have the planned type,
    shape and strides allocates nothing when `out` is given and an earlier run has left a workspace; arrays of another
    type or order are converted first.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> plan = cgconv.Plan((1, 4, 5, 5), (8, 1, 3, 3), groups=4, padding="same")
    >>> plan.output_shape
    (1, 8, 5, 5)
    >>> plan.forward(np.ones((1, 4, 5, 5), "float32"), np.ones((8, 1, 3, 3), "float32"))[0, 0, 0]
    array([4., 6., 6., 6., 4.], dtype=float32)
    """

    def __init__(self, x_shape: Any, weight_shape: Any, *, stride: spec.Ints = 1, padding: spec.Padding = 0,
                 dilation: spec.Ints = 1, groups: int = 1, padding_value: spec.PaddingValue = 0, layout: str = "NCHW",
                 clamp: spec.Clamp = (None, None), dtype: npt.DTypeLike = "float32", algorithm: str = "auto",
                 isa: str | None = None, threads: int | None = None, x_strides: Any = None,
                 y_strides: Any = None) -> None:
        x_shape = spec.shape("x_shape", x_shape)
        self._dtype = checked_dtype("dtype", dtype)
        fmt = formats.of_ndim(formats.parse("layout", layout), "x", len(x_shape))
        if x_strides is not None:
            x_strides = spec.strides("x_strides", x_strides, fmt.ndim)
        if y_strides is not None:
            y_strides = spec.strides("y_strides", y_strides, fmt.ndim)
        groups = spec.integer("groups", groups, 1)
        self._weight_shape = spec.shape("weight_shape", weight_shape)
        check_weight_shape(self._weight_shape, x_shape[fmt.c], groups)
        pads = spec.padding("padding", padding)
        mode, value = spec.pad_mode(spec.padding_value("padding_value", padding_value))
        lo, hi = spec.clamp("clamp", clamp)
        problem = _core.Spec(
            _DTYPE_NAMES[self._dtype.itemsize], (1, x_shape[fmt.c], x_shape[fmt.h], x_shape[fmt.w]),
            self._weight_shape[2:], groups, self._weight_shape[0] // groups, spec.pair("stride", stride),
            spec.pair("dilation", dilation, "(h, w)"), None if pads == "same" else pads, mode, value, lo, hi)
        oh, ow = problem.output_size()
        y_shape = formats.replace_axes(fmt, x_shape, self._weight_shape[0], oh, ow)
        self._place = place = formats.place(fmt, self._dtype.itemsize, x_shape, y_shape, x_strides, y_strides)
        self._padding = problem.pads
        self._core = _core.Plan(problem, place.layout, place.x.image_shape[0], place.x.image_strides,
                                place.y.image_strides, spec.threads("threads", threads),
                                spec.word("algorithm", algorithm, "auto"), spec.word("isa", isa, None),
                                self._standing(place.x), self._standing(place.y))
        self._isa = isa

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of every array."""
        return self._dtype

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of x and dx."""
        return self._place.x.shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of y and dy."""
        return self._place.y.shape

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weights and of dw."""
        return self._weight_shape

    @property
    def padding(self) -> spec.Pads:
        """Top, bottom, left and right pad, in cells; "same" has become numbers."""
        return self._padding

    @property
    def algorithm(self) -> str:
        """The algorithm of the forward pass."""
        return self.passes["forward"].algorithm

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The names that `algorithm` may have for the forward pass, best first."""
        return self.passes["forward"].algorithms

    @property
    def isa(self) -> str:
        """The instruction set of the kernels."""
        return self._isa or cast(str, _core.library()["isa"])

    @property
    def workspace_nbytes(self) -> int:
        """The workspace of a forward run, in bytes."""
        return self.passes["forward"].workspace_nbytes

    @property
    def passes(self) -> dict[PassName, PassInfo]:
        """How each of the three passes is run."""
        core = self._core
        return {cast(PassName, name): PassInfo(core.algorithm(which), core.algorithms(which), core.threads(which),
                                               core.workspace_nbytes(which)) for name, which in _PASSES.items()}

    def __repr__(self) -> str:
        return (f"<cgconv.Plan {self.input_shape} * {self.weight_shape} -> {self.output_shape}, {self.dtype}, "
                f"{self.algorithm}>")

    def pack(self, weight: Any) -> _core.PackedWeight:
        """The weights in the order in which this plan reads them, to be given to `forward` many times.

        Without this, runs of many algorithms begin by bringing the weights into that order, which counts for small
        images with many channels. The result has the same bits. What is packed is a copy, which never changes: pack
        again when the weights have changed. Any number of threads may use it at once, with this plan and every plan
        that reads the same weights in the same order: of the same weight shape, groups, data type, algorithm and
        instruction set. Others refuse it with a ValueError.

        Examples
        --------
        >>> import numpy as np, cgconv
        >>> plan = cgconv.Plan((1, 32, 7, 7), (64, 16, 3, 3), groups=2, padding=1)
        >>> x, weight = np.ones((1, 32, 7, 7), "float32"), np.ones((64, 16, 3, 3), "float32")
        >>> packed = plan.pack(weight)
        >>> np.array_equal(plan.forward(x, packed), plan.forward(x, weight))
        True
        """
        return self._core.pack(self._weight(weight))

    def forward(self, x: Any, weight: Any, bias: Any = None, out: Any = None) -> Any:
        """The convolution: y = clamp(conv(x, weight) + bias).

        `x` has the planned input shape, `weight` the weight shape, `bias` is 1-D of F*G numbers or None. Returns a
        new array, or `out`, which must have the output shape and the plan's type and share no memory with the others.
        `weight` may also be what `pack` returned, which saves the time of packing it again.
        """
        y = self._core.run(_FORWARD, x, weight, bias, out)
        if y is not None:
            return y
        given = {"x": x, "bias": bias}
        if not isinstance(weight, _core.PackedWeight):
            given["weight"] = weight
            weight = self._weight(weight)
        image, bias = self._image("x", x, self._place.x), self._bias(bias)
        return self._write(out, self._place.y, given, lambda y: self._core.forward(image, weight, bias, y))

    def backward_input(self, dy: Any, weight: Any, out: Any = None) -> Any:
        """The gradient of the input: the adjoint of the forward map, padding included, applied to `dy`.

        `dy` has the output shape, `weight` the weight shape. Returns a new array of the input shape, or `out`. The
        clamp is not part of it: give dy with the clamped places set to zero.
        """
        dx = self._core.run(_BACKWARD_INPUT, out, weight, None, dy)
        if dx is not None:
            return dx
        given = {"dy": dy, "weight": weight}
        image, weight = self._image("dy", dy, self._place.y), self._weight(weight)
        return self._write(out, self._place.x, given, lambda dx: self._core.backward_input(image, weight, dx))

    def backward_weight(self, x: Any, dy: Any) -> tuple[Array, Array]:
        """The gradients of the weights and of the bias: (dw, db), of the weight shape and of shape (F*G,)."""
        dw = np.empty(self._weight_shape, self._dtype)
        db = np.empty(self._weight_shape[0], self._dtype)
        if self._core.run(_BACKWARD_WEIGHT, x, dw, db, dy) is None:
            x, dy = self._image("x", x, self._place.x), self._image("dy", dy, self._place.y)
            self._core.backward_weight(x, dy, dw, db)
        return dw, db

    def _standing(self, side: formats.Side) -> _core.Standing | None:
        """How an array of the caller stands that runs where it is, and what makes one; None if all are copied."""
        if not side.direct:
            return None
        return side.shape, side.strides, None if side.repeats else arrays.maker(side.shape, side.strides, self._dtype)

    def _weight(self, value: Any, name: str = "weight") -> Array:
        weight = arrays.real_array(name, value)
        if weight.shape != self._weight_shape:
            raise ValueError(f"{name}.shape={weight.shape}: must be {self._weight_shape}")
        return arrays.dense(weight, self._dtype)

    def _bias(self, value: Any, name: str = "bias") -> Array | None:
        if value is None:
            return None
        bias = arrays.real_array(name, value)
        if bias.shape != self._weight_shape[:1]:
            raise ValueError(f"{name}.shape={bias.shape}: must be {self._weight_shape[:1]}, one per output channel")
        return arrays.dense(bias, self._dtype)

    def _image(self, name: str, value: Any, side: formats.Side) -> Array:
        """The array as the image array that was planned: a view of it, or of a copy if it stands otherwise."""
        array = arrays.real_array(name, value)
        if array.shape != side.shape:
            raise ValueError(f"{name}.shape={array.shape}: must be {side.shape}")
        if self._stands_as_planned(array, side):
            return self._view(array, side)
        image, copy = self._new_image(side)
        copy[...] = array
        return image

    def _stands_as_planned(self, array: Array, side: formats.Side) -> bool:
        """Whether the array, which has the planned shape, can be given to the library without a copy."""
        if not side.direct or not arrays.stands_as(array, self._dtype):
            return False
        return array.strides == side.strides or array.size == 0 or all(
            extent == 1 or given == planned
            for extent, given, planned in zip(array.shape, array.strides, side.strides, strict=True))

    def _view(self, array: Array, side: formats.Side) -> Array:
        """The n c h w view of an array that stands as planned."""
        return array.transpose(self._place.axes).reshape(side.image_shape)

    def _new_image(self, side: formats.Side) -> tuple[Array, Array]:
        """A new image array as planned, and its view in the axes of the caller."""
        if side.direct:
            if side.repeats:
                raise ValueError(f"the plan is for an array whose cells share memory, of strides {side.strides}")
            array = arrays.empty(side.shape, side.strides, self._dtype)
            return self._view(array, side), array
        strides = tuple(stride * self._dtype.itemsize for stride in side.image_strides)
        image = arrays.empty(side.image_shape, strides, self._dtype)
        axes = self._place.axes
        return image, image.reshape([side.shape[axis] for axis in axes]).transpose(np.argsort(axes))

    def _write(self, out: Any, side: formats.Side, inputs: dict[str, Any], run: Callable[[Array], None]) -> Any:
        """Calls run(image) with the image array to be written, and returns the array of the caller."""
        if out is None:
            image, array = self._new_image(side)
            run(image)
            if side.direct:
                return array
            target = arrays.empty(side.shape, side.strides, self._dtype)
            target[...] = array
            return target
        target = arrays.output_array("out", out, self._dtype)
        if target.shape != side.shape:
            raise ValueError(f"out.shape={target.shape}: must be {side.shape}")
        stands = self._stands_as_planned(target, side)
        if side.repeats if stands else formats.cells_share_memory(target.shape, target.strides, target.itemsize):
            raise ValueError(f"out has cells that share memory: its strides are {target.strides}")
        if arrays.is_apart("out", target, inputs) and stands:
            run(self._view(target, side))
        else:
            image, array = self._new_image(side)
            run(image)
            target[...] = array
        return out


def checked_dtype(name: str, value: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise TypeError(f"{name}={spec.shown(value)}: must be 'float32' or 'float64'") from None
    if value is None or not dtype.isnative or dtype not in (arrays.FLOAT32, arrays.FLOAT64):
        raise ValueError(f"{name}={spec.shown(value)}: must be 'float32' or 'float64'")
    return arrays.own(dtype)


def check_weight_shape(shape: tuple[int, ...], channels: int, groups: int) -> None:
    """Refuses a weight shape that does not fit the input channels and the groups."""
    if len(shape) != 4:
        raise ValueError(f"weight has {len(shape)} axes: it must have 4, (F*G, C/G, kh, kw)")
    if channels == 0:
        raise ValueError("the input has 0 channels: it must have at least 1")
    if channels % groups:
        raise ValueError(f"groups={groups} does not divide the {channels} input channels")
    if shape[0] == 0 or shape[0] % groups:
        raise ValueError(f"groups={groups} does not divide the {shape[0]} output channels of weight.shape={shape}"
                         if shape[0] else f"weight.shape={shape} has 0 output channels: it must have at least 1")
    if shape[1] != channels // groups:
        raise ValueError(f"weight.shape={shape} takes {shape[1]} channels per group, but the input has "
                         f"{channels} channels in groups={groups}, which makes {channels // groups}")
    if 0 in shape[2:]:
        raise ValueError(f"weight.shape={shape} has filters of {shape[2]} x {shape[3]}: they need at least one cell")


def strides_of(array: Array, dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The strides with which an array will run: its own, or those of its copy if it does not stand as this type."""
    if arrays.stands_as(array, dtype):
        return array.strides
    order = formats.memory_order(array.shape, array.strides, array.itemsize)
    return formats.dense_strides(array.shape, order, dtype.itemsize)


def strides_of_output(out: Any, ndim: int, dtype: np.dtype[Any]) -> tuple[int, ...] | None:
    """The strides of an array to be written; None if there is none, or its number of axes is wrong."""
    if out is None:
        return None
    array = arrays.output_array("out", out, dtype)
    return strides_of(array, dtype) if array.ndim == ndim else None
