"""Data formats: which axis of an array is which, and how the memory of that array looks to the C library.

It works on shapes and strides alone. It must not know arguments other than these, nor the C library.

An array of any format becomes an image array with the four axes n, c, h, w: its batch axes are merged, outermost in
memory first, into n. If the strides allow that, and a layout of the C library serves them, it runs where it stands.
"""
from __future__ import annotations

import functools
import math
from typing import NamedTuple

from .spec import shown

Shape = tuple[int, ...]

ALIASES = {"NCHW": "BCSS", "NHWC": "BSSC", "CHW": "CSS", "HWC": "SSC"}
MOST_AXES = 32  # of an array of NumPy 1
RULE = "one letter for each axis: two S, one C, at most one B and one T, any U; or NCHW, NHWC, CHW, HWC"

# In the order of preference. The digits are the axes of (n, c, h, w), outermost in memory first.
LAYOUTS = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1), "NCWH": (0, 1, 3, 2), "NWHC": (0, 3, 2, 1)}


class DataFormat(NamedTuple):
    """The axes of an array: the letters as given, and the places of c, h, w and of the batch axes."""

    name: str
    letters: str
    c: int
    h: int
    w: int
    batch: Shape

    @property
    def ndim(self) -> int:
        return len(self.letters)


@functools.lru_cache(maxsize=256)
def _parse(name: str, letters: str) -> DataFormat | None:
    """The format of these letters; None if they make none."""
    count = {letter: letters.count(letter) for letter in "SCBTU"}
    if count["S"] != 2 or count["C"] != 1 or count["B"] > 1 or count["T"] > 1 or sum(count.values()) != len(letters):
        return None
    h, w = (i for i, letter in enumerate(letters) if letter == "S")
    batch = tuple(i for i, letter in enumerate(letters) if letter not in "SC")
    return DataFormat(name, letters, letters.index("C"), h, w, batch)


def parse(argument: str, value: object) -> DataFormat:
    """The format that a string names. `argument` is the name of the argument, for the message."""
    if not isinstance(value, str):
        raise TypeError(f"{argument}={shown(value)}: must be a str, {RULE}")
    if len(value) > MOST_AXES:
        raise ValueError(f"{argument}={shown(value)} has {len(value)} axes: the limit is {MOST_AXES}")
    fmt = _parse(value, ALIASES.get(value, value))
    if fmt is None:
        raise ValueError(f"{argument}={shown(value)}: must be {RULE}")
    return fmt


def of_ndim(fmt: DataFormat, argument: str, ndim: int) -> DataFormat:
    """The format of an array with so many axes: the B may be missing."""
    if ndim == fmt.ndim:
        return fmt
    if ndim == fmt.ndim - 1 and "B" in fmt.letters and (unbatched := _parse(fmt.name, fmt.letters.replace("B", ""))):
        return unbatched
    without = f", or {fmt.ndim - 1} without the batch" if "B" in fmt.letters else ""
    raise ValueError(f"{argument} has {ndim} axes: the format {fmt.name!r} takes {fmt.ndim}{without}")


def replace_axes(fmt: DataFormat, shape: Shape, c: int, h: int, w: int) -> Shape:
    """The shape with other extents for the channel and the two spatial axes."""
    new = list(shape)
    new[fmt.c], new[fmt.h], new[fmt.w] = c, h, w
    return tuple(new)


def dense_strides(shape: Shape, order: Shape, itemsize: int) -> Shape:
    """The strides of a new array whose axes lie in memory in this order, outermost first."""
    strides = [0] * len(shape)
    step = itemsize
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def memory_order(shape: Shape, strides: Shape, itemsize: int) -> Shape:
    """The axes, outermost in memory first: 0 1 2 ... for a C-contiguous array, ... 2 1 0 for a Fortran one."""
    for order in (tuple(range(len(shape))), tuple(reversed(range(len(shape))))):
        dense = dense_strides(shape, order, itemsize)
        if 0 in shape or all(e == 1 or s == d for e, s, d in zip(shape, strides, dense, strict=True)):
            return order
    # A repeated axis has no place in memory; outermost, it costs nothing.
    return tuple(sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]) if strides[axis] else -math.inf))


def cells_share_memory(shape: Shape, strides: Shape, itemsize: int) -> bool:
    """Whether two cells of one array may overlap: an axis steps by less than what lies inside it."""
    span = itemsize
    for stride, extent in sorted((abs(s), e) for s, e in zip(strides, shape, strict=True) if e != 1):
        if stride < span:
            return 0 not in shape
        span += stride * (extent - 1)
    return False


class Image(NamedTuple):
    """An array of some format as an image array: its shape in the axes n, c, h, w, and the strides in elements.

    strides is None where the batch axes do not merge, or a stride is no multiple of the element.
    """

    shape: Shape
    strides: Shape | None

    @classmethod
    def of(cls, axes: Shape, shape: Shape, strides: Shape, itemsize: int) -> Image:
        """`axes` are the array's axes: the batch ones in the order in which to merge them, then c, h, w."""
        batch, rest = axes[:-3], axes[-3:]
        new_shape = (math.prod(shape[a] for a in batch), *(shape[a] for a in rest))
        steps = (_merged_stride([shape[a] for a in batch], [strides[a] for a in batch]), *(strides[a] for a in rest))
        if 0 in new_shape:
            return cls(new_shape, (0, 0, 0, 0))
        if any(step is None or step % itemsize for step in steps):
            return cls(new_shape, None)
        return cls(new_shape, tuple(step // itemsize for step in steps if step is not None))

    def serves(self, layout: str, *, in_order: bool) -> bool:
        """Whether this is an array of the layout: the innermost axis dense, and (in_order) the others as it says."""
        if self.strides is None:
            return False
        if 0 in self.shape:
            return True
        order = LAYOUTS[layout]
        if self.shape[order[-1]] > 1 and self.strides[order[-1]] != 1:
            return False
        steps = [abs(self.strides[a]) for a in order if self.shape[a] > 1 and self.strides[a] != 0]
        return not in_order or all(outer >= inner for outer, inner in zip(steps, steps[1:], strict=False))

    def filled_in(self, layout: str) -> Shape:
        """The strides, with those of axes of one cell, which are arbitrary, made those of a dense array."""
        assert self.strides is not None
        if 0 in self.shape:
            return self.strides
        strides = list(self.strides)
        step = 1
        for axis in reversed(LAYOUTS[layout]):
            if self.shape[axis] == 1:
                strides[axis] = step
            step = max(step, abs(strides[axis]) * self.shape[axis])
        return tuple(strides)


def _merged_stride(extents: list[int], strides: list[int]) -> int | None:
    """The stride of several axes, outermost first, as one; None if they do not merge."""
    steps = [(e, s) for e, s in zip(extents, strides, strict=True) if e != 1]
    if not steps or 0 in extents:
        return 0
    for (_, outer), (extent, inner) in zip(steps, steps[1:], strict=False):
        if outer != extent * inner:
            return None
    return steps[-1][1]


def choose_layout(x: Image, y: Image, exchanged: bool) -> tuple[str, bool, bool]:
    """The layout in which to run, and whether x and y run where they stand; one that does not is copied.

    The input's memory decides before the output's, and an array whose axes lie in the order of the layout before one
    that it merely can serve.
    """
    layouts = [name for name, order in LAYOUTS.items() if (order.index(2) > order.index(3)) == exchanged]
    for x_direct, y_direct in ((True, True), (True, False), (False, True)):
        for in_order in (True, False):
            for layout in layouts:
                if ((not x_direct or x.serves(layout, in_order=in_order))
                        and (not y_direct or y.serves(layout, in_order=in_order))):
                    return layout, x_direct, y_direct
    return layouts[0], False, False


def is_exchanged(h: int, w: int, *arrays: tuple[Shape, Shape]) -> bool:
    """Whether height and width are exchanged in memory, as in MATLAB: a step down is shorter than one to the right.

    `arrays` are shapes and strides, of which the first that has both rows and columns decides. It is part of what
    fixes the bits of a result, so it depends on nothing else.
    """
    for shape, strides in arrays:
        down, right = (abs(strides[axis]) or math.inf for axis in (h, w))  # a repeated axis is taken as the outermost
        if shape[h] > 1 and shape[w] > 1 and down != right:
            return down < right
    return False


class Side(NamedTuple):
    """The input or the output of a plan: the array of the caller, and the image array that the C library sees."""

    shape: Shape
    strides: Shape  # in bytes
    image_shape: Shape
    image_strides: Shape  # in elements
    direct: bool  # the array itself is that image array; else it is copied
    repeats: bool  # cells of the array share memory, so that it can only be read


class Placement(NamedTuple):
    """How the input and the output of a plan lie in memory."""

    layout: str
    axes: Shape  # the batch axes in the order in which they are merged, then c, h, w
    x: Side
    y: Side


@functools.lru_cache(maxsize=512)
def place(fmt: DataFormat, itemsize: int, x_shape: Shape, y_shape: Shape, x_strides: Shape | None,
          y_strides: Shape | None) -> Placement:
    """The placement of arrays of these shapes and strides (in bytes). Without strides an array is new: it follows the
    memory order of the other, and both are in C order if neither has any.
    """
    if x_strides is None:
        like = range(fmt.ndim) if y_strides is None else memory_order(y_shape, y_strides, itemsize)
        x_strides = dense_strides(x_shape, tuple(like), itemsize)
    x_order = memory_order(x_shape, x_strides, itemsize)
    if y_strides is None:
        y_strides = dense_strides(y_shape, x_order, itemsize)
    axes = (*(axis for axis in x_order if axis in fmt.batch), fmt.c, fmt.h, fmt.w)
    x, y = Image.of(axes, x_shape, x_strides, itemsize), Image.of(axes, y_shape, y_strides, itemsize)
    repeats = cells_share_memory(x_shape, x_strides, itemsize), cells_share_memory(y_shape, y_strides, itemsize)
    if repeats[1]:
        y = Image(y.shape, None)
    exchanged = is_exchanged(fmt.h, fmt.w, (x_shape, x_strides), (y_shape, y_strides))
    layout, x_direct, y_direct = choose_layout(x, y, exchanged)

    def side(shape: Shape, strides: Shape, image: Image, direct: bool, repeats: bool) -> Side:
        steps = image.filled_in(layout) if direct else dense_strides(image.shape, LAYOUTS[layout], 1)
        return Side(shape, strides, image.shape, steps, direct, repeats)

    return Placement(layout, axes, side(x_shape, x_strides, x, x_direct, repeats[0]),
                     side(y_shape, y_strides, y, y_direct, repeats[1]))
