"""The functions: a convolution, its two gradients, a separable one, and padding, on arrays, without any state.

They find the data type, and the plan for the arrays as they lie in memory. They must not know layers or files.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from . import _core, arrays, cache, formats, spec
from .plan import Array, strides_of, strides_of_output


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: spec.Ints = 1, padding: spec.Padding = 0,
           dilation: spec.Ints = 1, groups: int = 1, padding_value: spec.PaddingValue = 0, layout: str = "NCHW",
           clamp: spec.Clamp = (None, None), out: Any = None, threads: int | None = None,
           algorithm: str = "auto") -> Any:
    """Grouped 2-D convolution (cross-correlation: the filters are not flipped).

    For group g, filter f of the group and output pixel (i, j), with xp the padded input and C/G = Cg::

        y[n, g*F+f, i, j] = clamp(bias[g*F+f] + sum over (c, u, v) of
                                  weight[g*F+f, c, u, v] * xp[n, g*Cg+c, i*sh+u*dh, j*sw+v*dw])

    Parameters
    ----------
    x : array
        The input, in the axes of `layout`. The batch axis B may be missing: then it is missing in the result too.
    weight : array, shape (F*G, C/G, kh, kw)
        The filters, in this order in every layout.
    bias : array, shape (F*G,), optional
    stride, dilation : int or (vertical, horizontal)
        Steps of the filter over the input, and of the cells of the filter, in pixels.
    padding : int, (top and bottom, left and right), (top, bottom, left, right), "same" or "valid"
        Cells around the input. "same" makes the output ceil(input / stride), with the odd cell at bottom and right.
    groups : int
        G. It divides the input channels C; G == C is a channel-wise (depthwise) convolution.
    padding_value : number or str
        What stands in those cells: a number, "symmetric-include-edge" (NumPy calls it symmetric),
        "symmetric-exclude-edge" (reflect), "replicate" (edge) or "circular" (wrap).
    layout : str
        One letter for each axis of x: S spatial (height first), C channel, B batch, T time, U unspecified; or NCHW,
        NHWC, CHW, HWC. All but S and C are batch axes.
    clamp : (lo, hi)
        Bounds of the result, None for none: (0, None) is ReLU, (0, 6) is ReLU6. NaN stays NaN.
    out : array, optional
        Where to write the result, and what is returned. It has the exact shape and type, and shares no memory with
        the others.
    threads : int, optional
        At most so many threads; `get_num_threads()` by default.
    algorithm : str
        "auto", or one of `Plan.algorithms`. All give the same bits.

    Returns
    -------
    array
        Of the axes of x, in its memory order (Fortran-contiguous if x is), and of the common data type.

    Raises
    ------
    ValueError, TypeError
        If an argument breaks a rule; the message gives the argument, its value and the rule.
    MemoryError
        If there is no memory for the result or the workspace.

    Notes
    -----
    float32 and float64 arrays are computed in their type; mixing the two is an error. Integers, bools and float16
    are converted to the type of the others, or to float32. Arrays that speak the buffer protocol,
    ``__array_interface__`` or DLPack on the CPU are read where they are, cropped, channel-last and Fortran-ordered
    ones too. An array is copied only if no layout serves its strides: the innermost axis in memory must be W, C or H,
    with adjacent cells.

    A call like an earlier one, in its shapes, strides, types and keywords, uses its plan again, which saves most of
    the time of a small one. Up to 256 plans are kept, of a few KiB each. What they need for computing is shared: as
    many workspaces as runs were ever at work at once, of at most 64 MiB, or one if it is larger.

    The function may be called from any thread; the GIL is released while it computes.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> x = np.arange(9, dtype="float32").reshape(1, 1, 3, 3)
    >>> weight = np.ones((1, 1, 3, 3), "float32")
    >>> cgconv.conv2d(x, weight, padding=1, padding_value="replicate")[0, 0]
    array([[12., 18., 24.],
           [30., 36., 42.],
           [48., 54., 60.]], dtype=float32)
    """
    (x, weight, bias), dtype = arrays.agree(("x", "weight", "bias"), x, weight, bias)
    plan = cache.plan(x.shape, weight.shape, dtype, strides_of(x, dtype), strides_of_output(out, x.ndim, dtype),
                      threads, stride, padding, dilation, groups, padding_value, layout, clamp, algorithm)
    return plan.forward(x, weight, bias, out)


def conv2d_backward_input(dy: Any, weight: Any, input_shape: Any, *, stride: spec.Ints = 1, padding: spec.Padding = 0,
                          dilation: spec.Ints = 1, groups: int = 1, padding_value: spec.PaddingValue = 0,
                          layout: str = "NCHW", out: Any = None, threads: int | None = None,
                          algorithm: str = "auto") -> Any:
    """The gradient of the input of `conv2d`: its adjoint, padding included, applied to dy.

    With symmetric, replicate or circular padding the gradient of a padding cell is added to the cell that it was
    copied from; a constant pad gives none. If the forward pass was clamped, set dy to zero where it was.

    Parameters
    ----------
    dy : array
        The gradient of the result of `conv2d`, of its shape.
    weight : array, shape (F*G, C/G, kh, kw)
    input_shape : sequence of int
        The shape of the input.
    stride, padding, dilation, groups, padding_value, layout, out, threads, algorithm
        As for `conv2d`.

    Returns
    -------
    array
        dx, of shape `input_shape`, in the memory order of dy.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> dy, weight = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    >>> cgconv.conv2d_backward_input(dy, weight, (1, 1, 3, 3))[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    (dy, weight), dtype = arrays.agree(("dy", "weight"), dy, weight)
    input_shape = spec.shape("input_shape", input_shape)
    if len(input_shape) != dy.ndim:
        raise ValueError(f"input_shape={input_shape} has {len(input_shape)} axes, and dy has {dy.ndim}")
    plan = cache.plan(input_shape, weight.shape, dtype, strides_of_output(out, dy.ndim, dtype), strides_of(dy, dtype),
                      threads, stride, padding, dilation, groups, padding_value, layout, algorithm=algorithm)
    return plan.backward_input(dy, weight, out)


def conv2d_backward_weight(x: Any, dy: Any, weight_shape: Any, *, stride: spec.Ints = 1, padding: spec.Padding = 0,
                           dilation: spec.Ints = 1, groups: int = 1, padding_value: spec.PaddingValue = 0,
                           layout: str = "NCHW", threads: int | None = None,
                           algorithm: str = "auto") -> tuple[Array, Array]:
    """The gradients of the weights and of the bias of `conv2d`.

    Parameters
    ----------
    x : array
        The input.
    dy : array
        The gradient of the result of `conv2d`, of its shape.
    weight_shape : sequence of int
        The shape of the weights: (F*G, C/G, kh, kw).
    stride, padding, dilation, groups, padding_value, layout, threads, algorithm
        As for `conv2d`.

    Returns
    -------
    dw : array, of shape `weight_shape`
    db : array, shape (F*G,)
        The bits of both do not depend on the number of threads.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> x, dy = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> dw, db = cgconv.conv2d_backward_weight(x, dy, (1, 1, 2, 2))
    >>> dw[0, 0], db
    (array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    (x, dy), dtype = arrays.agree(("x", "dy"), x, dy)
    if x.ndim != dy.ndim:
        raise ValueError(f"x has {x.ndim} axes, and dy has {dy.ndim}")
    plan = cache.plan(x.shape, spec.shape("weight_shape", weight_shape), dtype, strides_of(x, dtype),
                      strides_of(dy, dtype), threads, stride, padding, dilation, groups, padding_value, layout,
                      algorithm=algorithm)
    return plan.backward_weight(x, dy)


def separable_conv2d(x: Any, depthwise_weight: Any, pointwise_weight: Any, depthwise_bias: Any = None,
                     pointwise_bias: Any = None, *, stride: spec.Ints = 1, padding: spec.Padding = 0,
                     dilation: spec.Ints = 1, padding_value: spec.PaddingValue = 0, layout: str = "NCHW",
                     depthwise_clamp: spec.Clamp = (None, None), clamp: spec.Clamp = (None, None), out: Any = None,
                     threads: int | None = None) -> Any:
    """A depthwise-separable convolution: one filter or more for each channel, then a mix of the channels (1 x 1).

    It has the same bits as the two calls ::

        between = conv2d(x, depthwise_weight, depthwise_bias, stride=stride, padding=padding, dilation=dilation,
                         groups=C, padding_value=padding_value, layout=layout, clamp=depthwise_clamp)
        conv2d(between, pointwise_weight, pointwise_bias, layout=layout, clamp=clamp)

    but works tile by tile: what lies between stays in the cache, and no array is made for it.

    Parameters
    ----------
    x : array
        The input of C channels, in the axes of `layout`.
    depthwise_weight : array, shape (M*C, 1, kh, kw)
        M filters for each channel.
    pointwise_weight : array, shape (F, M*C, 1, 1)
    depthwise_bias, pointwise_bias : array, shape (M*C,) and (F,), optional
    stride, padding, dilation, padding_value
        Of the depthwise convolution, as for `conv2d`.
    depthwise_clamp, clamp : (lo, hi)
        Bounds of what lies between, and of the result, as for `conv2d`.
    layout, out, threads
        As for `conv2d`.

    Returns
    -------
    array
        Of the axes of x, in its memory order, and of the common data type.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> x = np.arange(18, dtype="float32").reshape(1, 2, 3, 3)
    >>> depthwise, pointwise = np.ones((2, 1, 3, 3), "float32"), np.ones((1, 2, 1, 1), "float32")
    >>> cgconv.separable_conv2d(x, depthwise, pointwise, padding="same")[0, 0]
    array([[ 52.,  84.,  60.],
           [ 96., 153., 108.],
           [ 76., 120.,  84.]], dtype=float32)
    """
    (x, depthwise_weight, pointwise_weight, depthwise_bias, pointwise_bias), dtype = arrays.agree(
        ("x", "depthwise_weight", "pointwise_weight", "depthwise_bias", "pointwise_bias"),
        x, depthwise_weight, pointwise_weight, depthwise_bias, pointwise_bias)
    plan = cache.separable(x.shape, depthwise_weight.shape, pointwise_weight.shape, dtype, strides_of(x, dtype),
                           strides_of_output(out, x.ndim, dtype), threads, stride, padding, dilation, padding_value,
                           layout, depthwise_clamp, clamp)
    return plan.forward(x, depthwise_weight, pointwise_weight, depthwise_bias, pointwise_bias, out)


def pad2d(x: Any, padding: spec.Ints, padding_value: Any = 0, *, layout: str = "NCHW") -> Array:
    """The padded input, as `conv2d` sees it: an array of any data type with cells added around its spatial axes.

    Parameters
    ----------
    x : array
        In the axes of `layout`.
    padding : int, (top and bottom, left and right) or (top, bottom, left, right)
    padding_value : number or str
        As for `conv2d`. A number must be one that the data type of x can hold.
    layout : str
        As for `conv2d`.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> x = np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]])
    >>> cgconv.pad2d(x[None], 1, "symmetric-exclude-edge", layout="CSS")[0]
    array([[5, 1, 5, 9, 5],
           [1, 3, 1, 4, 1],
           [5, 1, 5, 9, 5],
           [6, 2, 6, 5, 6],
           [5, 1, 5, 9, 5]])
    """
    x = arrays.as_array("x", x)
    fmt = formats.of_ndim(formats.parse("layout", layout), "x", x.ndim)
    top, bottom, left, right = spec.pads("padding", padding)
    height, width = x.shape[fmt.h], x.shape[fmt.w]
    shape = formats.replace_axes(fmt, x.shape, x.shape[fmt.c], height + top + bottom, width + left + right)
    padded = arrays.empty(shape, formats.dense_strides(
        shape, formats.memory_order(x.shape, x.strides, x.itemsize), x.itemsize), x.dtype)
    if isinstance(padding_value, str):
        mode = spec.choice("padding_value", padding_value, spec.PAD_NAMES, also="a number, ")
        rows = _sources(mode, "height", height, top, bottom)
        columns = _sources(mode, "width", width, left, right)
        padded[...] = x.take(rows, fmt.h).take(columns, fmt.w)
    else:
        inside = [slice(None)] * x.ndim
        inside[fmt.h], inside[fmt.w] = slice(top, top + height), slice(left, left + width)
        padded[...] = _cell(padding_value, x.dtype)
        padded[tuple(inside)] = x
    return padded


def _sources(mode: str, axis: str, extent: int, before: int, after: int) -> Array:
    """The cell that stands at each position of a padded axis."""
    if extent == 0 and before + after > 0:
        raise ValueError(f"the {axis} is 0: there is no cell that {mode!r} could repeat")
    sources = np.empty(before + extent + after, np.int64)
    _core.pad_sources(mode, sources, before, extent)
    return sources


def _cell(value: Any, dtype: np.dtype[Any]) -> Array:
    """A constant in the type of the array; an error if that type cannot hold it."""
    if np.ndim(value) != 0:
        raise TypeError(f"padding_value={spec.shown(value)}: must be a number or the name of a padding mode")
    refusal = f"padding_value={spec.shown(value)} cannot be held by an array of {dtype}"
    if np.iscomplexobj(value) and dtype.kind not in "cO":
        raise ValueError(refusal)
    try:
        with np.errstate(all="ignore"):
            cell = np.asarray(value).astype(dtype)
            held = dtype.kind in "fcO" or bool(cell == value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(refusal) from error
    if not held:
        raise ValueError(refusal)
    return cell
