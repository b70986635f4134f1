"""Verifies what the contenders compute, then times them in turn. It must not know any of them, nor tables.

A result is right if it differs from ours by no more than rounding can: each of the two sums of K products may be off
by K * eps / 2 times the sum of their absolute values, in whatever order it was added up. Ours must have the bits of
the reference.
"""
from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import conv2d
from .case import Call, Cannot, Case, Contender
from .problems import Problem

__all__ = ["Outcome", "Wrong", "measure"]

_FILL = 0.05  # seconds of calls in a round
_PAUSE = 0.005  # before a turn: the threads of whoever was before go to sleep
_REFERENCE_FLOPS = 20_000_000  # what the reference, which is slow, is asked to compute of a problem


class Wrong(Exception):
    """A result is not the convolution. The text says how far it is off."""


@dataclass
class Outcome:
    """What came of one problem: by contender the median time of a call in seconds, and what there is to say."""

    problem: Problem
    nbytes: int
    floor: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """The contenders that failed or computed something else; a note says what."""

    @property
    def rate(self) -> dict[str, float]:
        """GFLOP/s of those that were timed."""
        return {name: self.problem.flops / seconds * 1e-9 for name, seconds in self.seconds.items()}

    @property
    def best_peer(self) -> str | None:
        peers = list(self.seconds)[1:]
        return min(peers, key=self.seconds.__getitem__) if peers else None

    @property
    def ratio(self) -> float | None:
        """The time of the best peer in times of ours: above 1 we are faster."""
        ours = next(iter(self.seconds), None)
        return self.seconds[self.best_peer] / self.seconds[ours] if self.best_peer and ours else None


def measure(
    case: Case, pass_name: str, ours: Contender, peers: Iterable[Contender], rounds: int, seconds: float = _FILL
) -> Outcome:
    """Verifies all and times those that are right. Raises Wrong if ours is not, and then times nobody."""
    outcome = Outcome(case.problem, case.problem.cells * case.dtype.itemsize)
    call = getattr(ours, pass_name)(case)
    y = call.result(call.run())
    _check_bits(case, y)
    bound = _bound(case)
    calls = {ours.name: call}
    for peer in peers:
        try:
            call = getattr(peer, pass_name)(case)
            _check(call.result(call.run()), y, bound)
        except Cannot as error:
            outcome.notes[peer.name] = str(error)
        except Wrong as error:
            outcome.wrong.append(peer.name)
            outcome.notes[peer.name] = f"wrong: {error}"
        except Exception as error:  # other libraries raise nearly anything
            outcome.wrong.append(peer.name)
            outcome.notes[peer.name] = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
        else:
            calls[peer.name] = call
            if call.note:
                outcome.notes[peer.name] = call.note
    outcome.seconds = _in_turn(calls, rounds, seconds)
    return outcome


def _check_bits(case: Case, y: np.ndarray) -> None:
    """Compares the last image with the reference: of its last groups, or else of the last filters, a few."""
    problem = case.problem
    filters = problem.filters_per_group
    per_channel = 2 * problem.terms * math.prod(problem.y_shape[2:])
    channels = min(max(1, _REFERENCE_FLOPS // per_channel), filters * problem.groups)
    groups = max(1, channels // filters)
    channels = groups * filters if channels >= filters else channels
    x = case.x[-1:, -groups * (problem.c // problem.groups) :]
    keywords = {**problem.keywords, "groups": groups, "threads": case.threads, "algorithm": "reference"}
    expected = conv2d(x, case.weight[-channels:], **keywords)
    found = np.ascontiguousarray(y[-1:, -channels:])
    if found.shape != expected.shape or found.dtype != expected.dtype or found.tobytes() != expected.tobytes():
        raise Wrong("ours does not have the bits of the reference")


def _bound(case: Case) -> np.ndarray:
    """How far two right results may lie apart, for each output."""
    keywords = {**case.problem.keywords, "threads": case.threads}
    if not isinstance(case.problem.padding_value, str):
        keywords["padding_value"] = abs(case.problem.padding_value)
    largest: np.ndarray = conv2d(np.abs(case.x), np.abs(case.weight), **keywords)
    largest *= case.problem.terms * np.finfo(case.dtype).eps
    return largest


def _check(found: Any, y: np.ndarray, bound: np.ndarray) -> None:
    if found.shape != y.shape or found.dtype != y.dtype:
        raise Wrong(f"{found.dtype} {found.shape} instead of {y.dtype} {y.shape}")
    off = np.abs(found - y)
    wrong = ~(off <= bound)  # so that NaN is wrong
    if wrong.any():
        where = np.unravel_index(int(np.argmax(np.where(wrong, off, -1))), y.shape)
        share = f"{wrong.mean():.2%} of the outputs are"
        raise Wrong(f"{share} off, one by {off[where]:.3g} where rounding explains {bound[where]:.3g}")


def _in_turn(calls: Mapping[str, Call], rounds: int, seconds: float) -> dict[str, float]:
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(_PAUSE)
            samples[name] += _fill(call.run, seconds)
    return {name: statistics.median(times) for name, times in samples.items()}


def _fill(run: Callable[[], Any], seconds: float) -> list[float]:
    """The times of as many calls as fill the time; one before them brings back code, data and threads."""
    run()
    clock, times, spent = time.perf_counter, [], 0.0
    while spent < seconds:
        start = clock()
        run()
        times.append(clock() - start)
        spent += times[-1]
    return times
