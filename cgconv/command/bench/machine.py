"""What the machine can do at best: products a second and bytes a second, measured without this library, or given.

It must not know problems or peers. The peak is that of NumPy's matmul, in a process of its own, since the threads of
a BLAS are fixed when it is loaded. The bandwidth, read plus written, is that of NumPy's negation of an array: a copy
would do, but memcpy is up to twenty times slower on some CPUs for some distances between source and target.
"""
from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

__all__ = ["Machine", "processor"]

_MATMUL = """
import sys, time
import numpy as np

best = 0.0
for extent in (256, 512, 1024):
    a = np.random.default_rng(0).uniform(-1, 1, (extent, extent)).astype(sys.argv[1])
    b, c = a.copy(), np.empty_like(a)
    end = time.perf_counter() + 0.4
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(a, b, out=c)
        best = max(best, 2e-9 * extent**3 / (time.perf_counter() - start))
print(best)
"""
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
_TOUCHED = tuple(1 << bits for bits in (19, 21, 23, 25, 28))  # bytes, half of them read
_SECONDS = 0.1  # for each size
_SLICES = 10  # of that time; the best counts


@dataclass(frozen=True)
class Machine:
    """Limits for one number of threads and one type."""

    peak: float
    """Arithmetic, in GFLOP/s."""
    bandwidths: tuple[tuple[int, float], ...]
    """(bytes, GB/s), ascending: what can be reached by work that touches at least so many bytes."""
    source: str
    """Where the two come from, in words."""

    @classmethod
    def probe(cls, dtype: str, threads: int, peak: float | None = None, bandwidth: float | None = None) -> Machine:
        """Measures what is not given. It takes a few seconds."""
        peak_source = "as given" if peak else "the best of NumPy's matmul"
        peak = peak or _matmul(dtype, threads)
        bandwidths: tuple[tuple[int, float], ...]
        if bandwidth:
            bandwidths, bandwidth_source = ((0, bandwidth),), "as given"
        else:
            bandwidths = tuple((size, _negation(size, threads)) for size in _TOUCHED)
            bandwidth_source = f"NumPy's negation of arrays, touching {', '.join(map(_size, _TOUCHED))}"
        rates = ", ".join(f"{rate:.3g}" for _, rate in bandwidths)
        return cls(peak, bandwidths, f"peak {peak:.4g} GFLOP/s ({peak_source}); {rates} GB/s ({bandwidth_source})")

    def floor(self, flops: int, nbytes: int) -> float:
        """The seconds below which no such work can be done, each byte being touched once."""
        rate = next((rate for size, rate in reversed(self.bandwidths) if size <= nbytes), self.bandwidths[0][1])
        return max(flops / self.peak, nbytes / rate) * 1e-9


def processor() -> str:
    """The name of the CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _matmul(dtype: str, threads: int) -> float:
    limits = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    child = [sys.executable, "-c", _MATMUL, dtype]
    done = subprocess.run(child, env={**os.environ, **limits}, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _negation(nbytes: int, threads: int) -> float:
    """GB/s where so many bytes are touched in all, each thread its share."""
    # Not zeros: those pages might all be one page.
    shares = [np.ones((2, nbytes // 8 // threads), np.float32) for _ in range(threads)]
    together = threading.Barrier(threads)
    rates = np.zeros((threads, _SLICES))

    def negate(index: int) -> None:
        source, target = shares[index]
        for turn in range(_SLICES):
            together.wait()
            count, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < _SECONDS / _SLICES or count == 0:
                np.negative(source, out=target)
                count += 1
            rates[index, turn] = 2e-9 * source.nbytes * count / spent

    helpers = [threading.Thread(target=negate, args=(index,)) for index in range(1, threads)]
    for helper in helpers:
        helper.start()
    negate(0)
    for helper in helpers:
        helper.join()
    return float(rates.sum(axis=0).max())


def _size(nbytes: int) -> str:
    return f"{nbytes >> 20} MiB" if nbytes >= 1 << 20 else f"{nbytes >> 10} KiB"
