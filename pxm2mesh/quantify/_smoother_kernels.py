"""Compiled multigrid smoothing, three sweeps fused into one pass over memory.

A level stores its operator in one of three ways (``kind``):
0: one conductivity on cubic voxels; ``count`` holds the sum of the face conductances (0 to 8) of each voxel;
1: ``rho`` = 1/(2 conductivity) of each voxel, 0 on a plate, `BIG` where nothing flows; ``axis`` scales directions;
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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _start_plane(
    kind: int, k: int, weight: Any, b: Any, count: Any, rho: Any, axis: Any, dg: Any, out: Any
) -> None:
    """One Jacobi sweep of plane k from zero: ``out = weight b / diagonal``."""
    m, n = out.shape[0] - 1, out.shape[1] - 1
    if kind == 0:
        for j in range(1, m):
            for i in range(1, n):
                out[j, i] = weight * b[k, j, i] / F(max(count[k, j, i], 1))
    elif kind == 1:
        az, ay, ax = axis[0], axis[1], axis[2]
        for j in range(1, m):
            for i in range(1, n):
                r = rho[k, j, i]
                d = az / (r + rho[k - 1, j, i]) + az / (r + rho[k + 1, j, i])
                d += ay / (r + rho[k, j - 1, i]) + ay / (r + rho[k, j + 1, i])
                d += ax / (r + rho[k, j, i - 1]) + ax / (r + rho[k, j, i + 1])
                out[j, i] = weight * b[k, j, i] / d if r < LIMIT else F(0)
    else:
        for j in range(1, m):
            for i in range(1, n):
                out[j, i] = weight * b[k, j, i] / max(dg[k, j, i], _TINY)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _sweep_plane(
    kind: int, k: int, weight: Any, b: Any, count: Any, rho: Any, axis: Any, kz: Any, ky: Any, kx: Any,
    dg: Any, x: Any, u: Any, d: Any, out: Any,
) -> None:  # fmt: skip
    """One damped Jacobi sweep of plane k; ``x`` is the plane, ``u`` and ``d`` the ones before and after."""
    m, n = out.shape[0] - 1, out.shape[1] - 1
    if kind == 0:
        for j in range(1, m):
            for i in range(1, n):
                s = b[k, j, i] + x[j, i - 1] + x[j, i + 1] + u[j, i] + d[j, i] + x[j - 1, i] + x[j + 1, i]
                g = F(count[k, j, i])
                out[j, i] = min(g, F(1)) * (x[j, i] + weight * (s / max(g, F(1)) - x[j, i]))
    elif kind == 1:
        az, ay, ax = axis[0], axis[1], axis[2]
        for j in range(1, m):
            for i in range(1, n):
                r = rho[k, j, i]
                a0, a1 = ax / (r + rho[k, j, i - 1]), ax / (r + rho[k, j, i + 1])
                a2, a3 = az / (r + rho[k - 1, j, i]), az / (r + rho[k + 1, j, i])
                a4, a5 = ay / (r + rho[k, j - 1, i]), ay / (r + rho[k, j + 1, i])
                s = b[k, j, i] + a0 * x[j, i - 1] + a1 * x[j, i + 1] + a2 * u[j, i] + a3 * d[j, i]
                s += a4 * x[j - 1, i] + a5 * x[j + 1, i]
                v = x[j, i] + weight * (s / (a0 + a1 + a2 + a3 + a4 + a5) - x[j, i])
                out[j, i] = v if r < LIMIT else F(0)
    else:
        for j in range(1, m):
            for i in range(1, n):
                s = b[k, j, i] + kx[k, j, i - 1] * x[j, i - 1] + kx[k, j, i] * x[j, i + 1]
                s += kz[k - 1, j, i] * u[j, i] + kz[k, j, i] * d[j, i]
                s += ky[k, j - 1, i] * x[j - 1, i] + ky[k, j, i] * x[j + 1, i]
                out[j, i] = x[j, i] + weight * (s / max(dg[k, j, i], _TINY) - x[j, i])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _apply_plane(
    kind: int, k: int, count: Any, rho: Any, axis: Any, kz: Any, ky: Any, kx: Any, dg: Any,
    x: Any, u: Any, d: Any, out: Any,
) -> None:  # fmt: skip
    """``out`` = plane k of the operator applied to the planes ``u``, ``x``, ``d``."""
    m, n = out.shape[0] - 1, out.shape[1] - 1
    if kind == 0:
        for j in range(1, m):
            for i in range(1, n):
                g = F(count[k, j, i])
                s = x[j, i - 1] + x[j, i + 1] + u[j, i] + d[j, i] + x[j - 1, i] + x[j + 1, i]
                out[j, i] = min(g, F(1)) * (g * x[j, i] - s)
    elif kind == 1:
        az, ay, ax = axis[0], axis[1], axis[2]
        for j in range(1, m):
            for i in range(1, n):
                r, c = rho[k, j, i], x[j, i]
                v = ax * (
                    (c - x[j, i - 1]) / (r + rho[k, j, i - 1]) + (c - x[j, i + 1]) / (r + rho[k, j, i + 1])
                )
                v += az * ((c - u[j, i]) / (r + rho[k - 1, j, i]) + (c - d[j, i]) / (r + rho[k + 1, j, i]))
                v += ay * (
                    (c - x[j - 1, i]) / (r + rho[k, j - 1, i]) + (c - x[j + 1, i]) / (r + rho[k, j + 1, i])
                )
                out[j, i] = v if r < LIMIT else F(0)
    else:
        for j in range(1, m):
            for i in range(1, n):
                s = kx[k, j, i - 1] * x[j, i - 1] + kx[k, j, i] * x[j, i + 1] + kz[k - 1, j, i] * u[j, i]
                s += kz[k, j, i] * d[j, i] + ky[k, j - 1, i] * x[j - 1, i] + ky[k, j, i] * x[j + 1, i]
                out[j, i] = dg[k, j, i] * x[j, i] - s


@njit(cache=True, nogil=True)
def _wrap(plane: Any, wrap_y: bool, wrap_x: bool) -> None:
    """Copy the outermost rows and columns of a plane into the padding of the other side."""
    if wrap_y:
        plane[0] = plane[-2]
        plane[-1] = plane[1]
    if wrap_x:
        plane[:, 0] = plane[:, -2]
        plane[:, -1] = plane[:, 1]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def presmooth(
    first: int, last: int, kind: int, fresh: bool, w0: Any, w1: Any, x: Any, b: Any, count: Any, rho: Any,
    axis: Any, kz: Any, ky: Any, kx: Any, dg: Any, low: Any, high: Any, coarse: Any, wrap_y: bool, wrap_x: bool,
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
    applied = np.zeros((ny, nx), F)
    total = np.zeros(nx + 1, F)
    for t in range(first - 2, last + 3):
        stage = once[t % 3]
        if t < 1 or t > n:
            stage[:] = F(0)
        else:
            if fresh:
                _start_plane(kind, t, w0, b, count, rho, axis, dg, stage)
            else:
                prev = (
                    low[t - first + 2] if t - 1 < first else high[t - last - 2] if t - 1 > last else x[t - 1]
                )
                here = low[t - first + 3] if t < first else high[t - last - 1] if t > last else x[t]
                next_ = low[t - first + 4] if t + 1 < first else high[t - last] if t + 1 > last else x[t + 1]
                _sweep_plane(kind, t, w0, b, count, rho, axis, kz, ky, kx, dg,
                               here, prev, next_, stage)  # fmt: skip
            _wrap(stage, wrap_y, wrap_x)
        s = t - 1
        if s < first - 1:
            continue
        stage = twice[s % 3]
        if s < 1 or s > n:
            stage[:] = F(0)
        else:
            prev, here, next_ = once[(s - 1) % 3], once[s % 3], once[(s + 1) % 3]
            _sweep_plane(kind, s, w1, b, count, rho, axis, kz, ky, kx, dg,
                           here, prev, next_, stage)  # fmt: skip
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
        _apply_plane(kind, k, count, rho, axis, kz, ky, kx, dg, here, prev, next_, applied)
        for J in range(1, coarse.shape[1] - 1):
            total[:] = F(0)
            for j in range(2 * J - 1, min(2 * J, ny - 2) + 1):
                for i in range(1, nx - 1):
                    total[i] += b[k, j, i] - applied[j, i]
            for i in range(1, plane.shape[1] - 1):
                plane[J, i] += total[2 * i - 1] + total[2 * i]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def postsmooth(
    first: int, last: int, kind: int, w0: Any, w1: Any, x: Any, b: Any, count: Any, rho: Any, axis: Any,
    kz: Any, ky: Any, kx: Any, dg: Any, low: Any, high: Any, coarse: Any, wrap_y: bool, wrap_x: bool,
    part: Any,
) -> None:  # fmt: skip
    """Add the coarse correction on planes first…last, sweep twice; ``b·x`` of each plane in ``part``.

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
                for i in range(1, coarse.shape[2] - 1):
                    fine[2 * i - 1] = coarse[(t + 1) // 2, (j + 1) // 2, i]
                    fine[2 * i] = coarse[(t + 1) // 2, (j + 1) // 2, i]
                if kind == 0:
                    for i in range(1, nx - 1):
                        stage[j, i] = plane[j, i] + F(min(count[t, j, i], 1)) * fine[i]
                elif kind == 1:
                    for i in range(1, nx - 1):
                        stage[j, i] = plane[j, i] + (fine[i] if rho[t, j, i] < LIMIT else F(0))
                else:
                    for i in range(1, nx - 1):
                        stage[j, i] = plane[j, i] + (fine[i] if dg[t, j, i] > F(0) else F(0))
            _wrap(stage, wrap_y, wrap_x)
        s = t - 1
        if s < first - 1:
            continue
        stage = once[s % 3]
        if s < 1 or s > n:
            stage[:] = F(0)
        else:
            prev, here, next_ = fixed[(s - 1) % 3], fixed[s % 3], fixed[(s + 1) % 3]
            _sweep_plane(kind, s, w0, b, count, rho, axis, kz, ky, kx, dg,
                           here, prev, next_, stage)  # fmt: skip
            _wrap(stage, wrap_y, wrap_x)
        k = t - 2
        if k < first:
            continue
        prev, here, next_ = once[(k - 1) % 3], once[k % 3], once[(k + 1) % 3]
        total = np.float64(0)
        out = x[k]
        _sweep_plane(kind, k, w1, b, count, rho, axis, kz, ky, kx, dg, here, prev, next_, out)
        for j in range(1, ny - 1):
            line = F(0)
            for i in range(1, nx - 1):
                line += b[k, j, i] * out[j, i]
            total += line
        part[k] = total


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
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
                for i in range(1, nx - 1):
                    p[t, j, i] = z[t, j, i] + beta * p[t, j, i]
            _wrap(p[t], wrap_y, wrap_x)
        k = t - 1
        if k < first:
            continue
        prev = low if k == first else p[k - 1]
        next_ = high if k == last else p[k + 1]
        here, out = p[k], z[k]
        total = np.float64(0)
        _apply_plane(kind, k, count, rho, axis, rho, rho, rho, rho, here, prev, next_, out)
        for j in range(1, ny - 1):
            line = F(0)
            for i in range(1, nx - 1):
                line += out[j, i] * here[j, i]
            total += line
        part[k] = total


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def advance(first: int, last: int, alpha: Any, r: Any, q: Any, x: Any, p: Any, keep: bool, part: Any) -> None:
    """``r -= alpha q`` and, where the field is kept, ``x += alpha p``; ``r·r`` of each plane."""
    for k in range(first, last + 1):
        total = np.float64(0)
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
