"""The outputs of `cgconv apply`: files that are whole or not there, bounded memory, and what the user is told.

It must not know what the results are.
"""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from PIL import Image

import cgconv
from cgconv.command import batch
from cgconv.command.images import Source
from command_line import Terminal, colours, files, identity, runner, save_image


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


# ---- the output folder --------------------------------------------------------------------------------------------


def test_a_result_that_exists_is_replaced_only_when_told(run, tmp_path):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "b.png")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "a.edges.png").write_text("precious")
    command = ("apply", "edges", "a.png", "b.png", "--out", "r", "--save", "both")
    status, out, err = run(*command)
    assert status == 1 and out.startswith("1 done, 1 refused; ")
    assert err == f"cgconv: a.png: {os.path.join('r', 'a.edges.png')} exists; --overwrite replaces it\n"
    assert (tmp_path / "r" / "a.edges.png").read_text() == "precious"
    assert files(tmp_path / "r") == ["a.edges.png", "b.edges.npy", "b.edges.png"]
    assert run(*command, "--overwrite")[0] == 0
    assert Image.open(tmp_path / "r" / "a.edges.png").format == "PNG"


def test_a_result_never_replaces_an_input(run, tmp_path):
    precious = np.ones((4, 4))
    np.save(tmp_path / "a.npy", precious)
    np.save(tmp_path / "a.edges.npy", precious)
    status, out, err = run("apply", "edges", "a.npy", "a.edges.npy", "--out", ".", "--save", "npy", "--overwrite")
    assert status == 1 and out.startswith("1 done, 1 refused; ")
    assert "a.npy: its result would replace a.edges.npy, which is an input too" in err
    np.testing.assert_array_equal(np.load(tmp_path / "a.edges.npy"), precious)


def test_results_may_lie_beside_their_inputs(run, tmp_path):
    save_image(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    assert run("apply", "edges", "a.png", "--out", ".")[0] == 0
    assert files(tmp_path) == ["a.edges.png", "a.png"] and (tmp_path / "a.png").read_bytes() == before


def test_a_failing_encoder_leaves_nothing_and_the_others_go_on(run, tmp_path, monkeypatch):
    draw = batch.draw_sheet

    def failing(file, original, responses, white):
        if original.label == "b.png":
            file.write(b"\x89PNG half of a picture")
            raise OSError(28, "No space left on device")
        draw(file, original, responses, white)

    monkeypatch.setattr(batch, "draw_sheet", failing)
    for name in "abc":
        save_image(tmp_path / f"{name}.png")
    status, out, err = run("apply", "edges", "a.png", "b.png", "c.png", "--out", "r")
    assert status == 1 and out.startswith("2 done, 1 refused; ")
    assert err == "cgconv: b.png: the result cannot be written: [Errno 28] No space left on device\n"
    assert files(tmp_path / "r") == ["a.edges.png", "c.edges.png"]


@pytest.mark.parametrize("large", [0, batch._LARGE])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("place", ["draw_sheet", "_convolve"])
def test_an_interruption_leaves_whole_files_only(run, tmp_path, monkeypatch, place, threads, large):
    monkeypatch.setattr(batch, "_LARGE", large)
    original = getattr(batch, place)
    calls = []

    def interrupted(*arguments, **options):
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(batch, place, interrupted)
    for number in range(40):
        save_image(tmp_path / "in" / f"{number}.png")
    status, out, err = run("apply", "edges", "in", "--out", "r", "--threads", threads)
    assert (status, out, err) == (130, "", "cgconv: interrupted\n")
    written = files(tmp_path / "r")
    assert len(written) < 40
    for name in written:
        Image.open(tmp_path / "r" / name).load()


def test_a_signal_interrupts_another_process_cleanly(tmp_path):
    np.save(tmp_path / "0.npy", np.random.default_rng(8).random((300, 300, 3), dtype=np.float32))
    for number in range(1, 300):
        os.link(tmp_path / "0.npy", tmp_path / f"{number}.npy")
    command = [sys.executable, "-m", "cgconv", "apply", "gaussian", *(f"{n}.npy" for n in range(300)), "--out", "r"]
    # A shell that runs the tests in the background has them ignore the signal, and the process would inherit that.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, previous)
    while process.poll() is None and not list(tmp_path.glob("r/[0-9]*.png")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "cgconv: interrupted\n")
    written = files(tmp_path / "r")
    assert 0 < len(written) < 300
    for name in written:
        assert re.fullmatch(r"\d+\.gaussian\.png", name)
        Image.open(tmp_path / "r" / name).load()


# ---- many images --------------------------------------------------------------------------------------------------


def concurrent(monkeypatch, owner, name):
    """Watches a function; gives a list of how many calls were under way as each began."""
    original, under_way, counts, lock = getattr(owner, name), [], [], threading.Lock()

    def watched(*arguments):
        with lock:
            under_way.append(None)
            counts.append(len(under_way))
        try:
            return original(*arguments)
        finally:
            under_way.pop()

    monkeypatch.setattr(owner, name, watched)
    return counts


@pytest.mark.parametrize("large", [0, batch._LARGE])
def test_any_number_of_threads_writes_the_same_files(run, tmp_path, monkeypatch, large):
    monkeypatch.setattr(batch, "_LARGE", large)
    for number in range(12):
        save_image(tmp_path / "in" / f"{number}.png", colours(8 + number, 40, number))
    for threads in (1, 2, 5, 30):
        assert run("apply", "gabor", "in", "--out", f"r{threads}", "--save", "both", "--threads", threads)[0] == 0
        assert len(files(tmp_path / f"r{threads}")) == 24
        for name in files(tmp_path / "r1"):
            assert (tmp_path / f"r{threads}" / name).read_bytes() == (tmp_path / "r1" / name).read_bytes()


@pytest.mark.parametrize("large", [0, batch._LARGE])
def test_there_are_as_many_pictures_in_memory_as_threads(run, tmp_path, monkeypatch, large):
    monkeypatch.setattr(batch, "_LARGE", large)
    read, together, pictures, counts = Source.read, threading.Barrier(3), [], []

    def watched(*arguments):
        together.wait(60)  # until the other two workers stand here, their last pictures gone
        counts.append(sum(each() is not None for each in pictures))
        together.wait(60)
        picture = read(*arguments)
        pictures.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(Source, "read", watched)
    identity(tmp_path / "id.npz", 3)
    for number in range(60):  # every other one has too few channels
        pixels = colours(8, 8)
        save_image(tmp_path / "in" / f"{number}.png", pixels if number % 2 else pixels[:, :, 0])
    status, out, _ = run("apply", "id.npz", "in", "--out", "r", "--threads", 3)
    assert status == 1 and out.startswith("30 done, 30 refused; ")
    assert counts == [0] * 60


def test_one_slow_input_keeps_only_one_thread(run, tmp_path, monkeypatch):
    others_are_done = threading.Event()
    read, draw, drawn = Source.read, batch.draw_sheet, []

    def slow(source, array_format):
        if source.stem == "00":
            assert others_are_done.wait(60)
        return read(source, array_format)

    def counted(*arguments):
        draw(*arguments)
        drawn.append(None)
        if len(drawn) == 19:
            others_are_done.set()

    monkeypatch.setattr(Source, "read", slow)
    monkeypatch.setattr(batch, "draw_sheet", counted)
    for number in range(20):
        save_image(tmp_path / "in" / f"{number:02}.png", colours(8, 8))
    assert run("apply", "edges", "in", "--out", "r", "--threads", 2)[0] == 0
    assert len(files(tmp_path / "r")) == 20


@pytest.mark.parametrize(("threads", "inputs", "share"), [(1, 3, 1), (3, 3, 1), (3, 7, 1), (5, 2, 2), (4, 1, 4)])
def test_inputs_share_the_threads(run, tmp_path, monkeypatch, threads, inputs, share):
    convolve, shares = batch._convolve, []
    monkeypatch.setattr(batch, "_convolve", lambda *a: shares.append(a[2]) or convolve(*a))
    for number in range(inputs):
        save_image(tmp_path / "in" / f"{number}.png")
    assert run("apply", "edges", "in", "--out", "r", "--threads", threads)[0] == 0
    assert shares == [share] * inputs


def test_without_threads_they_are_those_of_the_library(run, tmp_path, monkeypatch, restored_num_threads):
    convolve, shares = batch._convolve, []
    monkeypatch.setattr(batch, "_convolve", lambda *a: shares.append(a[2]) or convolve(*a))
    save_image(tmp_path / "a.png")
    cgconv.set_num_threads(3)
    assert run("apply", "edges", "a.png", "--out", "r")[0] == 0
    assert shares == [cgconv.get_num_threads()]


def test_large_responses_are_made_one_after_the_other_by_all_threads(run, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_LARGE", 8 * 9 * 15 * 4)
    convolve, shares = batch._convolve, {}
    monkeypatch.setattr(batch, "_convolve", lambda *a: shares.update({a[0].array.shape: a[2]}) or convolve(*a))
    for width in range(1, 17):
        np.save(tmp_path / f"{width}.npy", colours(8, width))
    inputs = [f"{width}.npy" for width in range(1, 17)]
    assert run("apply", "edges", *inputs, "--out", "r", "--save", "npy", "--threads", 3)[0] == 0
    assert shares == {(8, width, 3): 1 if width < 9 else 3 for width in range(1, 17)}
    monkeypatch.setattr(batch, "_LARGE", 0)
    counts = concurrent(monkeypatch, batch.Batch, "_make")
    assert run("apply", "edges", *inputs, "--out", "r", "--overwrite", "--threads", 3)[0] == 0
    assert counts == [1] * 16


@pytest.mark.parametrize("threads", [1, 2])
def test_the_last_line_counts_images_and_operations(run, tmp_path, monkeypatch, threads):
    shape = (10, 80, 120, 3)
    np.save(tmp_path / "x.npy", np.ones(shape, np.float32))
    # Every look at a clock is a second later. One is looked at around the whole, the other around the convolution.
    for clock in ("perf_counter", "thread_time"):
        monkeypatch.setattr(time, clock, itertools.count().__next__)
    status, out, _ = run(
        "apply", "edges", "x.npy", "--format", "NHWC", "--out", "r", "--save", "npy", "--threads", threads
    )
    plan = cgconv.Plan(shape, (15, 1, 3, 3), padding=1, groups=3, layout="NHWC", threads=threads)
    speed = 2 * 9 * (10 * 80 * 120 * 15) / plan.passes["forward"].threads / 1e9
    expected = f"10 images/s; the convolution alone {speed:.3g} GFLOP/s a thread"
    assert (status, out) == (0, f"1 done, 0 refused; {expected}\n")


def test_quiet_says_only_what_went_wrong(run, tmp_path):
    save_image(tmp_path / "a.png")
    assert run("apply", "edges", "a.png", "--out", "r", "--quiet") == (0, "", "")
    status, out, err = run("apply", "edges", "gone.png", "--out", "r", "--quiet")
    assert (status, out, err) == (1, "", "cgconv: gone.png: no such file or folder\n")


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_gets_a_bar_and_whole_lines(run, tmp_path, monkeypatch, quiet):
    for name in ("a.png", "b.png"):
        save_image(tmp_path / name)
    (tmp_path / "bad.png").write_text("bad")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("apply", "edges", "a.png", "bad.png", "b.png", "--out", "r", *["--quiet"][: int(quiet)])[0] == 1
    said = terminal.getvalue()
    assert ("| 0/3 [" in said) is not quiet
    assert [line for line in re.split(r"[\r\n]", said) if line.startswith("cgconv: bad.png: not an")]


