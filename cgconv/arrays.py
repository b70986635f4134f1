"""Arrays of the caller as NumPy arrays of one data type: what is taken as it stands, what is copied, what is refused.

It must not know data formats, plans or what the C library computes.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _core
from .spec import shown

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
LARGE = 1 << 17
"""New arrays of so many bytes begin at a cache line, as NumPy's do not: to write them is 3 to 4 % faster."""
RULE = "cgconv computes in float32 and float64"

# Kinds of DLPack devices whose memory the CPU reads: the CPU, and pinned or managed memory of CUDA and ROCm.
_CPU_DEVICES = (1, 3, 11, 13)

# What has values, but no type of its own that a caller has chosen.
_TYPELESS = (list, tuple, int, float)


def as_array(name: str, value: object) -> np.ndarray[Any, Any]:
    """The value as an array, without a copy if it has memory of its own that the CPU can read."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, and a convolution has no rule for masked cells: fill them first")
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    _refuse_other_devices(name, value)
    if not _has_memory(value) and hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"{name}, a {type(value).__name__}, cannot be read as an array: {error}") from error
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is not an array: {error}") from error


def _has_memory(value: object) -> bool:
    if hasattr(value, "__array_interface__") or hasattr(value, "__array_struct__"):
        return True
    try:
        memoryview(value).release()  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):
        return False
    return True


def _refuse_other_devices(name: str, value: object) -> None:
    """A TypeError for an array in memory that the CPU cannot read."""
    device = getattr(value, "__dlpack_device__", None)
    if callable(device):
        kind = int(device()[0])
        if kind in _CPU_DEVICES:
            return
        where = f"on a device of DLPack kind {kind}"
    elif hasattr(value, "__cuda_array_interface__"):
        where = "on a GPU"
    else:
        return
    raise TypeError(f"{name}, a {type(value).__name__}, lies {where}: copy it to the CPU, where cgconv computes")


def real_array(name: str, value: object) -> np.ndarray[Any, Any]:
    """An array of real numbers, of any type."""
    array = as_array(name, value)
    if array.dtype.kind not in "biuf":
        hint = "; take its real part, or its parts in turn" if array.dtype.kind == "c" else ""
        raise TypeError(f"{name} has the type {array.dtype}, which is not a real number: {RULE}{hint}")
    return array


def agree(names: tuple[str, ...], first: Any, second: Any, *others: Any) -> tuple[Any, np.dtype[Any]]:
    """The values as arrays of real numbers, and the data type in which to compute. Others that are None stay it.

    A float32 or float64 array has a say, and all that have one must agree. Integers, bools, float16, and lists and
    numbers, which have no type of their own, follow the others, or are float32 if there is no other.
    """
    values = (first, second, *others)
    # Most calls: arrays of NumPy of one type, which is seen much faster than what any other values are.
    if type(first) is type(second) is np.ndarray:
        dtype = first.dtype
        if (dtype == FLOAT32 or dtype == FLOAT64) and second.dtype == dtype:
            for other in others:
                if other is not None and not (type(other) is np.ndarray and other.dtype == dtype):
                    break
            else:
                return values, own(dtype)
    taken = [real_array(names[0], first), real_array(names[1], second)]
    taken += [None if other is None else real_array(name, other) for name, other in zip(names[2:], others, strict=True)]
    return tuple(taken), _common_dtype({
        name: array for name, value, array in zip(names, values, taken, strict=True)
        if array is not None and not isinstance(value, _TYPELESS)})


def own(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """FLOAT32 or FLOAT64 for a type that equals it, but may carry metadata of the caller."""
    return FLOAT32 if dtype.itemsize == 4 else FLOAT64


def stands_as(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> bool:
    """Whether the array can be read as it stands: it has this type, byte order included, and is aligned."""
    return array.dtype == dtype and array.flags.aligned


def dense(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The array itself if it is C-contiguous and stands as this type; else a copy that is."""
    return array if array.flags.c_contiguous and stands_as(array, dtype) else np.array(array, dtype, order="C")


def _common_dtype(arrays: Mapping[str, np.ndarray[Any, Any]]) -> np.dtype[Any]:
    decides: tuple[str, np.dtype[Any]] | None = None
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("=")
        if dtype.kind != "f" or dtype.itemsize == 2:
            continue
        if dtype not in (FLOAT32, FLOAT64):
            raise TypeError(f"{name} has the type {dtype}: {RULE}")
        if decides is not None and decides[1] != dtype:
            raise TypeError(f"{decides[0]} has the type {decides[1]} and {name} {dtype}: give both one type, "
                            f"for example {name}.astype({decides[1].name!r})")
        decides = decides or (name, dtype)
    return FLOAT32 if decides is None else own(decides[1])


def output_array(name: str, value: object, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The array in which a result is to be written."""
    if isinstance(value, _TYPELESS):
        raise TypeError(f"{name}={shown(value)}: must be an array")
    array = as_array(name, value)
    if array.dtype != dtype:
        raise TypeError(f"{name} has the type {array.dtype}: it must be {dtype}, as the result is")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only")
    return array


def is_apart(name: str, target: np.ndarray[Any, Any], inputs: Mapping[str, object]) -> bool:
    """Whether the span of memory of the target meets no input's. A ValueError if it shares a cell with one."""
    apart = True
    for other, value in inputs.items():
        if value is None or not np.may_share_memory(target, source := as_array(other, value)):
            continue
        apart = False
        try:
            shared = np.shares_memory(target, source, max_work=10**6)  # type: ignore[arg-type]
        except np.exceptions.TooHardError:
            shared = True
        if shared:
            raise ValueError(f"{name} shares memory with {other}, from which it is computed")
    return apart


def empty(shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A new array with these strides, in bytes; no two cells may share memory."""
    return maker(shape, strides, dtype)()


def maker(shape: tuple[int, ...], strides: tuple[int, ...],
          dtype: np.dtype[Any]) -> Callable[[], np.ndarray[Any, Any]]:
    """`empty` for these arguments, with all that can be worked out done."""
    first, size, dense = 0, dtype.itemsize, True
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        dense &= stride == size
        first += max(-stride, 0) * (extent - 1)
        size += abs(stride) * (extent - 1)
    if 0 in shape or (dense and size < LARGE):
        return functools.partial(np.empty, shape, dtype)
    return functools.partial(_laid_out, shape, dtype, strides, first, size)


def _laid_out(shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...], first: int,
              size: int) -> np.ndarray[Any, Any]:
    """A new array in `size` bytes of its own, with cell (0, 0, ...) at byte `first`."""
    memory = np.empty(size + _core.LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, _core.bytes_to_line(memory) + first, strides)
