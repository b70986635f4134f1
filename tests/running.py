"""How a problem is put to the library: its arrays laid in memory as it says, a plan, and the three passes.

It must not know the right answers.
"""

import itertools

import numpy as np

import cgconv

PASSES = ("forward", "backward_input", "backward_weight")
CONFIG = cgconv.show_config("dicts")
ISAS = tuple(isa for isa in CONFIG["isa_alternatives"] if isa != "nofma")  # nofma rounds twice, see test_bits.py
THREADS = (1, 2, 3)

POISON = -12345.0


def layout(p):
    return {"H": "SSCB", "N": "NHWC" if "NHWC" in p.memory else "NCHW"}[p.memory[0]]


def place(p, a):
    """The array `a`, which is N x C x H x W, as one of the layout of p that lies in memory as p says."""
    n, c, h, w = a.shape
    memory = p.memory
    if memory == "NCHW crop":
        whole = np.full((n, c, h + 3, w + 5), POISON, a.dtype)
        placed = whole[:, :, 1 : 1 + h, 2 : 2 + w]
        placed[...] = a
    elif memory == "NHWC crop":
        whole = np.full((n, h + 2, w + 3, c + 4), POISON, a.dtype)
        placed = whole[:, 1 : 1 + h, 2 : 2 + w, 3 : 3 + c]
        placed[...] = a.transpose(0, 2, 3, 1)
    elif memory == "NCHW flipped":
        placed = np.ascontiguousarray(a[:, :, ::-1])[:, :, ::-1]
    elif memory == "NCHW in column-major order":
        placed = np.asfortranarray(a)
    elif memory == "HWCN in column-major order":
        placed = np.asfortranarray(a.transpose(2, 3, 1, 0))
    elif memory == "NHWC with rows and columns exchanged":
        placed = np.ascontiguousarray(a.transpose(0, 3, 2, 1)).transpose(0, 2, 1, 3)
    elif memory == "NHWC":
        placed = np.ascontiguousarray(a.transpose(0, 2, 3, 1))
    else:
        placed = np.ascontiguousarray(a)
    return placed


def nchw(p, a):
    """An array of the layout of p as N x C x H x W."""
    return a.transpose({"SSCB": (3, 2, 0, 1), "NHWC": (0, 3, 1, 2), "NCHW": (0, 1, 2, 3)}[layout(p)])


def make_plan(p, **options):
    """The plan of p for arrays that lie as `place` lays them. The options are isa, algorithm and threads."""
    x, y = (place(p, np.empty(shape, p.dtype)) for shape in (p.x_shape, p.y_shape))
    keywords = {
        "layout": layout(p),
        "clamp": p.clamp,
        "dtype": p.dtype,
        "x_strides": x.strides,
        "y_strides": y.strides,
    }
    return cgconv.Plan(x.shape, p.weight_shape, **p.geometry, **keywords, **options)


def every_way(p, which, isas=ISAS, threads=THREADS):
    """(isa, algorithm, threads) of every different way to run this pass, of those that the plans themselves name."""
    for isa in isas:
        for algorithm in make_plan(p, isa=isa).passes[which].algorithms:
            counts = {make_plan(p, isa=isa, algorithm=algorithm, threads=n).passes[which].threads for n in threads}
            yield from itertools.product([isa], [algorithm], sorted(counts))


def run(p, which, x, weight, bias, dy, plan=None, **options):
    """The results of one pass, a tuple of N x C x H x W arrays, or dw and db. Arrays it does not read may be None."""
    plan = plan or make_plan(p, **options)
    if which == "backward_weight":
        return plan.backward_weight(place(p, x), place(p, dy))
    if which == "forward":
        out, given = place(p, np.full(p.y_shape, POISON, p.dtype)), (place(p, x), weight, bias)
    else:
        out, given = place(p, np.full(p.x_shape, POISON, p.dtype)), (place(p, dy), weight)
    whole = out.base
    assert getattr(plan, which)(*given, out=out) is out
    result = nchw(p, out).copy()
    if "crop" in p.memory:
        out[...] = POISON
        assert np.all(whole == POISON), f"{p!r} {which} {options} wrote outside its crop"
    return (result,)
