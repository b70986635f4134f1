"""Threads and processes: any number of them gives the same bits, and none of them hangs.

What depends on the environment or on fork() runs in a process of its own, with a time limit as a guard.
"""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cgconv
from problems import Problem, arrays, assert_same_bits
from running import CONFIG, ISAS, PASSES, make_plan, run

OPENMP = CONFIG["threading"] == "openmp"
needs_openmp = pytest.mark.skipif(not OPENMP, reason="this build has no OpenMP")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")

LARGE = [
    Problem(name="channel-wise", n=3, c=32, g=32, h=57, w=59, kh=5, kw=5, pt=2, pb=2, pl=2, pr=2, mode="replicate"),
    Problem(name="grouped", n=2, c=24, g=3, f=16, h=33, w=31, sh=2, pt=1, pb=1, pl=1, pr=1),
    Problem(name="dense 1x1", c=64, f=48, h=30, w=31, kh=1, kw=1),
    Problem(name="more weights than pixels", c=64, f=136, h=9, w=7, pt=1, pb=1, pl=1, pr=1),
    Problem(name="more weights than pixels, 1x1", c=512, f=272, h=7, w=7, kh=1, kw=1),
    Problem(name="one plane", c=1, f=2, h=500, w=501, dh=3, mode="circular", pt=3, pb=3),
]


def in_a_new_process(script, **environment):
    """What the script prints. A process that hangs is ended after two minutes, and fails the test."""
    cleared = {k: v for k, v in os.environ.items() if not k.startswith(("CGCONV_", "OMP_"))}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**cleared, **environment},
        cwd=os.path.dirname(__file__),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# ---- the same bits -----------------------------------------------------------------------------------------


@needs_openmp
@pytest.mark.parametrize("p", LARGE, ids=lambda p: p.name)
@pytest.mark.parametrize("memory", ["NCHW", "NHWC"])
@pytest.mark.parametrize("which", PASSES)
def test_any_number_of_threads_gives_the_same_bits(p, memory, which):
    p = p.but(memory=memory)
    data = arrays(p)
    alone = run(p, which, *data, threads=1)
    for threads in (2, 3, 8):
        assert make_plan(p, threads=threads).passes[which].threads == threads
        for a, b in zip(run(p, which, *data, threads=threads), alone, strict=True):
            assert_same_bits(a, b, p, which, f"{threads=}")


def test_the_functions_take_a_number_of_threads():
    p = LARGE[1]
    x, weight, bias, dy = arrays(p)
    for threads in (1, 2, 3):
        more = {**p.geometry, "threads": threads}
        results = (
            cgconv.conv2d(x, weight, bias, **more),
            cgconv.conv2d_backward_input(dy, weight, x.shape, **more),
            *cgconv.conv2d_backward_weight(x, dy, weight.shape, **more),
        )
        wanted = [a for which in PASSES for a in run(p, which, x, weight, bias, dy, threads=1)]
        for a, b in zip(results, wanted, strict=True):
            assert_same_bits(a, b, f"{threads=}")


def test_work_too_small_to_share_is_planned_for_one_thread():
    p = Problem(c=4, g=4, h=6, w=6)
    assert {info.threads for info in make_plan(p, threads=8).passes.values()} == {1}


def test_the_number_of_threads_can_be_set_and_set_back(restored_num_threads):
    default = cgconv.get_num_threads()
    for n in (1, 3):
        cgconv.set_num_threads(n)
        assert cgconv.get_num_threads() == (n if OPENMP else 1)
        assert make_plan(LARGE[0]).passes["forward"].threads == (n if OPENMP else 1)
    cgconv.set_num_threads(None)
    assert cgconv.get_num_threads() == default


# ---- several callers at once -------------------------------------------------------------------------------


def all_at_once(function, count=8):
    """function(0), function(1) ... in as many threads that start together."""
    start = threading.Barrier(count)

    def call(i):
        start.wait(60)
        return function(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("p", LARGE[:3], ids=lambda p: p.name)
def test_one_plan_serves_many_callers_at_once(p, threads):
    plan = make_plan(p, threads=threads)
    data = [arrays(p, seed) for seed in range(8)]
    wanted = [[run(p, which, *d, plan=plan) for which in PASSES] for d in data]

    def work(i):
        return [[run(p, which, *data[i], plan=plan) for which in PASSES] for _ in range(3)]

    for want, rounds in zip(wanted, all_at_once(work), strict=True):
        for got in rounds:
            for a, b in zip(sum(got, ()), sum(want, ()), strict=True):
                assert_same_bits(a, b, p)


def test_one_layer_serves_many_callers_at_once():
    rng = np.random.default_rng(0)
    layer = cgconv.GroupedConvolution2DLayer(3, 4, 3, padding="same", padding_value="circular", seed=1)
    xs = [rng.standard_normal((2, 6, 8 + 2 * (i % 3), 9)).astype(np.float32) for i in range(8)]
    layer.initialize(xs[0].shape)
    ys = [layer(x) for x in xs]
    gradients = [layer.backward(x, y) for x, y in zip(xs, ys, strict=True)]

    def work(i):
        return [(layer(xs[i]), layer.backward(xs[i], ys[i])) for _ in range(20)]

    for y, gradient, rounds in zip(ys, gradients, all_at_once(work), strict=True):
        for got, got_gradient in rounds:
            assert_same_bits(got, y)
            assert_same_bits(got_gradient.input, gradient.input)
            assert_same_bits(got_gradient.weights, gradient.weights)
            assert_same_bits(got_gradient.bias, gradient.bias)


def test_a_layer_that_many_callers_use_first_is_initialised_once():
    x = np.random.default_rng(0).standard_normal((1, 6, 9, 9)).astype(np.float32)
    for _ in range(20):
        layer = cgconv.GroupedConvolution2DLayer(3, 4, "channel-wise")
        results = all_at_once(lambda _, layer=layer: layer(x))
        for y in results:
            assert_same_bits(y, layer(x))


def test_plans_are_made_in_many_threads_at_once():
    def work(i):
        p = LARGE[i % 3].but(h=20 + i)
        return make_plan(p).output_shape == p.y_shape

    assert all(all_at_once(work))


# ---- fork --------------------------------------------------------------------------------------------------

FORK = """
    import os, sys, time
    import numpy as np
    import cgconv
    x = np.random.default_rng(0).standard_normal((4, 16, 64, 64)).astype(np.float32)
    weight = np.ones((16, 1, 3, 3), np.float32)

    def convolve():
        y = cgconv.conv2d(x, weight, groups=16, threads=2)
        return y, cgconv.conv2d_backward_input(y, weight, x.shape, groups=16, threads=2)

    def in_a_child(work):
        child = os.fork()
        if child == 0:
            os._exit(0 if work() else 1)
        for _ in range(600):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.1)
        os.kill(child, 9)
        sys.exit("the child hangs")

    def same(a, b):
        return all(map(np.array_equal, a, b))
"""


@needs_fork
def test_a_child_forked_after_a_run_on_threads_gets_the_same_bits():
    script = FORK + """
    want = convolve()
    ok = in_a_child(lambda: same(convolve(), want))
    print(ok, same(convolve(), want))
    """
    assert in_a_new_process(script) == "True True"


@needs_fork
def test_a_child_forked_before_the_first_run_gets_the_same_bits():
    script = FORK + """
    ok = in_a_child(lambda: same(convolve(), convolve()))
    print(ok, same(convolve(), convolve()))
    """
    assert in_a_new_process(script) == "True True"


@needs_fork
def test_a_child_has_one_thread_and_a_plan_of_its_parent():
    script = FORK + """
    plan = cgconv.Plan(x.shape, weight.shape, groups=16, threads=2)
    want = plan.forward(x, weight)
    print(in_a_child(lambda: cgconv.get_num_threads() == 1 and np.array_equal(plan.forward(x, weight), want)))
    """
    assert in_a_new_process(script) == "True"


@needs_fork
def test_a_pool_of_forked_processes_works():
    script = FORK + """
    import multiprocessing
    want = convolve()

    def work(_):
        return same(convolve(), want)

    with multiprocessing.get_context("fork").Pool(3) as pool:
        print(all(pool.map_async(work, range(9)).get(timeout=60)))
    """
    assert in_a_new_process(script) == "True"


# ---- settings from outside ---------------------------------------------------------------------------------

COUNT = "import cgconv; print(cgconv.get_num_threads())"


@needs_openmp
@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"CGCONV_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"CGCONV_NUM_THREADS": "4", "OMP_NUM_THREADS": "2"}, 4),
        ({"CGCONV_NUM_THREADS": "1"}, 1),
    ],
)
def test_the_environment_sets_the_number_of_threads(environment, count):
    assert in_a_new_process(COUNT, **environment) == str(count)


@needs_openmp
@pytest.mark.parametrize("nonsense", ["", "0", "-2", "many", "3 or 4", "1e2", "99999999999999999999999"])
def test_a_senseless_number_of_threads_in_the_environment_does_no_harm(nonsense):
    count = int(in_a_new_process(COUNT, CGCONV_NUM_THREADS=nonsense, OMP_NUM_THREADS="2"))
    assert count == (1024 if nonsense.startswith("999") else 2)


@needs_openmp
@pytest.mark.skipif(sys.platform != "linux", reason="the loaded OpenMP runtime is found through /proc")
def test_a_limit_put_on_openmp_at_run_time_is_kept_to():
    script = """
        import ctypes, re
        import cgconv
        maps = open("/proc/self/maps").read()
        (runtime,) = set(re.findall(r"(/\\S*lib(?:gomp|omp|iomp)\\S*)", maps))
        openmp = ctypes.CDLL(runtime)
        before = cgconv.get_num_threads()
        openmp.omp_set_num_threads(1)
        limited = cgconv.get_num_threads()
        openmp.omp_set_num_threads(before)
        print(before, limited, cgconv.get_num_threads())
    """
    assert in_a_new_process(script, OMP_NUM_THREADS="4") == "4 1 4"


@needs_openmp
def test_a_limit_by_threadpoolctl_is_kept_to():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    p = LARGE[0]
    data = arrays(p)
    want = run(p, "forward", *data, threads=2)
    with threadpoolctl.threadpool_limits(limits=1):
        assert cgconv.get_num_threads() == 1
        assert_same_bits(run(p, "forward", *data, threads=2)[0], want[0], p)


@pytest.mark.parametrize("isa", CONFIG["isa_alternatives"])
def test_the_environment_caps_the_instruction_set(isa):
    script = "import cgconv; print(cgconv.show_config('dicts')['isa'])"
    assert in_a_new_process(script, CGCONV_ISA=isa) == isa


def test_an_instruction_set_above_the_machine_caps_nothing():
    script = "import cgconv; print(cgconv.show_config('dicts')['isa'])"
    assert in_a_new_process(script, CGCONV_ISA="avx512") == in_a_new_process(script)


def test_the_bits_are_the_same_under_every_cap():
    script = """
        import hashlib, sys
        from problems import *
        from running import *
        seen = hashlib.sha256()
        for p in map(scaled_down, read_list()):
            for which in PASSES:
                for a in run(p, which, *arrays(p)):
                    seen.update(a.tobytes())
        print(seen.hexdigest())
    """
    assert len({in_a_new_process(script, CGCONV_ISA=isa) for isa in ISAS}) == 1


def test_an_unknown_instruction_set_is_an_error_that_names_it():
    script = """
        import cgconv
        try:
            cgconv.conv2d([[[1.0]]], [[[[1.0]]]])
        except ValueError as error:
            print(error)
    """
    assert "CGCONV_ISA=avx9" in in_a_new_process(script, CGCONV_ISA="avx9")
