"""The command line: what it computes, what it refuses to start with, and what it needs.

It must not know how a convolution is computed: the library's own answer is the standard.
"""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import cgconv
from cgconv import bank
from command_line import Terminal, colours, edges_of, files, runner, save_image


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


# ---- results ------------------------------------------------------------------------------------------------------


def test_the_array_of_an_image_has_the_bits_of_conv2d(run, tmp_path):
    pixels = colours()
    save_image(tmp_path / "a.png", pixels)
    status, _, err = run("apply", "edges", "a.png", "--out", "results", "--save", "npy")
    assert (status, err) == (0, "")
    assert files(tmp_path / "results") == ["a.edges.npy"]
    response = np.load(tmp_path / "results" / "a.edges.npy")
    layer = bank.filter_bank("edges", 3)
    expected = cgconv.conv2d(
        pixels.astype("float32"),
        layer.weights.transpose(4, 3, 2, 0, 1).reshape(15, 1, 3, 3),
        padding="same",
        padding_value="symmetric-include-edge",
        groups=3,
        layout="HWC",
    )
    assert response.dtype == np.float32 and response.shape == (20, 30, 15)
    assert response.tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize(
    ("shape", "options", "data_format"),
    [
        ((9, 8), (), None),
        ((9, 8, 4), (), "SSC"),
        ((2, 3, 9, 8), ("--format", "NCHW"), "BCSS"),
        ((9, 8, 3, 2), ("--format", "SSCB"), "SSCB"),
        ((3, 9, 8), ("--format", "CHW"), "CSS"),
    ],
)
def test_an_array_gives_an_array_of_its_own_axes(run, tmp_path, shape, options, data_format):
    x = np.random.default_rng(3).normal(size=shape).astype("float32")
    np.save(tmp_path / "x.npy", x)
    assert run("apply", "edges", "x.npy", "--out", "r", "--save", "both", *options)[0] == 0
    expected = edges_of(x[:, :, None]) if data_format is None else edges_of(x, data_format)
    np.testing.assert_array_equal(np.load(tmp_path / "r" / "x.edges.npy"), expected)
    assert Image.open(tmp_path / "r" / "x.edges.png").format == "PNG"


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int16", "float16", ">f4", "float64", "int64"])
def test_an_array_of_real_numbers_is_converted_to_the_type_of_the_layer(run, tmp_path, dtype):
    x = (np.random.default_rng(4).normal(size=(9, 8, 1)) * 50).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    assert run("apply", "edges", "x.npy", "--out", "r", "--save", "npy")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "r" / "x.edges.npy"), edges_of(x.astype("float32")))


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_saved_layer_is_applied_with_all_its_properties(run, tmp_path, suffix):
    layer = cgconv.GroupedConvolution2DLayer(
        (3, 2), 4, 3, stride=(2, 1), padding=(1, 0, 2, 1), dilation_factor=2, padding_value="circular", seed=5,
        data_format="SSC", dtype="float64", bias_initializer="narrow-normal",
    )  # fmt: skip
    x = np.random.default_rng(6).normal(size=(9, 8, 6))
    expected = layer(x)
    layer.save(tmp_path / f"mine.{suffix}")
    np.save(tmp_path / "x.npy", x)
    status, _, err = run("apply", f"mine.{suffix}", "x.npy", "--out", "r", "--save", "both")
    assert (status, err) == (0, "")
    response = np.load(tmp_path / "r" / "x.mine.npy")
    assert response.dtype == np.float64
    np.testing.assert_array_equal(response, expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(run, tmp_path, threads):
    pixels = colours(64, 80)
    save_image(tmp_path / "a.png", pixels)
    assert run("apply", "gabor", "a.png", "--out", "r", "--save", "npy", "--threads", threads)[0] == 0
    expected = bank.filter_bank("gabor", 3, data_format="SSC")(pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "r" / "a.gabor.npy"), expected)


# ---- usage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "required: COMMAND"),
        (("paint",), "invalid choice: 'paint'"),
        (("info", "now"), "unrecognized arguments: now"),
        (("apply", "edges", "a.png"), "the following arguments are required: --out"),
        (("apply", "edges", "--out", "r"), "there is neither an INPUT nor --sample"),
        (("apply", "edges", "a.png", "--out", "r", "--threads", "0"), "'0' is not a positive whole number"),
        (("apply", "edges", "a.png", "--out", "r", "--threads", "two"), "'two' is not a positive whole number"),
        (("apply", "edges", "a.png", "--out", "r", "--format", "SSQ"), "AXES='SSQ': must be one letter for"),
        (("apply", "edges", "a.png", "--out", "r", "--save", "jpg"), "invalid choice: 'jpg'"),
        (("apply", "edges", "--out", "r", "--sample", "dog"), "invalid choice: 'dog'"),
        (("apply", "sharpen", "a.png", "--out", "r"), "LAYER 'sharpen' is neither a file nor one of edges"),
        (("apply", "gone.npz", "a.png", "--out", "r"), "LAYER 'gone.npz' is neither a file nor one of edges"),
        (("apply", "a.png", "a.png", "--out", "r"), "LAYER 'a.png' cannot be loaded: "),
        (("apply", "bad.npz", "a.png", "--out", "r"), "LAYER 'bad.npz' cannot be loaded: "),
        (("apply", "edges", "a.png", "--out", "a.png"), "--out a.png cannot be a folder"),
        (("apply", "edges", "a.png", "--out", "a.png/r"), "--out a.png/r cannot be a folder"),
        (("apply", "edges", ".", "--out", "."), "--out . is also an input"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_before_any_work(run, tmp_path, arguments, reason):
    save_image(tmp_path / "a.png")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not an archive")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert reason in err
    assert files(tmp_path) == ["a.png", "bad.npz"]


def test_a_layer_without_weights_is_refused(run, tmp_path):
    cgconv.GroupedConvolution2DLayer(3, 1, "channel-wise").save(tmp_path / "new.npz")
    save_image(tmp_path / "a.png")
    status, _, err = run("apply", "new.npz", "a.png", "--out", "r")
    assert status == 2 and "LAYER 'new.npz' was saved before it was initialised" in err


@pytest.mark.parametrize("arguments", [("--help",), ("info", "--help"), ("apply", "--help")])
def test_help_is_given(run, arguments):
    status, out, err = run(*arguments)
    assert (status, err) == (0, "") and out.startswith("usage: cgconv")


# ---- what is not installed ----------------------------------------------------------------------------------------


def hide(monkeypatch, *packages):
    for name in [each for each in sys.modules if each.split(".")[0] in packages]:
        monkeypatch.delitem(sys.modules, name)
    for name in packages:
        monkeypatch.setitem(sys.modules, name, None)


def test_arrays_need_nothing_but_numpy(run, tmp_path, monkeypatch):
    hide(monkeypatch, "PIL", "tqdm", "skimage", "scipy")
    np.save(tmp_path / "x.npy", colours())
    status, out, err = run("apply", "edges", "x.npy", "--out", "r", "--save", "npy")
    assert (status, err) == (0, "") and out.startswith("1 done, 0 refused; ")
    assert run("info")[0] == 0


@pytest.mark.parametrize("arguments", [("a.png", "--save", "npy"), ("x.npy", "--save", "png")])
def test_images_need_pillow_and_the_line_says_how_to_get_it(run, tmp_path, monkeypatch, arguments):
    save_image(tmp_path / "a.png")
    np.save(tmp_path / "x.npy", colours())
    hide(monkeypatch, "PIL")
    status, out, err = run("apply", "edges", *arguments, "--out", "r")
    assert (status, out) == (2, "")
    assert err == 'cgconv: reading or writing an image file needs Pillow: pip install "cgconv[images]"\n'
    assert files(tmp_path / "r") == []


def test_samples_need_scikit_image_and_the_line_says_how_to_get_it(run, tmp_path, monkeypatch):
    hide(monkeypatch, "skimage")
    status, out, err = run("apply", "edges", "--sample", "--out", "r")
    assert (status, out) == (2, "")
    assert err == 'cgconv: --sample needs scikit-image: pip install "cgconv[images]"\n'


def test_without_tqdm_there_is_no_bar(run, tmp_path, monkeypatch):
    hide(monkeypatch, "tqdm")
    save_image(tmp_path / "a.png")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("apply", "edges", "a.png", "gone.png", "--out", "r")[0] == 1
    assert terminal.getvalue() == "cgconv: gone.png: no such file or folder\n"


# ---- the command itself -------------------------------------------------------------------------------------------


def test_info_says_what_the_library_is(run):
    status, out, err = run("info")
    facts = cgconv.show_config("dicts")
    assert (status, err) == (0, "")
    for fact in ("version", "isa", "threading", "num_threads", "cuda"):
        assert str(facts[fact]) in out


def test_the_version_is_that_of_the_library(run):
    assert run("--version") == (0, f"cgconv {cgconv.__version__}\n", "")


def test_the_module_is_the_command(tmp_path):
    save_image(tmp_path / "a.png")
    python = [sys.executable, "-m", "cgconv"]
    info = subprocess.run([*python, "info"], cwd=tmp_path, capture_output=True, text=True)
    assert info.returncode == 0 and info.stdout.startswith(f"cgconv {cgconv.__version__}\n") and not info.stderr
    apply = subprocess.run(
        [*python, "apply", "edges", "a.png", "gone.png", "--out", "r"], cwd=tmp_path, capture_output=True, text=True
    )
    assert apply.returncode == 1 and apply.stdout.startswith("1 done, 1 refused; ")
    assert apply.stderr == "cgconv: gone.png: no such file or folder\n"
    wrong = subprocess.run([*python, "apply"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
