"""Verifies what the contenders compute, then times them in turn. It must not know any of them, nor tables."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .case import Call, Cannot, Case, Contender
from .memory import Peak, peak_growth
from .problems import Problem
from .truth import Wrong, bound, check, check_bits

__all__ = ["Outcome", "measure"]

_FILL = 0.05  # seconds of calls in a round
_PAUSE = 0.005  # before a turn: the threads of whoever was before go to sleep


@dataclass
class Outcome:
    """What came of one problem: by contender the median time of a call in seconds, and what there is to say."""

    problem: Problem
    nbytes: int
    floor: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    growth: dict[str, Peak] = field(default_factory=dict)
    """The memory that preparing a call and calling once takes, the result included."""
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
    with peak_growth() as outcome.growth[ours.name]:
        call = getattr(ours, pass_name)(case)
        result = call.run()
    found = call.result(result)
    check_bits(case, pass_name, found)
    within = bound(case, pass_name)
    calls = {ours.name: call}
    for peer in peers:
        try:
            with peak_growth() as outcome.growth[peer.name]:
                call = _prepared(peer, pass_name, case)
                result = call.run()
            check(call.result(result), found, within)
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


def _prepared(peer: Contender, pass_name: str, case: Case) -> Call:
    prepare = getattr(peer, pass_name, None)
    if prepare is None:
        raise Cannot("no gradients")
    call: Call = prepare(case)
    return call


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
