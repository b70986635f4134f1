"""Layers in files: what is saved comes back, nothing is half-written, and foreign or damaged files are refused."""

import io
import json
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest

import cgconv
from cgconv import GroupedConvolution2DLayer as Layer

X = np.random.default_rng(3).standard_normal((2, 6, 9, 8)).astype("float32")
SUFFIXES = [".npz", ".safetensors"]
LAYERS = {
    "plain": {"args": ((3, 2), 4, 3)},
    "everything": {
        "args": ((3, 2), 2, "channel-wise"),
        "padding": "same",
        "stride": (2, 1),
        "dilation_factor": (1, 2),
        "padding_value": "symmetric-exclude-edge",
        "weights_initializer": "he",
        "bias_initializer": "narrow-normal",
        "weight_learn_rate_factor": 0.5,
        "bias_learn_rate_factor": 2,
        "weight_l2_factor": 0.1,
        "bias_l2_factor": 3,
        "name": "Schärfe ✓ \0\n",
        "data_format": "NCHW",
        "dtype": "float64",
        "seed": 2**100,
    },
    "odd numbers": {"args": (1, 1, 2), "padding": (0, 1, 2, 3), "padding_value": float("inf"), "name": "a'b\"c"},
}
NAMES = (
    "filter_size",
    "num_filters_per_group",
    "num_groups",
    "num_channels_per_group",
    "stride",
    "dilation_factor",
    "padding_mode",
    "padding_value",
    "weights_initializer",
    "bias_initializer",
    "weight_learn_rate_factor",
    "bias_learn_rate_factor",
    "weight_l2_factor",
    "bias_l2_factor",
    "name",
    "data_format",
    "dtype",
    "seed",
)


def layer(case="plain", **changes):
    keywords = {"seed": 0, **LAYERS[case], **changes}
    return Layer(*keywords.pop("args"), **keywords)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("ready", [False, True])
def test_what_is_saved_comes_back(tmp_path, suffix, case, ready):
    made = layer(case)
    if ready:
        made.initialize(X.shape)
    made.save(tmp_path / f"layer{suffix}")
    back = cgconv.load_layer(tmp_path / f"layer{suffix}")
    assert {name: getattr(back, name) for name in NAMES} == {name: getattr(made, name) for name in NAMES}
    if made.padding_mode == "manual":
        assert back.padding_size == made.padding_size
    assert (back.weights is None) == (made.weights is None) == (not ready)
    assert back(X).tobytes() == made(X).tobytes()  # one that was not ready draws the same weights
    back.weights[...] = 0  # what was loaded can be trained on
    assert os.listdir(tmp_path) == [f"layer{suffix}"]


@pytest.mark.parametrize("path", [str, os.fsencode, lambda path: path])
def test_a_path_is_a_str_bytes_or_path(tmp_path, path):
    layer().save(path(tmp_path / "layer.npz"))
    assert cgconv.load_layer(path(tmp_path / "layer.npz")).filter_size == (3, 2)


@pytest.mark.parametrize("given", ["weights", "bias"])
def test_a_layer_with_one_parameter_comes_back(tmp_path, given):
    shape = {"weights": (3, 2, 2, 4, 3), "bias": (1, 1, 4, 3)}[given]
    made = layer(**{given: np.arange(np.prod(shape)).reshape(shape)})
    made.save(tmp_path / "layer.npz")
    back = cgconv.load_layer(tmp_path / "layer.npz")
    assert np.array_equal(getattr(back, given), getattr(made, given))
    assert back(X).tobytes() == made(X).tobytes()


def test_the_arrays_are_those_that_other_programs_expect(tmp_path):
    made = layer()
    made(X)
    made.save(tmp_path / "layer.npz")
    with np.load(tmp_path / "layer.npz") as file:
        y = cgconv.conv2d(X, file["weight"], file["bias"], groups=3)
    assert y.tobytes() == made(X).tobytes()
    made.save(tmp_path / "layer.safetensors")
    from safetensors.numpy import load_file

    tensors = load_file(tmp_path / "layer.safetensors")
    assert cgconv.conv2d(X, tensors["weight"], tensors["bias"], groups=3).tobytes() == y.tobytes()


# ---- functions as initialisers -----------------------------------------------------------------------------


def my_weights(shape):
    return np.full(shape, 0.5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_function_is_saved_by_name_once_its_weights_exist(tmp_path, suffix):
    made = layer(weights_initializer=my_weights)
    with pytest.raises(
        ValueError, match="weights_initializer is a function, and cannot be saved: initialize the layer"
    ):
        made.save(tmp_path / f"layer{suffix}")
    assert not os.listdir(tmp_path)
    made(X)
    made.save(tmp_path / f"layer{suffix}")
    back = cgconv.load_layer(tmp_path / f"layer{suffix}")
    assert back(X).tobytes() == made(X).tobytes()
    assert repr(back.weights_initializer) == "<function my_weights, not saved>"
    back.save(tmp_path / f"again{suffix}")
    assert (
        repr(cgconv.load_layer(tmp_path / f"again{suffix}").weights_initializer) == "<function my_weights, not saved>"
    )
    back.weights = None
    with pytest.raises(
        ValueError, match="the initialiser 'my_weights' is a function, which no file keeps: set it again"
    ):
        back(X)
    back.weights_initializer = my_weights
    assert back(X).tobytes() == made(X).tobytes()


def test_a_generator_is_not_saved(tmp_path):
    made = layer(seed=np.random.default_rng(5))
    with pytest.raises(ValueError, match="the layer's seed is no int, and cannot be saved: initialize the layer"):
        made.save(tmp_path / "layer.npz")
    made(X)
    made.save(tmp_path / "layer.npz")
    back = cgconv.load_layer(tmp_path / "layer.npz")
    assert back.seed is None and back(X).tobytes() == made(X).tobytes()


# ---- writing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["layer", "layer.npy", "layer.NPZ", "layer.pkl", ".npz", ""])
def test_another_ending_is_refused(tmp_path, path):
    for call in (layer().save, cgconv.load_layer):
        with pytest.raises(ValueError, match=r"a layer's file must end in .npz or .safetensors"):
            call(tmp_path / path if path else path)


def test_a_path_must_be_a_path():
    with pytest.raises(TypeError):
        layer().save(5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"layer{suffix}"
    layer().save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        layer("everything").save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        layer().save(tmp_path / "nowhere" / "layer.npz")
    with pytest.raises(FileNotFoundError):
        cgconv.load_layer(tmp_path / "layer.npz")


def test_a_link_stays_a_link_and_the_permissions_are_the_usual_ones(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "layer.npz", tmp_path / "link.npz"
    link.symlink_to(target)
    layer().save(link)
    assert link.is_symlink() and cgconv.load_layer(target).name == ""
    (tmp_path / "other").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_safetensors_is_needed_for_its_files_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    layer().save(tmp_path / "layer.npz")
    for call in (layer().save, cgconv.load_layer):
        with pytest.raises(ImportError, match="a .safetensors file needs the package safetensors"):
            call(tmp_path / "layer.safetensors")


# ---- foreign and damaged files -----------------------------------------------------------------------------


def contents(**changes):
    """The parts of a good .npz, some of them changed; None takes one out."""
    made = layer()
    made(X)
    buffer = io.BytesIO()
    path = changes.pop("folder") / "good.npz"
    made.save(path)
    with np.load(path) as file:
        parts = dict(file)
    path.unlink()
    text = json.loads(str(parts["properties"]))
    for name, value in changes.items():
        if name in parts:
            parts[name] = value
        elif name in ("kind", "version"):
            text[name] = value
        elif name == "surplus":
            parts["surplus"] = value
        else:
            text["properties"][name] = value
    if "properties" not in changes:
        parts["properties"] = np.array(json.dumps(text))
    np.savez(buffer, **{name: value for name, value in parts.items() if value is not None})
    return buffer.getvalue()


WRONG = [
    {"kind": "another"},
    {"version": 2},
    {"version": None},
    {"properties": None},
    {"properties": np.array("{")},
    {"properties": np.array("[]")},
    {"properties": np.array(b"{}")},
    {"properties": np.array(5)},
    {"properties": np.array(["a", "b"])},
    {"properties": np.array("[" * 100_000)},
    {"filter_size": [3, 0]},
    {"filter_size": None},
    {"filter_size": [5, 5]},
    {"filter_size": {"a": 1}},
    {"num_filters_per_group": 0},
    {"num_filters_per_group": "4"},
    {"num_filters_per_group": 5},
    {"num_groups": 2},
    {"num_channels_per_group": 7},
    {"stride": "x"},
    {"padding": [1]},
    {"padding_value": "mirror"},
    {"name": 5},
    {"data_format": "CS"},
    {"dtype": "float64"},
    {"dtype": "object"},
    {"dtype": [["a", "f4"]]},
    {"seed": -1},
    {"weights_initializer": "my_init"},
    {"weights_initializer": {}},
    {"bias_l2_factor": -1},
    {"unknown_property": 1},
    {"weight": np.ones((12, 2, 3, 3), "float32")},
    {"weight": np.ones((11, 2, 3, 2), "float32")},
    {"weight": np.ones(12, "float32")},
    {"weight": np.ones((12, 2, 3, 2))},
    {"weight": np.array("text")},
    {"weight": np.ones((0, 2, 3, 2), "float32")},
    {"bias": np.ones((1, 1, 4, 3), "float32")},
    {"bias": np.ones(11, "float32")},
    {"surplus": np.ones(3)},
    {"weight": np.array([{}, 1], object)},
]


@pytest.mark.parametrize("changes", WRONG, ids=[f"{i}-{next(iter(w))}" for i, w in enumerate(WRONG)])
def test_a_file_that_holds_no_layer_is_refused(tmp_path, changes):
    path = tmp_path / "layer.npz"
    path.write_bytes(contents(folder=tmp_path, **changes))
    with pytest.raises(ValueError, match=r"layer.npz' is not a layer saved by cgconv, or is damaged: "):
        cgconv.load_layer(path)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("bomb-went-off",))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"PK\x03\x04",
        b"hello\n" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        pickle.dumps(Bomb()),
        b"\x93NUMPY\x01\x00",
        b"\xff" * 64,
        b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
        b"\x00" * 64,
    ],
)
def test_a_foreign_file_is_refused_and_nothing_in_it_is_run(tmp_path, suffix, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"layer{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a layer saved by cgconv, or is damaged: "):
        cgconv.load_layer(path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_anywhere_is_refused(tmp_path, suffix):
    path = tmp_path / f"layer{suffix}"
    made = layer()
    made(X)
    made.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is not a layer saved by cgconv, or is damaged: "):
            cgconv.load_layer(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_with_a_wrong_byte_is_refused_or_loads_a_sound_layer(tmp_path, suffix):
    path = tmp_path / f"layer{suffix}"
    made = layer()
    made(X)
    made.save(path)
    whole, refused = path.read_bytes(), 0
    for position in range(0, len(whole), 13):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            back = cgconv.load_layer(path)
        except ValueError as error:
            assert "is not a layer saved by cgconv, or is damaged: " in str(error)
            refused += 1
        else:
            assert back.weights is None or back.weights.shape[3] == back.num_filters_per_group
    assert refused > 10


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "layer.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="it holds no properties of a layer"):
        cgconv.load_layer(path)
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(path)
    with pytest.raises(ValueError, match="it is no .npz archive"):
        cgconv.load_layer(path)
