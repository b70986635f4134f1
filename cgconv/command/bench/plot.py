"""Draws outcomes with matplotlib, which only this file knows: a line per problem, a mark per contender."""
from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from ..usage import UsageError
from .measure import Outcome
from .peers import INSTALL

__all__ = ["draw", "plot_format"]

_FORMATS = ("png", "svg", "pdf")
_MARKS = "oxs^vD+*"
_ROW = 0.22  # inches


def plot_format(path: str) -> str:
    """The format that the name of the file asks for. Raises UsageError if it, or matplotlib, is not there."""
    kind = path.rpartition(".")[2].lower()
    if kind not in _FORMATS:
        raise UsageError(f"--plot {path}: the name must end in .png, .svg or .pdf")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--plot needs matplotlib: {INSTALL}") from error
    return kind


def draw(file: BinaryIO, kind: str, title: str, names: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """GFLOP/s of each contender, and the most that the floor allows as a bar in the background."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.5 + _ROW * len(outcomes)), layout="constrained")
    axes = figure.add_subplot()
    rows = range(len(outcomes))
    limits = [outcome.problem.flops / outcome.floor * 1e-9 for outcome in outcomes]
    axes.barh(rows, limits, color="0.92", label="limit of the machine")
    for name, mark in zip(names, _MARKS, strict=False):
        points = [(outcome.rate[name], row) for row, outcome in enumerate(outcomes) if name in outcome.rate]
        if points:
            size, layer = (7, 3) if name == names[0] else (5, 2)
            axes.plot(*zip(*points, strict=True), mark, label=name, markersize=size, zorder=layer)
    axes.set_xscale("log")
    axes.set_xlabel("GFLOP/s, further right is faster")
    axes.set_yticks(rows, [outcome.problem.name for outcome in outcomes], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_title(title, fontsize=9)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(file, format=kind)
