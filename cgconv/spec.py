"""What a caller may write for each argument, turned into the one form that the rest of the package uses.

Every refusal names the argument, its value and the rule. It must not know arrays of images, data formats or the C
library.
"""
from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Literal, SupportsFloat, SupportsIndex

Ints = SupportsIndex | Sequence[SupportsIndex]
Padding = SupportsIndex | Sequence[SupportsIndex] | str
PaddingValue = SupportsFloat | str
Clamp = tuple[SupportsFloat | None, SupportsFloat | None]
Pads = tuple[int, int, int, int]

LARGEST = 2**63 - 1
LARGEST_INT = 2**31 - 1

PAD_NAMES = ("symmetric-include-edge", "symmetric-exclude-edge", "replicate", "circular")


def shown(value: object) -> str:
    """repr(value), cut where it is long: messages quote what was given."""
    try:
        text = repr(value)
    except Exception:  # a repr that fails must not hide the error that is being reported
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else text[:77] + "..."


def integer(name: str, value: object, minimum: int, maximum: int = LARGEST, rule: str | None = None) -> int:
    """An int between minimum and maximum; bools and floats, 2.0 too, are none. `rule` replaces the standard words."""
    if type(value) is int and minimum <= value <= maximum:
        return value
    rule = rule or ("must be a positive int" if minimum == 1 else f"must be an int, at least {minimum}")
    try:
        if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "i") not in "iu":
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}={shown(value)}: {rule}") from None
    if number < minimum:
        raise ValueError(f"{name}={shown(value)}: {rule}")
    if number > maximum:
        raise ValueError(f"{name}={shown(value)} is too large: the limit is {maximum}")
    return number


def _items(value: object) -> tuple[object, ...] | None:
    """The items of a list, a tuple or a 1-D array; None for anything else."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    if getattr(value, "ndim", None) == 1:
        return tuple(value)  # type: ignore[arg-type]
    return None


def pair(name: str, value: object, axes: str = "(vertical, horizontal)") -> tuple[int, int]:
    """A positive int for both axes, or two of them."""
    rule = f"must be a positive int, or two of them {axes}"
    items = _items(value)
    if items is None:
        number = integer(name, value, 1, rule=rule)
        return number, number
    if len(items) != 2:
        raise ValueError(f"{name}={shown(value)} has {len(items)} items: {rule}")
    first, second = (integer(f"{name}[{i}]", item, 1) for i, item in enumerate(items))
    return first, second


def pads(name: str, value: object, also: str = "") -> Pads:
    """(top, bottom, left, right). `also` completes the rule."""
    rule = f"must be an int, (top and bottom, left and right) or (top, bottom, left, right){also}; none negative"
    items = _items(value)
    if items is None:
        every = integer(name, value, 0, rule=rule)
        return every, every, every, every
    if len(items) not in (2, 4):
        raise ValueError(f"{name}={shown(value)} has {len(items)} items: {rule}")
    sides = [integer(f"{name}[{i}]", item, 0, rule="a pad must be an int that is not negative")
             for i, item in enumerate(items)]
    top, bottom, left, right = sides if len(sides) == 4 else (sides[0], sides[0], sides[1], sides[1])
    return top, bottom, left, right


def padding(name: str, value: object) -> Pads | Literal["same"]:
    """(top, bottom, left, right), or "same"."""
    if isinstance(value, str):
        if value == "same":
            return "same"
        if value == "valid":
            return 0, 0, 0, 0
        raise ValueError(f"{name}={shown(value)}: must be ints, 'same' or 'valid'")
    return pads(name, value, also=", 'same' or 'valid'")


def number(name: str, value: object, rule: str = "must be a real number") -> float:
    """A real number; NaN and the infinities are numbers here."""
    if isinstance(value, (bool, str, bytes, complex)) or getattr(value, "ndim", 0) != 0:
        raise TypeError(f"{name}={shown(value)}: {rule}")
    if getattr(getattr(value, "dtype", None), "kind", "f") not in "fiu":
        raise TypeError(f"{name}={shown(value)}: {rule}")
    try:
        return float(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}={shown(value)}: {rule}") from None
    except OverflowError:
        raise ValueError(f"{name}={shown(value)} is too large for a float") from None


def _listed(names: Sequence[str]) -> str:
    """'a', 'b' or 'c'."""
    return " or ".join(filter(None, (", ".join(map(repr, names[:-1])), repr(names[-1]))))


def choice(name: str, value: object, names: Sequence[str], also: str = "") -> str:
    """One of the names, which may be written without its hyphens; the hyphenated form is returned."""
    if isinstance(value, str):
        for known in names:
            if value in (known, known.replace("-", "")):
                return known
    rule = f"must be {also}{_listed(names)}"
    raise (ValueError if isinstance(value, str) else TypeError)(f"{name}={shown(value)}: {rule}")


def padding_value(name: str, value: object) -> str | float:
    """The name of a padding mode, or the constant."""
    if isinstance(value, str):
        return choice(name, value, PAD_NAMES, also="a number, ")
    return number(name, value, f"must be a real number, {_listed(PAD_NAMES)}")


def pad_mode(value: str | float) -> tuple[str, float]:
    """A checked padding value as the pair (mode, constant) of the C interface."""
    return (value, 0.0) if isinstance(value, str) else ("constant", value)


def clamp(name: str, value: object) -> tuple[float, float]:
    """(lo, hi), infinite where there is no bound."""
    items = _items(value)
    if items is None or len(items) != 2:
        raise TypeError(f"{name}={shown(value)}: must be a pair (lo, hi), where None is no bound")
    lo, hi = (default if item is None else number(f"{name}[{i}]", item, "a bound must be a real number or None")
              for i, (item, default) in enumerate(zip(items, (-math.inf, math.inf), strict=True)))
    if math.isnan(lo) or math.isnan(hi):
        raise ValueError(f"{name}={shown(value)}: a bound must not be NaN")
    if lo > hi:
        raise ValueError(f"{name}={shown(value)}: the lower bound must not exceed the upper one")
    return lo, hi


def shape(name: str, value: object) -> tuple[int, ...]:
    """A tuple of extents; 0 is one."""
    if type(value) is tuple and all([type(item) is int and 0 <= item <= LARGEST for item in value]):
        return value
    items = _items(value)
    if items is None:
        raise TypeError(f"{name}={shown(value)}: must be a sequence of ints")
    return tuple(integer(f"{name}[{i}]", item, 0) for i, item in enumerate(items))


def strides(name: str, value: object, ndim: int) -> tuple[int, ...]:
    """A tuple of steps in bytes, as NumPy's `strides`."""
    items = _items(value)
    if items is None:
        raise TypeError(f"{name}={shown(value)}: must be a sequence of ints")
    if len(items) != ndim:
        raise ValueError(f"{name}={shown(value)} has {len(items)} items for an array of {ndim} axes")
    return tuple(integer(f"{name}[{i}]", item, -LARGEST) for i, item in enumerate(items))


def threads(name: str, value: object) -> int:
    """A thread count, or 0 for None: the default of the process."""
    rule = "must be a positive int, or None for the default"
    return 0 if value is None else integer(name, value, 1, LARGEST_INT, rule)


def word(name: str, value: object, default: str | None) -> str | None:
    """A name that the library knows and this module does not; `default` stands for None."""
    if value is None or value == default:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name}={shown(value)}: must be a str")
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name}={shown(value)}: no such name")
    return value
