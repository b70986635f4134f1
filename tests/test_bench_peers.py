"""The contenders of `cgconv bench`: verification catches those that are wrong, and every installed peer is right.

No assertion is about a time.
"""

import importlib.util
import sys

import numpy as np
import pytest

import cgconv
from benching import TINY, Friend, cannot, flipped, in_float64, problem
from cgconv.command.bench import peers
from cgconv.command.bench.case import PASSES, Case, Ours
from cgconv.command.bench.measure import measure
from cgconv.command.bench.truth import Wrong
from cgconv.command.usage import UsageError


@pytest.fixture(autouse=True)
def restored_openmp():
    """Peers are told how many threads to use, and tell the OpenMP that they may share with us: put that back."""
    if not importlib.util.find_spec("torch"):
        yield
        return
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# ---- verification --------------------------------------------------------------------------------------------------


def from_the_other_end(case):
    """The same sums in another order: the groups' channels reversed."""
    cg = case.weight.shape[1]
    x = case.x.reshape(case.x.shape[0], -1, cg, *case.x.shape[2:])[:, :, ::-1].reshape(case.x.shape)
    return cgconv.conv2d(x, case.weight[:, ::-1], **case.problem.keywords)


def without_one_tap(case):
    weight = case.weight.copy()
    weight[0, 0, 0, 0] = 0
    return cgconv.conv2d(case.x, weight, **case.problem.keywords)


def in_half_precision(case):
    return in_float64(case).astype("float16").astype(case.dtype)


def with_a_nan(case):
    y = in_float64(case)
    y[0, 0, 0, 0] = np.nan
    return y


def measured(friend, words=TINY, dtype="float32", layout="NCHW"):
    case = Case(problem(words), dtype, threads=1)
    return measure(case, "forward", Ours("0", layout, reuse_plan=False), [friend], rounds=1, seconds=1e-6)


@pytest.mark.parametrize("compute", [in_float64, from_the_other_end])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("words", [TINY, "c=64 h=9 w=9 filters_per_group=32 k=5 stride=2", "c=2 h=2 w=2 k=1 pad=3"])
def test_a_peer_that_only_rounds_otherwise_is_right(compute, layout, words):
    outcome = measured(Friend("friend", compute), words, layout=layout)
    assert outcome.wrong == [] and list(outcome.seconds) == ["cgconv", "friend"]


@pytest.mark.parametrize("compute", [flipped, without_one_tap, in_half_precision, with_a_nan])
def test_a_peer_that_computes_something_else_is_wrong_and_not_timed(compute):
    outcome = measured(Friend("friend", compute))
    assert outcome.wrong == ["friend"] and list(outcome.seconds) == ["cgconv"]
    assert outcome.notes["friend"].startswith("wrong: ") and "of the outputs are off" in outcome.notes["friend"]


def test_a_peer_that_gives_another_shape_or_type_is_wrong():
    narrow = measured(Friend("friend", lambda case: in_float64(case)[..., 1:]))
    assert narrow.notes["friend"] == "wrong: float32 (1, 6, 6, 4) instead of float32 (1, 6, 6, 5)"
    single = measured(Friend("friend", lambda case: in_float64(case).astype("float32")), dtype="float64")
    assert single.notes["friend"] == "wrong: float32 (1, 6, 6, 5) instead of float64 (1, 6, 6, 5)"


def test_a_peer_that_fails_is_noted_and_the_others_go_on():
    def fail(case):
        raise RuntimeError("out of\nluck")

    outcome = measured(Friend("friend", fail))
    assert outcome.notes == {"friend": "failed: RuntimeError: out of luck"}
    assert outcome.wrong == ["friend"] and outcome.best_peer is None and outcome.ratio is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how much memory was resident")
def test_the_memory_that_a_peer_takes_at_its_peak_is_measured():
    def with_a_lot(case):
        lot = np.ones(5 << 23, "uint8")
        return in_float64(case) * lot[0].astype(case.dtype)

    outcome = measured(Friend("friend", with_a_lot))
    assert outcome.growth["friend"].nbytes >= 1 << 25 > outcome.growth["cgconv"].nbytes


def test_a_peer_that_has_no_such_convolution_is_not_wrong():
    outcome = measured(Friend("friend", cannot))
    assert outcome.notes == {"friend": "no luck"} and outcome.wrong == []


@pytest.mark.parametrize("words", [TINY, "n=2 c=12 h=64 w=64 groups=2 filters_per_group=40 k=5 pad=2"])
def test_ours_is_refused_if_a_bit_of_the_last_output_is_off(words):
    def nearly(case):
        y = cgconv.conv2d(case.x, case.weight, **case.problem.keywords)
        y[-1, -1, -1, -1] = np.nextafter(y[-1, -1, -1, -1], np.float32(9), dtype="float32")
        return y

    case = Case(problem(words), "float32", threads=1)
    with pytest.raises(Wrong, match="bits of the reference"):
        measure(case, "forward", Friend("cgconv", nearly), [], rounds=1, seconds=1e-6)


def test_a_peer_without_gradients_is_not_wrong():
    case = Case(problem(TINY), "float32", threads=1)
    outcome = measure(case, "backward_input", Ours("0", "NCHW", False), [Friend("friend", cannot)], 1, seconds=1e-6)
    assert outcome.notes == {"friend": "no gradients"} and outcome.wrong == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pass_name", PASSES)
def test_a_plan_that_is_used_again_computes_the_same_as_the_function(pass_name, dtype):
    case = Case(problem(TINY), dtype, threads=1)
    ways = [Ours("0", layout, reuse) for layout in ("NCHW", "NHWC") for reuse in (False, True)]
    calls = [getattr(ours, pass_name)(case) for ours in ways]
    results = [np.ascontiguousarray(call.result(call.run())).tobytes() for call in calls]
    assert len(set(results)) == 1


# ---- peers ---------------------------------------------------------------------------------------------------------

EVERY_PEER = [pytest.param(name, marks=pytest.mark.skipif(
    importlib.util.find_spec(package) is None, reason=f"{package} is not installed"))
    for name, package in peers.KNOWN.items()]  # fmt: skip
SHAPES = [
    "c=8 h=9 w=7 groups=8 k=3 pad=1",
    "c=8 h=9 w=7 groups=8 filters_per_group=2 kh=3 kw=5 pad=2 stride_w=2",
    "c=6 h=12 w=11 groups=3 filters_per_group=4 kh=2 kw=3 pad_top=1 pad_right=2 dilation_h=2 stride=2",
    "c=300 h=5 w=6 filters_per_group=20 k=1",
    "n=3 c=4 h=8 w=9 groups=2 filters_per_group=2 k=3 pad=1",
    "c=32 h=15 w=15 filters_per_group=32 k=3 pad=1",
    *(f"c=3 h=13 w=17 groups=3 kh=5 kw=3 pad_top=2 pad_bottom=2 pad_left=1 pad_right=1 padding_value={value}"
      for value in (0, 1.5, "symmetric-include-edge", "symmetric-exclude-edge", "replicate", "circular")),
    "c=1 h=30 w=31 k=13 pad=6 padding_value=symmetric-exclude-edge",
]  # fmt: skip


@pytest.mark.parametrize("words", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pass_name", PASSES)
@pytest.mark.parametrize("name", EVERY_PEER)
def test_a_peer_computes_the_convolution_or_says_what_it_lacks(name, pass_name, dtype, words):
    case = Case(problem(words), dtype, threads=1)
    friends = peers.contenders((name,), 1)
    outcome = measure(case, pass_name, Ours("0", "NCHW", reuse_plan=False), friends, rounds=1, seconds=1e-6)
    assert outcome.wrong == [], outcome.notes
    for friend in friends:
        assert friend.name in outcome.seconds or outcome.notes[friend.name].startswith(("no ", "only "))


@pytest.mark.parametrize("name", EVERY_PEER)
def test_every_peer_has_a_problem_that_it_computes(name):
    words = "c=3 h=13 w=17 groups=3 k=3 pad=1"
    case = Case(problem(words), "float32", threads=1)
    for friend in peers.contenders((name,), 1):
        call = friend.forward(case)
        assert call.result(call.run()).shape == (1, 3, 13, 17)


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert peers.contenders(None, 1) == []
    with pytest.raises(UsageError) as refusal:
        peers.contenders(("ncnn",), 1)
    assert str(refusal.value) == 'the peer ncnn is not installed: pip install "cgconv[bench]"'


def test_a_peer_that_cannot_be_loaded_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    monkeypatch.setitem(sys.modules, "cgconv.command.bench.peers.ncnn", None)
    with pytest.raises(UsageError, match="the peer ncnn is installed but cannot be loaded: "):
        peers.contenders(("ncnn",), 1)
