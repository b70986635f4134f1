"""Times whole networks in PyTorch, on its own convolutions and on ours, in turn, after comparing what they compute.

    python -m pip install "cgconv[bench]"
    python bench/networks.py                             # the grouped layers replaced, one thread
    python bench/networks.py convnext --which all --threads 2 --csv networks.csv

The networks are those of the package transformers, built from their configurations with random weights: nothing is
downloaded. Each is run in both memory formats, and the faster one counts. Before it is timed, its outputs and
gradients are compared with those of PyTorch in float64: ours may be off by no more than a few times as much as those
of PyTorch in float32.
"""

import argparse
import copy
import csv
import math
import statistics
import sys
import time

import torch
import transformers

from cgconv.adapters.torch import replace_convolutions

WORSE = 4  # times the error of PyTorch in float32 that ours may have


def networks():
    """By name, a function that makes the network. Dropout is off: it would compare random numbers."""
    t = transformers
    mobilenet = t.MobileNetV2Config(classifier_dropout_prob=0.0, num_labels=1000)
    efficientnet = t.EfficientNetConfig(
        image_size=224, width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280, dropout_rate=0.0,
        drop_connect_rate=0.0, num_labels=1000)  # fmt: skip
    return {
        "mobilenetv2": lambda: t.MobileNetV2ForImageClassification(mobilenet),
        "efficientnet-b0": lambda: t.EfficientNetForImageClassification(efficientnet),
        "convnext-tiny": lambda: t.ConvNextForImageClassification(t.ConvNextConfig(num_labels=1000)),
        "regnet-y-040": lambda: t.RegNetForImageClassification(t.RegNetConfig(num_labels=1000)),
    }


def settle(model, images):
    """Sets the statistics of normalisations to those of the images: with random ones, outputs die away or explode."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.momentum = 1.0
    outputs(model.train(), images)
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum


def outputs(model, x):
    with torch.no_grad():
        return model(x).logits


def gradients(model, x):
    """The gradients of a loss that no output leaves alone, one vector."""
    model.zero_grad()
    logits = model(x).logits
    (logits * torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).reshape(logits.shape)).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def compare(theirs, ours, images):
    """How far outputs and gradients in float32 are off, relative to the largest: (theirs, ours) of each."""
    errors = {}
    exact = copy.deepcopy(theirs).double()
    for name, run, training in (("outputs", outputs, False), ("gradients", gradients, True)):
        want = run(exact.train(training), images.double())
        off = [float((run(model.train(training), images) - want).abs().max() / want.abs().max())
               for model in (copy.deepcopy(theirs), copy.deepcopy(ours))]  # fmt: skip
        errors[name] = off
        if not off[1] <= WORSE * max(off[0], torch.finfo(torch.float32).eps):
            raise SystemExit(f"the {name} are off by {off[1]:.2e}, and those of PyTorch by {off[0]:.2e}")
    return errors


def inference(model, x):
    model.eval()
    return lambda: outputs(model, x)


def training_step(model, x):
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, 0.9)
    labels = torch.arange(len(x))

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x).logits, labels).backward()
        optimizer.step()

    return step


def in_turn(runs, rounds):
    """The median seconds of each, by name, after a first run that does not count."""
    samples = {name: [] for name in runs}
    for i in range(rounds + 1):
        for name, run in runs.items():
            time.sleep(0.005)  # the threads of whoever was before go to sleep
            start = time.perf_counter()
            run()
            if i:
                samples[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in samples.items()}


def measure(name, make, options):
    """A row for inference and one for training."""
    torch.manual_seed(0)
    theirs, images = make(), torch.randn(options.train_batch, 3, options.size, options.size)
    settle(theirs, images)
    ours = copy.deepcopy(theirs)
    report = replace_convolutions(ours, options.which)
    errors = compare(theirs, ours, images)
    shares = f"{len(report.replaced)} of {len(report.replaced) + len(report.left)}"
    for task, prepare, batch in (("inference", inference, options.batch),
                                 ("training step", training_step, options.train_batch)):  # fmt: skip
        runs = {}
        for kind, model in (("torch", theirs), ("cgconv", ours)):
            for order, form in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
                placed = copy.deepcopy(model).to(memory_format=form)
                runs[f"{kind} {order}"] = prepare(placed, images[:batch].contiguous(memory_format=form))
        seconds = in_turn(runs, options.rounds)
        best = {kind: min(v for k, v in seconds.items() if k.startswith(kind)) for kind in ("torch", "cgconv")}
        kind = "outputs" if task == "inference" else "gradients"
        yield {"network": name, "task": task, "batch": batch, "threads": options.threads, "replaced": shares,
               **{f"{key} ms": round(1000 * value, 2) for key, value in seconds.items()},
               "torch / cgconv": round(best["torch"] / best["cgconv"], 3),
               "error torch": f"{errors[kind][0]:.1e}", "error cgconv": f"{errors[kind][1]:.1e}"}  # fmt: skip


def table(rows):
    heads = list(rows[0])
    lines = [heads, ["---"] * 3 + ["---:"] * (len(heads) - 3), *[[str(row[head]) for head in heads] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def progress(items):
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, unit="network", disable=None)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"parts of names; all by default: {', '.join(networks())}")
    parser.add_argument("--which", choices=("grouped", "all"), default="grouped", help="the layers to replace")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1, help="images of an inference")
    parser.add_argument("--train-batch", type=int, default=4, help="images of a training step")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts")
    parser.add_argument("--csv", help="a file for the table")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    chosen = {name: make for name, make in networks().items()
              if not options.names or any(part in name for part in options.names)}  # fmt: skip
    if not chosen:
        parser.error(f"no network is called {' or '.join(options.names)}")
    rows = [row for name, make in progress(chosen.items()) for row in measure(name, make, options)]
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{versions}, float32, {options.size} x {options.size}")
    print(table(rows))
    for task in ("inference", "training step"):
        ratios = [row["torch / cgconv"] for row in rows if row["task"] == task]
        print(f"{task}: the best time of torch is {math.prod(ratios) ** (1 / len(ratios)):.2f} times ours "
              f"(geometric mean)")  # fmt: skip
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
