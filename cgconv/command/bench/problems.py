"""Problems: the sizes of one convolution each, read from CSV files and from the command line, and the work in them.

It knows the words of a problem line; it must not know arrays, clocks or peers.
"""
from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from ... import Plan
from ..usage import UsageError

__all__ = ["COLUMNS", "DEFAULT", "Problem", "find_problems"]

DEFAULT = Path(__file__).with_name("problems.csv")

# On the command line one word may set several columns.
_SHORT = {
    "k": ("kh", "kw"),
    "stride": ("stride_h", "stride_w"),
    "pad": ("pad_top", "pad_bottom", "pad_left", "pad_right"),
    "dilation": ("dilation_h", "dilation_w"),
}


@dataclass(frozen=True)
class Problem:
    """One convolution. The fields are the columns of a problem file; those with a default may be missing there."""

    name: str
    n: int
    c: int
    h: int
    w: int
    filters_per_group: int
    groups: int
    kh: int
    kw: int
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    padding_value: float | str = 0.0

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.n, self.c, self.h, self.w

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.filters_per_group * self.groups, self.c // self.groups, self.kh, self.kw

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        oh, ow = (
            (extent + before + after - (k - 1) * dilation - 1) // stride + 1
            for extent, before, after, k, dilation, stride in (
                (self.h, self.pad_top, self.pad_bottom, self.kh, self.dilation_h, self.stride_h),
                (self.w, self.pad_left, self.pad_right, self.kw, self.dilation_w, self.stride_w),
            )
        )
        return self.n, self.filters_per_group * self.groups, oh, ow

    @property
    def pads(self) -> tuple[int, int, int, int]:
        return self.pad_top, self.pad_bottom, self.pad_left, self.pad_right

    @property
    def keywords(self) -> dict[str, Any]:
        """What `cgconv.conv2d` and `cgconv.Plan` are told beside the arrays."""
        return {
            "stride": (self.stride_h, self.stride_w),
            "padding": self.pads,
            "dilation": (self.dilation_h, self.dilation_w),
            "groups": self.groups,
            "padding_value": self.padding_value,
        }

    @property
    def terms(self) -> int:
        """The products in one output."""
        return math.prod(self.weight_shape[1:])

    @property
    def flops(self) -> int:
        """Two for each product, as is usual; cells of padding count like any other."""
        return 2 * self.terms * math.prod(self.y_shape)

    @property
    def cells(self) -> int:
        """The numbers that must be touched: of the input those that some filter meets, all weights, all outputs."""
        _, _, oh, ow = self.y_shape
        rows = _met(self.h, self.pad_top, self.kh, self.dilation_h, self.stride_h, oh)
        columns = _met(self.w, self.pad_left, self.kw, self.dilation_w, self.stride_w, ow)
        return self.n * self.c * rows * columns + math.prod(self.weight_shape) + math.prod(self.y_shape)

    @property
    def is_image_filter(self) -> bool:
        """Whether it is what libraries for images do: one filter over the planes of one small picture, same size."""
        return (
            (self.n, self.filters_per_group, self.stride_h, self.stride_w) == (1, 1, 1, 1)
            and (self.dilation_h, self.dilation_w) == (1, 1)
            and self.groups == self.c <= 4
            and self.y_shape == self.x_shape
        )


COLUMNS = tuple(field.name for field in fields(Problem))
_REQUIRED = tuple(field.name for field in fields(Problem) if field.default is MISSING)


def find_problems(arguments: Iterable[str], patterns: Iterable[str]) -> list[Problem]:
    """The problems that the arguments name, files or lines, in their order; of these, those that match a pattern.

    Without arguments it is those that come with the package, without patterns all of them. Raises UsageError.
    """
    problems = [problem for argument in list(arguments) or [str(DEFAULT)] for problem in _read(argument)]
    patterns = list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(problem.name, pattern) for problem in problems):
            raise UsageError(f"--only {pattern}: no problem has such a name")
    chosen = [p for p in problems if not patterns or any(fnmatchcase(p.name, pattern) for pattern in patterns)]
    if not chosen:
        raise UsageError("there are no problems in what was given")
    return chosen


def _read(argument: str) -> Iterator[Problem]:
    try:
        if "=" in argument and not os.path.isfile(argument):
            yield _problem(_from_words(argument))
        elif "," in argument and not os.path.isfile(argument):
            yield _problem(_from_cells(argument.split(",")))
        else:
            yield from _from_file(argument)
    except ValueError as error:
        raise UsageError(f"problem {argument!r}: {error}") from error


def _from_words(argument: str) -> dict[str, str]:
    """From words such as "c=32 h=56 w=56 k=3"."""
    row = {"n": "1", "filters_per_group": "1", "groups": "1"}
    for word in re.split(r"[\s,]+", argument.strip()):
        key, equals, value = word.partition("=")
        if not equals or key not in {*COLUMNS, *_SHORT}:
            raise ValueError(f"{word!r} is not a column=value; the columns are {', '.join([*COLUMNS, *_SHORT])}")
        row.update(dict.fromkeys(_SHORT.get(key, (key,)), value))
    row.setdefault("name", argument.replace(",", " "))
    return row


def _from_cells(cells: list[str]) -> dict[str, str]:
    """From the cells of a line in the order of the columns."""
    if not len(_REQUIRED) <= len(cells) <= len(COLUMNS):
        raise ValueError(f"it has {len(cells)} cells; the columns are {', '.join(COLUMNS)}")
    return dict(zip(COLUMNS, cells, strict=False))


def _from_file(path: str) -> Iterator[Problem]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"neither a problem line nor a file of problems: {reason}") from error
    for number, row in enumerate(rows, 2):
        _check_columns(each for each in row if each is not None)
        try:
            if None in row or None in row.values():
                raise ValueError("it does not have as many cells as the heading")
            yield _problem(row)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error


def _problem(row: Mapping[str, str]) -> Problem:
    """A checked problem. The rules of sizes that depend on each other are the library's own."""
    _check_columns(row)
    problem = Problem(**{name: _value(name, text.strip()) for name, text in row.items()})
    Plan(problem.x_shape, problem.weight_shape, **problem.keywords)
    return problem


def _check_columns(names: Iterable[str]) -> None:
    found = tuple(names)
    unknown = [name for name in found if name not in COLUMNS]
    missing = [name for name in _REQUIRED if name not in found]
    if unknown or missing:
        wrong = f"there is no column {unknown[0]!r}" if unknown else f"the column {missing[0]!r} is missing"
        raise ValueError(f"{wrong}; the columns are {', '.join(COLUMNS)}, and those after kw may be missing")


def _value(name: str, text: str) -> Any:
    if name == "name":
        if not text or not text.isprintable():
            raise ValueError(f"name={text!r}: must be a word")
        return text
    if name == "padding_value":
        try:
            return float(text)
        except ValueError:
            return text
    least = 0 if name.startswith("pad_") else 1
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ValueError(f"{name}={text!r}: must be a whole number of at least {least}")
    return int(text)


def _met(extent: int, before: int, k: int, dilation: int, stride: int, out: int) -> int:
    """How many cells of an axis some tap of some output meets."""
    met = np.zeros(extent, dtype=bool)
    starts = np.arange(out) * stride - before
    for tap in range(k):
        cells = starts + tap * dilation
        met[cells[(cells >= 0) & (cells < extent)]] = True
    return int(met.sum())
