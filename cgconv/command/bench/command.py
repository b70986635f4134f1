"""The command `cgconv bench`: from its options to the problems and contenders, and from outcomes to the files.

It must not know how a time is taken or what a table looks like.
"""
from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ... import __version__, show_config
from ...storage import whole_file
from ..usage import UsageError
from .case import Case, Contender, Ours
from .machine import Machine, processor
from .measure import Outcome, measure
from .peers import contenders
from .plot import draw, plot_format
from .problems import Problem, find_problems
from .report import Table, as_csv, as_markdown, summary
from .truth import Wrong

__all__ = ["bench"]


def bench(options: Namespace) -> int:
    """Runs the command; 0 if every contender computed what it should, 1 if one did not, or there was no memory."""
    if options.packed and options.pass_name != "forward":
        raise UsageError(f"--packed is for the forward pass: --pass {options.pass_name} takes weights as they are")
    problems = find_problems(options.problems, options.only)
    for option in ("csv", "markdown", "plot"):
        _check_target(option, getattr(options, option))
    plot = plot_format(options.plot) if options.plot else None
    peers = contenders(options.peers, options.threads)
    machine = Machine.probe(options.dtype, options.threads, options.peak_gflops, options.bandwidth_gbs)
    run = _Run(options, peers, machine, problems)
    try:
        run.measure(problems)
    finally:  # what has been measured is not lost with what has not
        run.write(plot)
    return 1 if run.failed else 0


class _Run:
    """The outcomes so far, and how to show them."""

    def __init__(self, options: Namespace, peers: list[Contender], machine: Machine, problems: list[Problem]) -> None:
        self.failed = False
        self._load = os.getloadavg()[0]  # times taken beside other work are worth little
        self._options = options
        self._machine = machine
        self._ours = Ours(__version__, options.layout, options.plan, options.packed)
        self._peers = peers
        self._table = Table(self._ours.name, [peer.name for peer in peers], [each.name for each in problems])
        self._outcomes: list[Outcome] = []

    def measure(self, problems: Sequence[Problem]) -> None:
        """Measures the problems and shows each at once."""
        options = self._options
        print(*self._title(), self._table.line(self._table.heading), sep="\n", flush=True)
        for problem in problems:
            try:
                case = Case(problem, options.dtype, options.threads)
                outcome = measure(case, options.pass_name, self._ours, self._peers, options.rounds)
            except (MemoryError, Wrong) as error:
                self._complain(problem.name, str(error) or "too large for the memory")
                continue
            outcome.floor = self._machine.floor(problem.flops, outcome.nbytes)
            self._outcomes.append(outcome)
            print(self._table.line(self._table.cells(outcome)), flush=True)
            for peer in outcome.wrong:
                self._complain(f"{problem.name}, {peer}", outcome.notes[peer])
        print(*summary(self._outcomes, self._ours.name), sep="\n", flush=True)

    def write(self, plot: str | None) -> None:
        """Writes the files that were asked for, if there is something to write in them."""
        try:
            self._write(plot)
        except OSError as error:
            self._complain(str(error.filename or "the results"), error.strerror or str(error))

    def _write(self, plot: str | None) -> None:
        options, outcomes = self._options, self._outcomes
        if not outcomes:
            return
        versions = {each.name: each.version for each in (self._ours, *self._peers)}
        if options.csv:
            facts = (options.pass_name, options.dtype, options.layout, options.threads)
            with whole_file(Path(options.csv)) as file:
                file.write(as_csv(outcomes, facts, versions).encode())
        if options.markdown:
            heard = {name for outcome in outcomes for name in (*outcome.seconds, *outcome.wrong)}
            peers = [peer.name for peer in self._peers if peer.name in heard]
            table = Table(self._ours.name, peers, [outcome.problem.name for outcome in outcomes])
            below = summary(outcomes, self._ours.name)
            with whole_file(Path(options.markdown)) as file:
                file.write(as_markdown(self._title(), table, outcomes, below).encode())
        if options.plot and plot:
            with whole_file(Path(options.plot)) as file:
                draw(file, plot, self._title()[0], list(versions), outcomes)

    def _title(self) -> list[str]:
        """The lines above the table: everything that a reader needs to repeat it."""
        options = self._options
        threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
        called = "conv2d" if options.pass_name == "forward" else f"conv2d_{options.pass_name}"
        if options.plan or options.packed:
            called = "a reused plan" + (" and packed weights" if options.packed else "")
        load = f"load average {self._load:.2f} at the start"
        peers = ", ".join(f"{peer.name} {peer.version}" for peer in self._peers) or "none"
        return [
            f"{options.pass_name}, {options.dtype}, {threads}, {processor()}, {load}",
            f"cgconv {__version__}: {called}, {options.layout}, {show_config('dicts')['isa']}; peers: {peers}",
            self._machine.source,
        ]

    def _complain(self, subject: str, reason: str) -> None:
        self.failed = True
        print(f"cgconv: {subject}: {reason}", file=sys.stderr, flush=True)


def _check_target(option: str, path: str | None) -> None:
    """Refuses a file that could not be written after all the work."""
    if path is not None and (Path(path).is_dir() or not Path(path).parent.is_dir()):
        raise UsageError(f"--{option} {path}: {'a folder' if Path(path).is_dir() else 'there is no such folder'}")
