"""Compiled multigrid smoothing, three sweeps fused into one pass over memory.

A level stores its operator in one of three ways (``kind``):
0: one conductivity on cubic voxels; ``count`` holds the sum of the face conductances (0 to 8) of each voxel;
1: ``rho`` = 1/(2 conductivity) of each voxel, 0 on a plate, `BIG` where nothing flows; ``axis`` scales the directions;
2: stored face conductances ``kz, ky, kx`` (each between a cell and its upper neighbour) and diagonal ``dg``.
All arrays are padded by one cell on every side. Passes run on parts of the planes; the planes of other
parts are read from copies (``low``, ``high``), so the result does not depend on how the planes are shared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

F = np.float32
BIG = np.float32(1e18)
LIMIT = np.float32(1e17)
_TINY = np.float32(1e-30)


@njit(cache=True, nogil=True, fastmath=True)
def _start_row(kind: int, k: int, j: int, weight: Any, b: Any, count: Any, rho: Any, axis: Any, dg: Any, out: Any) -> None:
    """One Jacobi sweep from zero: ``out = weight b / diagonal``."""
    n = out.size - 1
    br = b[k, j]
    if kind == 0:
        cr = count[k, j]
        for i in range(1, n):
            out[i] = weight * br[i] / F(max(cr[i], 1))
    elif kind == 1:
        rr, ru, rd, rl, rh = rho[k, j], rho[k - 1, j], rho[k + 1, j], rho[k, j - 1], rho[k, j + 1]
        az, ay, ax = axis[0], axis[1], axis[2]
        for i in range(1, n):
            r = rr[i]
            d = az / (r + ru[i]) + az / (r + rd[i]) + ay / (r + rl[i]) + ay / (r + rh[i])
            d += ax / (r + rr[i - 1]) + ax / (r + rr[i + 1])
            out[i] = weight * br[i] / d if r < LIMIT else F(0)
    else:
        dr = dg[k, j]
        for i in range(1, n):
            out[i] = weight * br[i] / max(dr[i], _TINY)


@njit(cache=True, nogil=True, fastmath=True)
def _sweep_row(
    kind: int, k: int, j: int, weight: Any, b: Any, count: Any, rho: Any, axis: Any, kz: Any, ky: Any, kx: Any, dg: Any,
    c: Any, u: Any, d: Any, lo: Any, h: Any, out: Any,
) -> None:  # fmt: skip
    """One damped Jacobi sweep of row (k, j): ``c`` is the row, ``u, d, lo, h`` its four neighbours."""
    n = out.size - 1
    br = b[k, j]
    if kind == 0:
        cr = count[k, j]
        for i in range(1, n):
            s = br[i] + c[i - 1] + c[i + 1] + u[i] + d[i] + lo[i] + h[i]
            g = F(cr[i])
            out[i] = min(g, F(1)) * (c[i] + weight * (s / max(g, F(1)) - c[i]))
    elif kind == 1:
        rr, ru, rd, rl, rh = rho[k, j], rho[k - 1, j], rho[k + 1, j], rho[k, j - 1], rho[k, j + 1]
        az, ay, ax = axis[0], axis[1], axis[2]
        for i in range(1, n):
            r = rr[i]
            a0, a1 = ax / (r + rr[i - 1]), ax / (r + rr[i + 1])
            a2, a3 = az / (r + ru[i]), az / (r + rd[i])
            a4, a5 = ay / (r + rl[i]), ay / (r + rh[i])
            s = br[i] + a0 * c[i - 1] + a1 * c[i + 1] + a2 * u[i] + a3 * d[i] + a4 * lo[i] + a5 * h[i]
            v = c[i] + weight * (s / (a0 + a1 + a2 + a3 + a4 + a5) - c[i])
            out[i] = v if r < LIMIT else F(0)
    else:
        zu, zd, yl, yh, xx, dr = kz[k - 1, j], kz[k, j], ky[k, j - 1], ky[k, j], kx[k, j], dg[k, j]
        for i in range(1, n):
            s = br[i] + xx[i - 1] * c[i - 1] + xx[i] * c[i + 1]
            s += zu[i] * u[i] + zd[i] * d[i] + yl[i] * lo[i] + yh[i] * h[i]
            out[i] = c[i] + weight * (s / max(dr[i], _TINY) - c[i])


@njit(cache=True, nogil=True, fastmath=True)
def _apply_row(
    kind: int, k: int, j: int, count: Any, rho: Any, axis: Any, kz: Any, ky: Any, kx: Any, dg: Any,
    c: Any, u: Any, d: Any, lo: Any, h: Any, out: Any,
) -> None:  # fmt: skip
    """``out`` = row (k, j) of the operator applied to the rows given."""
    n = out.size - 1
    if kind == 0:
        cr = count[k, j]
        for i in range(1, n):
            g = F(cr[i])
            out[i] = min(g, F(1)) * (g * c[i] - (c[i - 1] + c[i + 1] + u[i] + d[i] + lo[i] + h[i]))
    elif kind == 1:
        rr, ru, rd, rl, rh = rho[k, j], rho[k - 1, j], rho[k + 1, j], rho[k, j - 1], rho[k, j + 1]
        az, ay, ax = axis[0], axis[1], axis[2]
        for i in range(1, n):
            r, m = rr[i], c[i]
            v = ax * ((m - c[i - 1]) / (r + rr[i - 1]) + (m - c[i + 1]) / (r + rr[i + 1]))
            v += az * ((m - u[i]) / (r + ru[i]) + (m - d[i]) / (r + rd[i]))
            v += ay * ((m - lo[i]) / (r + rl[i]) + (m - h[i]) / (r + rh[i]))
            out[i] = v if r < LIMIT else F(0)
    else:
        zu, zd, yl, yh, xx, dr = kz[k - 1, j], kz[k, j], ky[k, j - 1], ky[k, j], kx[k, j], dg[k, j]
        for i in range(1, n):
            s = xx[i - 1] * c[i - 1] + xx[i] * c[i + 1] + zu[i] * u[i] + zd[i] * d[i] + yl[i] * lo[i] + yh[i] * h[i]
            out[i] = dr[i] * c[i] - s


@njit(cache=True, nogil=True)
def _wrap(plane: Any, wrap_y: bool, wrap_x: bool) -> None:
    """Copy the outermost rows and columns of a plane into the padding of the other side."""
    if wrap_y:
        plane[0] = plane[-2]
        plane[-1] = plane[1]
    if wrap_x:
        plane[:, 0] = plane[:, -2]
        plane[:, -1] = plane[:, 1]


@njit(cache=True, nogil=True, fastmath=True)
def presmooth(
    first: int, last: int, kind: int, fresh: bool, w0: Any, w1: Any, x: Any, b: Any, count: Any, rho: Any, axis: Any,
    kz: Any, ky: Any, kx: Any, dg: Any, low: Any, high: Any, coarse: Any, wrap_y: bool, wrap_x: bool,
) -> None:  # fmt: skip
    """Two Jacobi sweeps on planes first…last, and the residual summed over 2×2×2 blocks.

    Args:
        first: First plane, odd (1 is the first inside the padding).
        last: Last plane, included; even, or the last of all.
        kind: How the operator is stored.
        fresh: Whether ``x`` is to be taken as zero.
        w0: Weight of the first sweep.
        w1: Weight of the second sweep.
        x: Unknowns, updated in place.
        b: Right-hand side.
        count: Operator, kind 0.
        rho: Operator, kind 1.
        axis: (3,) factors of the directions, kind 1.
        kz: Operator, kind 2.
        ky: Operator, kind 2.
        kx: Operator, kind 2.
        dg: Operator, kind 2.
        low: The three planes of ``x`` before ``first``, as they were.
        high: The three planes after ``last``, as they were.
        coarse: Right-hand side of the next level, written.
        wrap_y: Periodic across the second axis.
        wrap_x: Periodic across the third axis.
    """
    nz, ny, nx = b.shape
    n = nz - 2
    once = np.zeros((3, ny, nx), F)
    twice = np.zeros((3, ny, nx), F)
    row = np.zeros(nx, F)
    total = np.zeros(nx + 1, F)
    for t in range(first - 2, last + 3):
        stage = once[t % 3]
        if t < 1 or t > n:
            stage[:] = F(0)
        else:
            if fresh:
                for j in range(1, ny - 1):
                    _start_row(kind, t, j, w0, b, count, rho, axis, dg, stage[j])
            else:
                prev = low[t - first + 2] if t - 1 < first else high[t - last - 2] if t - 1 > last else x[t - 1]
                here = low[t - first + 3] if t < first else high[t - last - 1] if t > last else x[t]
                next_ = low[t - first + 4] if t + 1 < first else high[t - last] if t + 1 > last else x[t + 1]
                for j in range(1, ny - 1):
                    _sweep_row(kind, t, j, w0, b, count, rho, axis, kz, ky, kx, dg,
                               here[j], prev[j], next_[j], here[j - 1], here[j + 1], stage[j])  # fmt: skip
            _wrap(stage, wrap_y, wrap_x)
        s = t - 1
        if s < first - 1:
            continue
        stage = twice[s % 3]
        if s < 1 or s > n:
            stage[:] = F(0)
        else:
            prev, here, next_ = once[(s - 1) % 3], once[s % 3], once[(s + 1) % 3]
            for j in range(1, ny - 1):
                _sweep_row(kind, s, j, w1, b, count, rho, axis, kz, ky, kx, dg,
                           here[j], prev[j], next_[j], here[j - 1], here[j + 1], stage[j])  # fmt: skip
            _wrap(stage, wrap_y, wrap_x)
            if first <= s <= last:
                x[s] = stage
        k = t - 2
        if k < first:
            continue
        prev, here, next_ = twice[(k - 1) % 3], twice[k % 3], twice[(k + 1) % 3]
        plane = coarse[(k + 1) // 2]
        if k % 2 == 1:
            plane[:] = F(0)
        for J in range(1, coarse.shape[1] - 1):
            total[:] = F(0)
            for j in range(2 * J - 1, min(2 * J, ny - 2) + 1):
                _apply_row(kind, k, j, count, rho, axis, kz, ky, kx, dg,
                           here[j], prev[j], next_[j], here[j - 1], here[j + 1], row)  # fmt: skip
                br = b[k, j]
                for i in range(1, nx - 1):
                    total[i] += br[i] - row[i]
            out = plane[J]
            for i in range(1, out.size - 1):
                out[i] += total[2 * i - 1] + total[2 * i]


@njit(cache=True, nogil=True, fastmath=True)
def postsmooth(
    first: int, last: int, kind: int, w0: Any, w1: Any, x: Any, b: Any, count: Any, rho: Any, axis: Any,
    kz: Any, ky: Any, kx: Any, dg: Any, low: Any, high: Any, coarse: Any, wrap_y: bool, wrap_x: bool, part: Any,
) -> None:  # fmt: skip
    """Add the coarse correction on planes first…last, sweep twice, and leave ``b·x`` of each plane in ``part``.

    Args are those of `presmooth`; ``low`` and ``high`` hold two planes, ``coarse`` the correction.
    """
    nz, ny, nx = b.shape
    n = nz - 2
    fixed = np.zeros((3, ny, nx), F)
    once = np.zeros((3, ny, nx), F)
    fine = np.zeros(nx + 1, F)
    for t in range(first - 2, last + 3):
        stage = fixed[t % 3]
        if t < 1 or t > n:
            stage[:] = F(0)
        else:
            plane = low[t - first + 2] if t < first else high[t - last - 1] if t > last else x[t]
            for j in range(1, ny - 1):
                add = coarse[(t + 1) // 2, (j + 1) // 2]
                for i in range(1, add.size - 1):
                    fine[2 * i - 1] = add[i]
                    fine[2 * i] = add[i]
                out, old = stage[j], plane[j]
                if kind == 0:
                    cr = count[t, j]
                    for i in range(1, nx - 1):
                        out[i] = old[i] + F(min(cr[i], 1)) * fine[i]
                elif kind == 1:
                    rr = rho[t, j]
                    for i in range(1, nx - 1):
                        out[i] = old[i] + (fine[i] if rr[i] < LIMIT else F(0))
                else:
                    dr = dg[t, j]
                    for i in range(1, nx - 1):
                        out[i] = old[i] + (fine[i] if dr[i] > F(0) else F(0))
            _wrap(stage, wrap_y, wrap_x)
        s = t - 1
        if s < first - 1:
            continue
        stage = once[s % 3]
        if s < 1 or s > n:
            stage[:] = F(0)
        else:
            prev, here, next_ = fixed[(s - 1) % 3], fixed[s % 3], fixed[(s + 1) % 3]
            for j in range(1, ny - 1):
                _sweep_row(kind, s, j, w0, b, count, rho, axis, kz, ky, kx, dg,
                           here[j], prev[j], next_[j], here[j - 1], here[j + 1], stage[j])  # fmt: skip
            _wrap(stage, wrap_y, wrap_x)
        k = t - 2
        if k < first:
            continue
        prev, here, next_ = once[(k - 1) % 3], once[k % 3], once[(k + 1) % 3]
        total = 0.0
        for j in range(1, ny - 1):
            out, br = x[k, j], b[k, j]
            _sweep_row(kind, k, j, w1, b, count, rho, axis, kz, ky, kx, dg,
                       here[j], prev[j], next_[j], here[j - 1], here[j + 1], out)  # fmt: skip
            line = F(0)
            for i in range(1, nx - 1):
                line += br[i] * out[i]
            total += line
        part[k] = total


@njit(cache=True, nogil=True, fastmath=True)
def turn_and_apply(
    first: int, last: int, kind: int, beta: Any, p: Any, z: Any, count: Any, rho: Any, axis: Any,
    low: Any, high: Any, wrap_y: bool, wrap_x: bool, part: Any,
) -> None:  # fmt: skip
    """New search direction ``p = z + beta p`` on planes first…last, ``z = A p``, and ``p·A p`` of each plane.

    ``low`` and ``high`` hold the new direction on the plane before and after.
    """
    ny, nx = p.shape[1], p.shape[2]
    for t in range(first, last + 2):
        if t <= last:
            for j in range(1, ny - 1):
                pr, zr = p[t, j], z[t, j]
                for i in range(1, nx - 1):
                    pr[i] = zr[i] + beta * pr[i]
            _wrap(p[t], wrap_y, wrap_x)
        k = t - 1
        if k < first:
            continue
        prev = low if k == first else p[k - 1]
        next_ = high if k == last else p[k + 1]
        here = p[k]
        total = 0.0
        for j in range(1, ny - 1):
            out, pr = z[k, j], here[j]
            _apply_row(kind, k, j, count, rho, axis, rho, rho, rho, rho,
                       pr, prev[j], next_[j], here[j - 1], here[j + 1], out)  # fmt: skip
            line = F(0)
            for i in range(1, nx - 1):
                line += out[i] * pr[i]
            total += line
        part[k] = total


@njit(cache=True, nogil=True, fastmath=True)
def advance(first: int, last: int, alpha: Any, r: Any, q: Any, x: Any, p: Any, keep: bool, part: Any) -> None:
    """``r -= alpha q`` and, where the field is kept, ``x += alpha p``; ``r·r`` of each plane."""
    for k in range(first, last + 1):
        total = 0.0
        for j in range(1, r.shape[1] - 1):
            rr, qr = r[k, j], q[k, j]
            line = F(0)
            for i in range(1, rr.size - 1):
                v = rr[i] - alpha * qr[i]
                rr[i] = v
                line += v * v
            if keep:
                xr, pr = x[k, j], p[k, j]
                for i in range(1, rr.size - 1):
                    xr[i] += alpha * pr[i]
            total += line
        part[k] = total
