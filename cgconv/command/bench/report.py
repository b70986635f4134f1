"""Tables of outcomes: on the screen as they come, then as CSV and Markdown. It must not know what made them."""
from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from .measure import Outcome

__all__ = ["CSV_COLUMNS", "Table", "as_csv", "as_markdown", "summary"]

CSV_COLUMNS = (
    "problem", "pass", "dtype", "layout", "threads", "contender", "version", "flops", "bytes", "floor_us", "us",
    "gflops", "of_floor", "peak_mib", "note",
)  # fmt: skip


class Table:
    """The rows of one run, as text."""

    def __init__(self, ours: str, peers: Sequence[str], problems: Iterable[str]) -> None:
        self._ours = ours
        self._peers = tuple(peers)
        self.heading = ["problem", "MFLOP", f"{ours} µs", "GFLOP/s", "of floor", *(f"{peer} µs" for peer in peers)]
        if peers:
            self.heading += ["best peer", "ratio"]
        first = max(len("problem"), *(len(name) for name in problems))
        self._widths = [first, *(max(8, len(cell)) for cell in self.heading[1:])]
        if peers:
            self._widths[-2] = max(len(cell) for cell in (*peers, "best peer"))

    def line(self, cells: Sequence[str]) -> str:
        """Cells as a line of the screen: the names to the left, the numbers to the right."""
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], self._widths[1:], strict=True))
        return "  ".join([cells[0].ljust(self._widths[0]), *rest])

    def cells(self, outcome: Outcome) -> list[str]:
        """The cells of one problem."""
        seconds = outcome.seconds[self._ours]
        cells = [
            outcome.problem.name,
            f"{outcome.problem.flops / 1e6:.1f}",
            _microseconds(seconds),
            f"{outcome.rate[self._ours]:.3g}",
            f"{outcome.floor / seconds:.0%}",
            *(self._peer_cell(outcome, peer) for peer in self._peers),
        ]
        if self._peers:
            cells += [outcome.best_peer or "-", "-" if outcome.ratio is None else f"{outcome.ratio:.2f}"]
        return cells

    def _peer_cell(self, outcome: Outcome, peer: str) -> str:
        if peer in outcome.wrong:
            return "wrong"
        if peer not in outcome.seconds:
            return "-"
        return ("*" if outcome.notes.get(peer) else "") + _microseconds(outcome.seconds[peer])


def summary(outcomes: Sequence[Outcome], ours: str) -> list[str]:
    """The lines below the table: geometric mean and worst problem of the ratio and of the fraction of the floor."""
    lines = []
    fractions = {outcome.problem.name: outcome.floor / outcome.seconds[ours] for outcome in outcomes}
    ratios = {outcome.problem.name: outcome.ratio for outcome in outcomes if outcome.ratio is not None}
    if ratios:
        lines.append(f"ratio, best peer's time / {ours}'s: {_mean_and_worst(ratios, '{:.2f}')}")
    if fractions:
        lines.append(f"fraction of the floor: {_mean_and_worst(fractions, '{:.0%}')}")
    noted = {f"{peer}: {note}" for outcome in outcomes for peer, note in outcome.notes.items()
             if peer in outcome.seconds}  # fmt: skip
    return lines + [f"* {note}" for note in sorted(noted)]


def as_markdown(title: Sequence[str], table: Table, outcomes: Sequence[Outcome], below: Sequence[str]) -> str:
    """A table with the lines above and below it."""
    rows = [table.heading, ["---", *["---:"] * (len(table.heading) - 1)], *(table.cells(each) for each in outcomes)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in row) + " |" for row in rows]
    paragraphs = [*title, "\n".join(lines), *(line.replace("*", "\\*") for line in below)]
    return "\n\n".join(paragraphs) + "\n"


def as_csv(outcomes: Iterable[Outcome], run: Sequence[object], versions: dict[str, str]) -> str:
    """One line per problem and contender; `run` is pass, dtype, layout and threads. No time: the note says why."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for outcome in outcomes:
        for name, version in versions.items():
            seconds = outcome.seconds.get(name)
            times = ["", "", ""] if seconds is None else [
                f"{seconds * 1e6:.3f}", f"{outcome.rate[name]:.3f}", f"{outcome.floor / seconds:.4f}"
            ]  # fmt: skip
            work = [outcome.problem.flops, outcome.nbytes, f"{outcome.floor * 1e6:.3f}"]
            growth = outcome.growth[name].nbytes if name in outcome.growth else None
            peak = "" if growth is None else f"{growth / 2**20:.2f}"
            note = outcome.notes.get(name, "")
            writer.writerow([outcome.problem.name, *run, name, version, *work, *times, peak, note])
    return text.getvalue()


def _microseconds(seconds: float) -> str:
    value = seconds * 1e6
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _mean_and_worst(values: dict[str, float], form: str) -> str:
    mean = math.exp(sum(math.log(value) for value in values.values()) / len(values))
    worst = min(values, key=values.__getitem__)
    return f"geometric mean {form.format(mean)}, worst {form.format(values[worst])} ({worst})"
