"""Trains a network of channel-wise separable blocks on scikit-learn's handwritten digits, with NumPy and cgconv alone.

    python -m pip install "cgconv[examples]"
    python examples/train_separable.py              # some seconds, and a picture of the loss
    python examples/train_separable.py --torch      # also in PyTorch, around our layer and on its own Conv2d

The weights have the same bits after every run, with any number of threads; the checksum at the end shows it.
"""

import argparse
import hashlib
import time

import numpy as np

import cgconv

CLASSES, MOMENTUM, L2 = 10, 0.9, 1e-3


class Convolution:
    """A grouped convolution; a fully connected layer is one of 1 x 1 on one pixel."""

    def __init__(self, *arguments, **properties):
        self.layer = cgconv.GroupedConvolution2DLayer(*arguments, weights_initializer="he", **properties)

    def forward(self, x, training):
        self.x = x
        return self.layer(x)

    def backward(self, dy):
        g = self.layer.backward(self.x, dy)
        self.gradients = [g.weights, g.bias]
        return g.input

    def learnables(self):
        return self.layer.learnables()


class Normalization:
    """Batch normalisation: each channel to mean 0 and variance 1 over the batch, then scaled and shifted."""

    epsilon, momentum = 1e-5, 0.1

    def __init__(self, channels):
        self.scale, self.variance = np.ones((2, channels, 1, 1), "float32")
        self.shift, self.mean = np.zeros((2, channels, 1, 1), "float32")

    def forward(self, x, training):
        mean, variance = self.mean, self.variance
        if training:
            mean = x.mean((0, 2, 3), keepdims=True)[0]
            variance = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)[0]
            count = x.size // x.shape[1]
            self.mean += self.momentum * (mean - self.mean)
            self.variance += self.momentum * (variance * count / (count - 1) - self.variance)
        self.spread = np.sqrt(variance + self.epsilon)
        self.normal = (x - mean) / self.spread
        return self.scale * self.normal + self.shift

    def backward(self, dy):
        d_scale, d_shift = ((dy * factor).sum((0, 2, 3), keepdims=True)[0] for factor in (self.normal, 1))
        self.gradients = [d_scale, d_shift]
        count = dy.size // dy.shape[1]
        return self.scale / self.spread * (dy - (self.normal * d_scale + d_shift) / count)

    def learnables(self):
        return [cgconv.Learnable("scale", self.scale, 1, 1), cgconv.Learnable("shift", self.shift, 1, 1)]


class ReLU:
    gradients = ()

    def forward(self, x, training):
        self.passed = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * self.passed

    def learnables(self):
        return []


class Pooling:
    """The mean of each channel's plane."""

    gradients = ()

    def forward(self, x, training):
        self.shape = x.shape
        return x.mean((2, 3), keepdims=True)

    def backward(self, dy):
        return np.broadcast_to(dy / (self.shape[2] * self.shape[3]), self.shape).astype(dy.dtype)

    def learnables(self):
        return []


def network(seed):
    """A convolution, two separable blocks, pooling and a fully connected layer."""

    rng = np.random.default_rng(seed)

    def block(channels, *arguments, **properties):
        return [Convolution(*arguments, padding="same", seed=rng, **properties), Normalization(channels), ReLU()]

    layers = block(16, 3, 16, 1)
    for channels in (16, 32):
        layers += block(channels, 3, 1, "channel-wise", stride=2)
        layers += block(2 * channels, 1, 2 * channels, 1)
    return [*layers, Pooling(), Convolution(1, CLASSES, 1, seed=rng)]


def forward(layers, x, training=False):
    for layer in layers:
        x = layer.forward(x, training)
    return x[:, :, 0, 0]


def backward(layers, dy):
    dy = dy[:, :, None, None]
    for layer in reversed(layers):
        dy = layer.backward(dy)


def softmax_loss(scores, labels):
    """The mean cross entropy of softmax(scores), and its gradient."""
    shifted = scores - scores.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(labels))
    gradient = np.exp(log_p)
    gradient[rows, labels] -= 1
    return -float(log_p[rows, labels].mean()), gradient / np.float32(len(labels))


# ---- data and training -------------------------------------------------------------------------------------


def digits(seed):
    """Training and test images, N x 1 x 8 x 8 from 0 to 1, and their labels: four of five are for training."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    x, labels = images.reshape(-1, 1, 8, 8)[order].astype("float32") / 16, labels[order]
    cut = len(x) * 4 // 5
    return (x[:cut], labels[:cut]), (x[cut:], labels[cut:])


def batches(count, size, seed, epoch):
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return np.array_split(order, -(-count // size))


def learn_rate(progress, highest=0.1):
    """Half a cosine, from the highest rate to nearly none."""
    return highest * 0.5 * (1 + np.cos(np.pi * progress))


class InNumPy:
    """The network trained with NumPy and cgconv."""

    name = "NumPy + cgconv"

    def __init__(self, options, x):
        self.layers = network(options.seed)
        forward(self.layers, x[:1])  # makes the parameters
        self.optimizer = cgconv.SGDM(momentum=MOMENTUM, l2_factor=L2)

    def step(self, x, labels, rate):
        loss, gradient = softmax_loss(forward(self.layers, x, training=True), labels)
        backward(self.layers, gradient)
        self.optimizer.learn_rate = rate
        self.optimizer.step(self.learnables(), [g for layer in self.layers for g in layer.gradients])
        return loss

    def learnables(self):
        return [one for layer in self.layers for one in layer.learnables()]

    def scores(self, x):
        return forward(self.layers, x)

    def checksum(self):
        values = [np.ascontiguousarray(one.value).tobytes() for one in self.learnables()]
        return hashlib.sha256(b"".join(values)).hexdigest()[:16]


class InTorch:
    """The same network, from the same numbers, in PyTorch: around our layer, or on torch.nn.Conv2d."""

    def __init__(self, options, x, ours):
        import torch

        from cgconv.adapters.torch import param_groups

        torch.set_num_threads(cgconv.get_num_threads())
        self.torch, self.name = torch, "torch + cgconv" if ours else "torch"
        self.model = torch.nn.Sequential(*torch_layers(torch, InNumPy(options, x).layers, ours))
        groups = param_groups(self.model, 0.0, L2)
        if not ours:  # Conv2d has no factors, by which cgconv spares biases from L2
            spared = {m.bias for m in self.model.modules() if isinstance(m, torch.nn.Conv2d)}
            groups = [{"params": [p for p in self.model.parameters() if (p in spared) is free],
                       "weight_decay": 0.0 if free else L2} for free in (False, True)]  # fmt: skip
        self.optimizer = torch.optim.SGD(groups, 0.0, MOMENTUM)

    def step(self, x, labels, rate):
        torch = self.torch
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(torch.from_numpy(x)), torch.from_numpy(labels))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def scores(self, x):
        self.model.eval()
        with self.torch.no_grad():
            return self.model(self.torch.from_numpy(x)).numpy()


def torch_layers(torch, layers, ours):
    """The layers in PyTorch, with copies of their parameters."""
    from cgconv.adapters.torch import GroupedConv2d

    for layer in layers:
        if isinstance(layer, Convolution):
            own = layer.layer
            h, w, per_group, filters, groups = own.weights.shape
            if ours:
                conv = GroupedConv2d((h, w), filters, groups, padding="same", stride=own.stride,
                                     num_channels_per_group=per_group)  # fmt: skip
            else:
                if own.stride == (2, 2):  # on even sizes, "same" adds one cell more at the bottom and at the right
                    yield torch.nn.ZeroPad2d((0, 1, 0, 1))
                conv = torch.nn.Conv2d(per_group * groups, filters * groups, (h, w), own.stride,
                                       0 if own.stride == (2, 2) else "same", groups=groups)  # fmt: skip
            weight = own.weights.transpose(4, 3, 2, 0, 1).reshape(conv.weight.shape)
            conv.load_state_dict({"weight": torch.tensor(weight),
                                  "bias": torch.tensor(own.bias.transpose(3, 2, 0, 1).reshape(-1))})  # fmt: skip
            yield conv
        elif isinstance(layer, Normalization):
            yield torch.nn.BatchNorm2d(layer.scale.size, eps=layer.epsilon, momentum=layer.momentum)
        else:
            yield torch.nn.ReLU() if isinstance(layer, ReLU) else torch.nn.AdaptiveAvgPool2d(1)
    yield torch.nn.Flatten()


def accuracy(trainer, images, labels):
    return float((trainer.scores(images).argmax(1) == labels).mean())


def train(trainer, options, images, labels):
    """The loss of each step, and the median seconds of an epoch."""
    losses, seconds = [], []
    bar = progress(range(options.epochs), trainer.name, options.quiet)
    for epoch in bar:
        start = time.perf_counter()
        cut = batches(len(images), options.batch, options.seed, epoch)
        for i, batch in enumerate(cut):
            rate = learn_rate((epoch + i / len(cut)) / options.epochs)
            losses.append(trainer.step(images[batch], labels[batch], rate))
        seconds.append(time.perf_counter() - start)
        if hasattr(bar, "set_postfix"):
            bar.set_postfix(loss=f"{np.mean(losses[-len(cut):]):.4f}")
    return losses, float(np.median(seconds))


def progress(epochs, name, quiet):
    """The epochs with a bar, where tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return epochs
    return tqdm(epochs, desc=name, unit="epoch", disable=quiet)


def draw(path, curves, steps):
    """The loss of each step and its mean over an epoch, for each trainer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="cross entropy", yscale="log")
    for i, (name, losses) in enumerate(curves.items()):
        epochs = (np.arange(len(losses)) + 1) / steps
        axes.plot(epochs, losses, color=f"C{i}", alpha=0.25, linewidth=0.6)
        means = np.reshape(losses, (-1, steps)).mean(1)
        axes.plot(epochs[steps - 1 :: steps], means, ("-", "--", ":")[i], color=f"C{i}", label=name)
    axes.legend()
    figure.savefig(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64, help="images of a step")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the split and the order of the images")
    parser.add_argument("--threads", type=int, help="the most that a step uses")
    parser.add_argument("--torch", action="store_true", help="train in PyTorch too, and compare")
    parser.add_argument("--out", default="train_separable.png", help="the picture of the loss")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    cgconv.set_num_threads(options.threads)
    (images, labels), test = digits(options.seed)
    trainers = [InNumPy(options, images)]
    if options.torch:
        trainers += [InTorch(options, images, ours) for ours in (True, False)]
    curves = {}
    for trainer in trainers:
        curves[trainer.name], seconds = train(trainer, options, images, labels)
        print(f"{trainer.name:15} {100 * accuracy(trainer, *test):6.2f} % of {len(test[1])} test images, "
              f"{1000 * seconds:6.1f} ms per epoch, last loss {curves[trainer.name][-1]:.5f}")  # fmt: skip
    draw(options.out, curves, len(batches(len(images), options.batch, 0, 0)))
    print(f"loss curve: {options.out}")
    print(f"checksum of the weights: {trainers[0].checksum()}")


if __name__ == "__main__":
    main()
