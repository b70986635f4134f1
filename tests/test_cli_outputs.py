"""The outputs of `cgconv apply`: files that are whole or not there, bounded memory, and what the user is told.

It must not know what the results are.
"""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from cgconv.command import batch
from cgconv.command.images import Source
from command_line import Terminal, colours, edges_of, files, runner, save_image


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


@pytest.mark.parametrize("place", ["draw_sheet", "conv2d"])
def test_an_interruption_leaves_whole_files_only(run, tmp_path, monkeypatch, place):
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
    status, out, err = run("apply", "edges", "in", "--out", "r", "--threads", 1)
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
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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


def test_reading_and_writing_stay_a_few_images_beside_the_convolution(run, tmp_path, monkeypatch):
    read, written, ahead, behind = [], [], [], []
    source_read, batch_write, conv2d = Source.read, batch.Batch._write, batch.conv2d
    monkeypatch.setattr(Source, "read", lambda *a: read.append(None) or source_read(*a))
    monkeypatch.setattr(batch.Batch, "_write", lambda *a: (batch_write(*a), written.append(None))[0])

    def watched(*arguments, **options):
        ahead.append(len(read) - len(ahead))
        behind.append(len(behind) - len(written))
        return conv2d(*arguments, **options)

    monkeypatch.setattr(batch, "conv2d", watched)
    for number in range(60):
        save_image(tmp_path / "in" / f"{number}.png", colours(8, 8))
    assert run("apply", "edges", "in", "--out", "r")[0] == 0
    assert len(read) == len(ahead) == len(written) == 60
    assert max(ahead) <= batch._AHEAD + 1
    assert max(behind) <= batch._WORKERS + 1


def test_large_responses_wait_for_each_other(run, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_WAITING_BYTES", 0)
    for number in range(6):
        save_image(tmp_path / "in" / f"{number}.png", colours(8, 8, number))
    assert run("apply", "edges", "in", "--out", "r", "--save", "npy")[0] == 0
    for number in range(6):
        response = np.load(tmp_path / "r" / f"{number}.edges.npy")
        np.testing.assert_array_equal(response, edges_of(colours(8, 8, number)))


def test_the_last_line_counts_images_and_operations(run, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.ones((10, 8, 12, 3), np.float32))
    np.save(tmp_path / "y.npy", np.ones((10, 8, 12, 3), np.float32))
    # Every look at the clock is a second later. It is looked at twice for the whole and twice for each convolution.
    seconds = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    status, out, _ = run("apply", "edges", "x.npy", "y.npy", "--format", "NHWC", "--out", "r", "--save", "npy")
    flop = 2 * 9 * (10 * 8 * 12 * 15)
    expected = f"{20 / 5:.3g} images/s; the convolution alone {20 / 2:.3g} images/s, {flop / 1e9:.3g} GFLOP/s"
    assert (status, out) == (0, f"2 done, 0 refused; {expected}\n")


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


