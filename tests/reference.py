"""The definition of the layer, twice: as exact chains of fused multiply-adds, and as plain sums in float64.

It knows NumPy and libm's fma, and nothing of cgconv: not its code, not its results. Arrays are N x C x H x W here,
whatever layout the library was given, and a problem `p` is anything with the fields of problems.Problem.
"""

import ctypes
import ctypes.util
from types import SimpleNamespace

import numpy as np

LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}  # of the weight gradient: one cache line
CHUNK_PIXELS = 4096
MOST_LANES = 16

# ---- one rounding ------------------------------------------------------------------------------------------


def _libm_fma():
    name = ctypes.util.find_library("m") or ctypes.util.find_library("ucrtbase")
    fma = ctypes.CDLL(name).fma
    fma.restype, fma.argtypes = ctypes.c_double, (ctypes.c_double,) * 3
    return np.frompyfunc(fma, 3, 1)


_fma_one_by_one = _libm_fma()


def _two_sum(a, b):
    """a + b = s + e, where s is the rounded sum (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _odd_sum(a, b):
    """a + b in float64, rounded to odd: where it is not exact, to the neighbour whose last bit is 1.

    A sum that is rounded so, and then to a format at least two bits shorter, is rounded as if once.
    """
    s, e = _two_sum(a, b)
    move = (e != 0) & np.isfinite(s) & (s.view(np.int64) & 1 == 0)
    return np.where(move, np.nextafter(s, np.copysign(np.inf, e)), s)


def _two_product(a, b):
    """a * b = p + e, barring underflow and overflow (Veltkamp, Dekker)."""

    def split(v):
        t = v * 134217729.0  # 2**27 + 1
        high = t - (t - v)
        return high, v - high

    p = a * b
    (a1, a0), (b1, b0) = split(a), split(b)
    return p, ((a1 * b1 - p) + a1 * b0 + a0 * b1) + a0 * b0


def fma(a, b, c):
    """a * b + c with one rounding, element by element, in the dtype of c."""
    a, b, c = np.broadcast_arrays(a, b, c)
    with np.errstate(all="ignore"):
        if c.dtype == np.float32:  # the product of two float32 is exact in float64
            return _odd_sum(a.astype(np.float64) * b, c.astype(np.float64)).astype(np.float32)
        # Boldo and Melquiond, Emulation of FMA and correctly rounded sums (2008), where nothing is out of range.
        p, p_low = _two_product(a, b)
        t, t_low = _two_sum(c, p_low)
        v, v_low = _two_sum(p, t)
        y = v + _odd_sum(t_low, v_low)
        nought = (a == 0) | (b == 0)
        y = np.where(nought, p + c, y)

        def in_range(v, low, high):
            return (np.abs(v) > low) & (np.abs(v) < high)

        tame = in_range(a, 1e-100, 1e100) & in_range(b, 1e-100, 1e100) & (np.abs(c) < 1e200) & (y != 0)
        odd_ones = ~(tame | nought)
        if odd_ones.any():
            y = np.array(y)
            y[odd_ones] = _fma_one_by_one(a[odd_ones], b[odd_ones], c[odd_ones]).astype(np.float64)
        return y


# ---- padding -----------------------------------------------------------------------------------------------


def pad_source(mode, position, extent):
    """Which cell of an axis of `extent` cells stands at `position`; None for constant padding."""
    if 0 <= position < extent:
        return position
    if mode == "constant":
        return None
    if mode == "replicate":
        return min(max(position, 0), extent - 1)
    if mode == "circular":
        return position % extent
    if mode == "symmetric-include-edge":
        there_and_back = [*range(extent), *reversed(range(extent))]
    else:  # symmetric-exclude-edge
        there_and_back = [*range(extent), *reversed(range(1, extent - 1))]
    return there_and_back[position % len(there_and_back)]


def padded_cells(p):
    """(row, column, source row, source column) of each padded cell in row-major order; None for a constant."""
    for row in range(-p.pt, p.h + p.pb):
        for col in range(-p.pl, p.w + p.pr):
            i, j = pad_source(p.mode, row, p.h), pad_source(p.mode, col, p.w)
            yield row, col, *((None, None) if i is None or j is None else (i, j))


def pad(p, x):
    """x with its padding around it."""
    xp = np.full((*x.shape[:2], p.h + p.pt + p.pb, p.w + p.pl + p.pr), p.value, x.dtype)
    for row, col, i, j in padded_cells(p):
        if i is not None:
            xp[:, :, row + p.pt, col + p.pl] = x[:, :, i, j]
    return xp


def windows(p, xp):
    """xp as N, G, C/G, KH, KW, OH, OW: the pixels under each cell of the filter."""
    view = np.lib.stride_tricks.sliding_window_view(xp, ((p.kh - 1) * p.dh + 1, (p.kw - 1) * p.dw + 1), (2, 3))
    view = view[:, :, :: p.sh, :: p.sw, :: p.dh, :: p.dw]
    n, c, oh, ow, kh, kw = view.shape
    return view.reshape(n, p.g, c // p.g, oh, ow, kh, kw).transpose(0, 1, 2, 5, 6, 3, 4)


# ---- exact chains ------------------------------------------------------------------------------------------


def exchanged(p):
    """The problem p with height and width exchanged: its answers are those of p, with taps in the order (c, v, u)."""
    q = SimpleNamespace(n=p.n, c=p.c, g=p.g, f=p.f, mode=p.mode, value=p.value, lo=p.lo, hi=p.hi)
    q.h, q.kh, q.sh, q.dh, q.pt, q.pb = p.w, p.kw, p.sw, p.dw, p.pl, p.pr
    q.w, q.kw, q.sw, q.dw, q.pl, q.pr = p.h, p.kh, p.sh, p.dh, p.pt, p.pb
    return q


def swap(a):
    return np.swapaxes(a, -1, -2)


def forward(p, x, weight, bias):
    """Start at the bias, add over (c, u, v), clamp."""
    n, dtype = x.shape[0], x.dtype
    view = windows(p, pad(p, x))
    w = weight.reshape(p.g, p.f, -1, p.kh, p.kw)
    y = np.zeros((n, p.g, p.f, *view.shape[-2:]), dtype)
    if bias is not None:
        y[...] = bias.reshape(p.g, p.f, 1, 1)
    for c, u, v in np.ndindex(w.shape[2:]):
        y = fma(w[:, :, c, u, v, None, None], view[:, :, None, c, u, v], y)
    lo, hi = dtype.type(p.lo), dtype.type(p.hi)
    y = np.where(lo > y, lo, y)
    y = np.where(hi < y, hi, y)
    return y.reshape(n, p.g * p.f, *y.shape[3:])


def _spread(dy, extent_h, extent_w, first_row, first_col, sh, sw):
    """dy laid on a plane of this size with its strides, 0 outside; and which cells are stepped on.

    The steps go on in all directions beyond the extent of dy.
    """
    plane = np.zeros((*dy.shape[:-2], extent_h, extent_w), dy.dtype)
    rows, cols = np.arange(extent_h) - first_row, np.arange(extent_w) - first_col
    reached = (rows % sh == 0)[:, None] & (cols % sw == 0)
    for i, j in np.argwhere(reached):
        a, b = rows[i] // sh, cols[j] // sw
        if 0 <= a < dy.shape[-2] and 0 <= b < dy.shape[-1]:
            plane[..., i, j] = dy[..., a, b]
    return plane, reached


def backward_input(p, dy, weight):
    """Each padded cell adds over (oc, u, v); each cell then adds its copies in row-major order."""
    n = dy.shape[0]
    dy = dy.reshape(n, p.g, p.f, *dy.shape[2:])
    w = weight.reshape(p.g, p.f, -1, p.kh, p.kw)
    dxp = np.zeros((n, p.g, p.c // p.g, p.h + p.pt + p.pb, p.w + p.pl + p.pr), dy.dtype)
    for f, u, v in np.ndindex(p.f, p.kh, p.kw):
        plane, reached = _spread(dy[:, :, f], *dxp.shape[-2:], u * p.dh, v * p.dw, p.sh, p.sw)
        dxp = np.where(reached, fma(w[:, f, :, u, v, None, None], plane[:, :, None], dxp), dxp)
    dxp = dxp.reshape(n, p.c, *dxp.shape[3:])
    dx = dxp[:, :, p.pt : p.pt + p.h, p.pl : p.pl + p.w].copy()
    with np.errstate(all="ignore"):
        for row, col, i, j in padded_cells(p):
            if i is not None and not (0 <= row < p.h and 0 <= col < p.w):
                dx[:, :, i, j] += dxp[:, :, row + p.pt, col + p.pl]
    return dx


def _long_sum(a, b):
    """The sum of a * b over the last three axes, n, h and w: cut into chunks, spread over lanes, joined."""
    lanes = LANES[a.dtype]
    a, b = np.broadcast_arrays(a, b)
    n, oh, ow = a.shape[-3:]
    a, b = (t.reshape(*t.shape[:-3], n * oh, ow) for t in (a, b))
    total = np.zeros(a.shape[:-2], a.dtype)
    cols = min(ow, CHUNK_PIXELS)
    rows = CHUNK_PIXELS // (-(-cols // MOST_LANES) * MOST_LANES)
    for row, col in np.ndindex(-(-n * oh // rows), -(-ow // cols)):
        chunk = np.s_[..., row * rows : (row + 1) * rows, col * cols : (col + 1) * cols]
        total = total + _join(_lane_sums(a[chunk], b[chunk], lanes))
    return total


def _lane_sums(a, b, lanes):
    sums = np.zeros((*a.shape[:-2], lanes), a.dtype)
    zeros = [(0, 0)] * (a.ndim - 1) + [(0, -a.shape[-1] % lanes)]
    a, b = np.pad(a, zeros), np.pad(b, zeros)
    for row, col in np.ndindex(a.shape[-2], a.shape[-1] // lanes):
        here = np.s_[..., row, col * lanes : (col + 1) * lanes]
        sums = fma(a[here], b[here], sums)
    return sums


def _join(sums):
    with np.errstate(all="ignore"):
        while (half := sums.shape[-1] // 2) > 0:
            sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]


def backward_weight(p, x, dy):
    """dw and db, in chunks of at most 4096 pixels that the output's shape fixes."""
    view = windows(p, pad(p, x)).transpose(1, 2, 3, 4, 0, 5, 6)  # G, C/G, KH, KW, N, OH, OW
    dy = dy.reshape(dy.shape[0], p.g, p.f, *dy.shape[2:]).transpose(1, 2, 0, 3, 4)  # G, F, N, OH, OW
    dw = _long_sum(dy[:, :, None, None, None], view[:, None])
    return dw.reshape(p.g * p.f, *dw.shape[2:]), _long_sum(dy, np.ones((), dy.dtype)).reshape(-1)


# ---- plain sums --------------------------------------------------------------------------------------------

NUMPY_MODE = {
    "constant": "constant",
    "symmetric-include-edge": "symmetric",
    "symmetric-exclude-edge": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def numpy_pad(p, x):
    """x padded by np.pad."""
    more = {"constant_values": p.value} if p.mode == "constant" else {}
    return np.pad(x, ((0, 0), (0, 0), (p.pt, p.pb), (p.pl, p.pr)), NUMPY_MODE[p.mode], **more)


def plain_forward(p, x, weight, bias=None):
    """The forward pass by np.pad and einsum in float64, without the clamp."""
    view = windows(p, numpy_pad(p, x.astype(np.float64)))
    w = weight.astype(np.float64).reshape(p.g, p.f, -1, p.kh, p.kw)
    y = np.einsum("gfcuv,ngcuvij->ngfij", w, view)
    y = y.reshape(y.shape[0], p.g * p.f, *y.shape[3:])
    return y if bias is None else y + bias.astype(np.float64)[:, None, None]


def plain_backward_weight(p, x, dy):
    """dw and db by np.pad and einsum in float64."""
    view = windows(p, numpy_pad(p, x.astype(np.float64)))
    dy = dy.astype(np.float64).reshape(dy.shape[0], p.g, p.f, *dy.shape[2:])
    dw = np.einsum("ngfij,ngcuvij->gfcuv", dy, view)
    return dw.reshape(p.g * p.f, *dw.shape[2:]), dy.sum(axis=(0, 3, 4)).reshape(-1)


def plain_backward_input(p, dy, weight):
    """dx in float64: every product goes to the padded cell it came from, and from there to that cell's source."""
    dy = dy.astype(np.float64).reshape(dy.shape[0], p.g, p.f, *dy.shape[2:])
    w = weight.astype(np.float64).reshape(p.g, p.f, -1, p.kh, p.kw)
    n, oh, ow = dy.shape[0], *dy.shape[3:]
    dxp = np.zeros((n, p.g, p.c // p.g, p.h + p.pt + p.pb, p.w + p.pl + p.pr))
    for u, v in np.ndindex(p.kh, p.kw):
        under = np.s_[..., u * p.dh :: p.sh, v * p.dw :: p.sw]
        dxp[under][..., :oh, :ow] += np.einsum("gfc,ngfij->ngcij", w[..., u, v], dy)
    dxp = dxp.reshape(n, p.c, *dxp.shape[3:])
    cell = np.arange(1, p.h * p.w + 1).reshape(1, 1, p.h, p.w)
    source = numpy_pad(SimpleNamespace(**{**vars(p), "value": 0}), cell)[0, 0]  # 0 is a constant
    planes = dxp.reshape(n * p.c, source.size)
    sums = [np.bincount(source.ravel(), plane, p.h * p.w + 1)[1:] for plane in planes]
    return np.reshape(sums, (n, p.c, p.h, p.w))
