"""What the tests of `cgconv bench` share: a tiny problem, options that leave nothing to probe, and peers of our own.

It must not know any test.
"""

import numpy as np

import cgconv
from cgconv.command.bench.case import Call, Cannot
from cgconv.command.bench.problems import find_problems

TINY = "name=tiny c=4 h=6 w=5 groups=2 filters_per_group=3 k=3 pad=1"
GIVEN = ("--peak-gflops", "100", "--bandwidth-gbs", "10", "--rounds", "1")


def problem(words):
    return find_problems([words], [])[0]


class Friend:
    """A peer that computes what it is told."""

    version = "1"

    def __init__(self, name, compute):
        self.name = name
        self._compute = compute

    def forward(self, case):
        return Call(lambda: self._compute(case), lambda y: y)


def in_float64(case):
    return cgconv.conv2d(np.float64(case.x), np.float64(case.weight), **case.problem.keywords).astype(case.dtype)


def flipped(case):
    return cgconv.conv2d(case.x, case.weight[..., ::-1, ::-1], **case.problem.keywords)


def cannot(case):
    raise Cannot("no luck")
