"""The examples in Python, in their short modes: that they learn, and give the same bits every time."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

SCRIPT = Path(__file__).parent.parent / "examples" / "train_separable.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_separable", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder, *arguments):
    """What the script prints, and the picture that it leaves."""
    picture = folder / "loss.png"
    command = [sys.executable, SCRIPT, "--quiet", "--out", picture, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout, picture.read_bytes()


def checksum(text):
    return re.search(r"checksum of the weights: ([0-9a-f]{16})\n", text)[1]


def test_the_network_learns_and_has_the_same_bits_for_any_number_of_threads(tmp_path):
    text, picture = run(tmp_path, "--epochs", 3, "--threads", 1)
    assert picture.startswith(b"\x89PNG")
    assert float(re.match(r"NumPy \+ cgconv +([0-9.]+) % of 360 test images", text)[1]) > 90
    short = [checksum(run(tmp_path, "--epochs", 1, "--batch", 512, "--threads", count)[0]) for count in (1, 2, 3)]
    assert len(set(short)) == 1 and short[0] != checksum(text)


def test_pytorch_trains_the_same_network_to_the_same_accuracy(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    text, _ = run(tmp_path, "--epochs", 2, "--threads", 1, "--torch")
    found = re.findall(r"^(NumPy \+ cgconv|torch \+ cgconv|torch) +([0-9.]+) % .* last loss ([0-9.]+)$", text, re.M)
    assert [name for name, *_ in found] == ["NumPy + cgconv", "torch + cgconv", "torch"]
    accuracies, losses = ([float(each[i]) for each in found] for i in (1, 2))
    assert min(accuracies) > 80 and max(accuracies) - min(accuracies) < 2
    assert losses[1] == pytest.approx(losses[2], rel=1e-3)  # SGDM differs from SGD of PyTorch where the rate changes


def test_gradients_of_the_network_are_those_of_finite_differences(example):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((4, 1, 8, 8)), rng.integers(0, 10, 4)
    layers = [example.Convolution(3, 4, 1, padding="same", seed=0, dtype="float64"), example.Normalization(4),
              example.ReLU(), example.Convolution(3, 1, "channel-wise", stride=2, padding="same", seed=1,
                                                  dtype="float64"),
              example.Pooling(), example.Convolution(1, 10, 1, seed=2, dtype="float64")]  # fmt: skip
    norm = layers[1]
    norm.scale, norm.shift = (rng.standard_normal((4, 1, 1)) for _ in range(2))

    def loss():
        return example.softmax_loss(example.forward(layers, x, training=True), labels)

    example.backward(layers, loss()[1].astype("float64"))
    for layer in layers:
        for one, gradient in zip(layer.learnables(), [np.array(g) for g in layer.gradients], strict=True):
            cell = tuple(rng.integers(0, one.value.shape))
            kept, step = one.value[cell], 1e-6
            slopes = []
            for change in (step, -step):
                one.value[cell] = kept + change
                slopes.append(loss()[0])
            one.value[cell] = kept
            assert gradient[cell] == pytest.approx((slopes[0] - slopes[1]) / (2 * step), rel=1e-5, abs=1e-9)
