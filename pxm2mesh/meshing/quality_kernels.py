"""Compiled shape measures of tetrahedra."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt


@nb.njit(cache=True, inline="never")
def worst_sine(
    a0: float, a1: float, a2: float, b0: float, b1: float, b2: float,
    c0: float, c1: float, c2: float, d0: float, d1: float, d2: float,
) -> float:  # fmt: skip
    """Least sine of the six dihedral angles (regular: 0.943); -1 for a flat or inverted cell.

    The sine at an edge of length l between faces of areas A1, A2 is 3 V l / (2 A1 A2).
    """
    x0, x1, x2 = b0 - a0, b1 - a1, b2 - a2
    y0, y1, y2 = c0 - a0, c1 - a1, c2 - a2
    z0, z1, z2 = d0 - a0, d1 - a1, d2 - a2
    p0, p1, p2 = y1 * z2 - y2 * z1, y2 * z0 - y0 * z2, y0 * z1 - y1 * z0  # face acd
    v = x0 * p0 + x1 * p1 + x2 * p2
    if not v > 0.0:
        return -1.0
    q0, q1, q2 = x1 * z2 - x2 * z1, x2 * z0 - x0 * z2, x0 * z1 - x1 * z0  # abd
    r0, r1, r2 = x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0  # abc
    u0, u1, u2 = y0 - x0, y1 - x1, y2 - x2
    w0, w1, w2 = z0 - x0, z1 - x1, z2 - x2
    s0, s1, s2 = u1 * w2 - u2 * w1, u2 * w0 - u0 * w2, u0 * w1 - u1 * w0  # bcd
    k0, k1, k2 = z0 - y0, z1 - y1, z2 - y2
    pp = p0 * p0 + p1 * p1 + p2 * p2
    qq = q0 * q0 + q1 * q1 + q2 * q2
    rr = r0 * r0 + r1 * r1 + r2 * r2
    ss = s0 * s0 + s1 * s1 + s2 * s2
    least = (x0 * x0 + x1 * x1 + x2 * x2) * pp * ss
    t = (y0 * y0 + y1 * y1 + y2 * y2) * qq * ss
    if t < least:
        least = t
    t = (z0 * z0 + z1 * z1 + z2 * z2) * rr * ss
    if t < least:
        least = t
    t = (u0 * u0 + u1 * u1 + u2 * u2) * pp * qq
    if t < least:
        least = t
    t = (w0 * w0 + w1 * w1 + w2 * w2) * pp * rr
    if t < least:
        least = t
    t = (k0 * k0 + k1 * k1 + k2 * k2) * qq * rr
    if t < least:
        least = t
    product = pp * qq * rr * ss
    if not product > 0.0:
        return -1.0
    return float(v * math.sqrt(least / product))


@nb.njit(cache=True, parallel=True)
def measure(
    points: npt.NDArray[np.float64], cells: npt.NDArray[np.int32], out: npt.NDArray[np.float32]
) -> None:
    """Fill ``out`` (6, k): volume, min and max dihedral angle (degrees), radius ratio, scaled Jacobian, aspect."""
    for c in nb.prange(len(cells)):
        p = np.empty((4, 3))
        for i in range(4):
            for k in range(3):
                p[i, k] = points[cells[c, i], k]
        n = np.empty((4, 3))
        area = np.empty(4)
        for i in range(4):  # normal of the face opposite corner i, outward for a positive cell
            a, b, d = (i + 1) & 3, (i + 2) & 3, (i + 3) & 3
            if i & 1:
                b, d = d, b
            ux, uy, uz = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
            vx, vy, vz = p[d, 0] - p[a, 0], p[d, 1] - p[a, 1], p[d, 2] - p[a, 2]
            n[i, 0], n[i, 1], n[i, 2] = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            area[i] = math.sqrt(n[i, 0] ** 2 + n[i, 1] ** 2 + n[i, 2] ** 2)
        six = -((p[0, 0] - p[1, 0]) * n[0, 0] + (p[0, 1] - p[1, 1]) * n[0, 1] + (p[0, 2] - p[1, 2]) * n[0, 2])
        low, high = 180.0, 0.0
        for i in range(4):
            for j in range(i + 1, 4):
                scale = area[i] * area[j]
                cosine = 1.0
                if scale > 0.0:
                    cosine = -(n[i, 0] * n[j, 0] + n[i, 1] * n[j, 1] + n[i, 2] * n[j, 2]) / scale
                angle = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
                low, high = min(low, angle), max(high, angle)
        total = area[0] + area[1] + area[2] + area[3]
        inradius = abs(six) / total if total > 0.0 else 0.0
        sq = np.empty((4, 4))
        longest = 0.0
        for i in range(4):
            for j in range(4):
                sq[i, j] = (p[i, 0] - p[j, 0]) ** 2 + (p[i, 1] - p[j, 1]) ** 2 + (p[i, 2] - p[j, 2]) ** 2
                longest = max(longest, sq[i, j])
        # circumradius from the three products of opposite edges (Crelle): (24 V R)^2 = s(s-2a)(s-2b)(s-2c)
        a_ = math.sqrt(sq[0, 1] * sq[2, 3])
        b_ = math.sqrt(sq[0, 2] * sq[1, 3])
        c_ = math.sqrt(sq[0, 3] * sq[1, 2])
        crelle = max(0.0, (a_ + b_ + c_) * (a_ + b_ - c_) * (a_ - b_ + c_) * (b_ + c_ - a_))
        root = math.sqrt(crelle)
        ratio = 3.0 * inradius * 4.0 * abs(six) / root if root > 0.0 else 0.0
        jacobian = 1e300
        for i in range(4):
            product = 1.0
            for j in range(4):
                if j != i:
                    product *= sq[i, j]
            corner = six * math.sqrt(2.0 / product) if product > 0.0 else 0.0
            jacobian = min(jacobian, corner)
        out[0, c] = six / 6.0
        out[1, c] = low
        out[2, c] = high
        out[3, c] = ratio
        out[4, c] = jacobian
        out[5, c] = math.sqrt(longest) / (2.0 * math.sqrt(6.0) * inradius) if inradius > 0.0 else np.inf


def warm(points: Any, cells: Any) -> None:
    """Compile `measure`."""
    measure(points, cells, np.empty((6, len(cells)), np.float32))
