"""Compiled set-up of the transport operator: faces, start profile, coarse levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pxm2mesh.quantify._smoother_kernels import LIMIT, F

PLATE = 255
"""Marks the padding of ``count`` next to a plate."""


@njit(cache=True, nogil=True, error_model="numpy")
def count_faces(first: int, last: int, mask: Any, count: Any, axis: int) -> None:
    """Sum of the face conductances of every voxel: 1 per conducting neighbour, 2 per plate.

    Args:
        first: First plane (1 is the first inside the padding).
        last: Last plane, included.
        mask: Padded uint8, 1 where the percolating conductor is; padding copied where periodic, else 0.
        count: Padded uint8, written inside.
        axis: Transport axis.
    """
    nz, ny, nx = mask.shape
    for k in range(first, last + 1):
        for j in range(1, ny - 1):
            plates = 0
            if axis == 0:
                plates = 2 * (k == 1) + 2 * (k == nz - 2)
            elif axis == 1:
                plates = 2 * (j == 1) + 2 * (j == ny - 2)
            m, u, d, lo, h, out = (
                mask[k, j],
                mask[k - 1, j],
                mask[k + 1, j],
                mask[k, j - 1],
                mask[k, j + 1],
                count[k, j],
            )
            for i in range(1, nx - 1):
                out[i] = m[i] * (plates + m[i - 1] + m[i + 1] + u[i] + d[i] + lo[i] + h[i])
            if axis == 2:
                out[1] += 2 * m[1]
                out[nx - 2] += 2 * m[nx - 2]


@njit(cache=True, nogil=True, error_model="numpy")
def fill_rho(first: int, last: int, phase: Any, mask: Any, of_phase: Any, rho: Any) -> None:
    """``rho`` of every voxel of the percolating conductor (the others keep what they have)."""
    for k in range(first, last + 1):
        for j in range(1, rho.shape[1] - 1):
            for i in range(1, rho.shape[2] - 1):
                if mask[k, j, i]:
                    rho[k, j, i] = of_phase[phase[k - 1, j - 1, i - 1]]


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _face(kind: int, count: Any, rho: Any, factor: Any, a: Any, b: Any) -> Any:
    """Conductance of the face between voxels ``a`` and ``b`` (index triples)."""
    if kind == 0:
        c, d = count[a], count[b]
        if c == 0 or d == 0:
            return F(0)
        return F(2) if c == PLATE or d == PLATE else F(1)
    r, s = rho[a], rho[b]
    return F(0) if r > LIMIT or s > LIMIT else F(factor / (r + s))


@njit(cache=True, nogil=True, error_model="numpy")
def face_sums(first: int, last: int, kind: int, count: Any, rho: Any, axis: int, sums: Any) -> None:
    """Sum the conductances of the faces across the transport axis, per plane and position along the axis.

    Args:
        first: First plane.
        last: Last plane, included.
        kind: 0 or 1, as in the smoother.
        count: Operator, kind 0.
        rho: Operator, kind 1.
        axis: Transport axis.
        sums: (planes + 2, n + 1) float64, written: row k holds what plane k adds to each position.
    """
    _, ny, nx = count.shape if kind == 0 else rho.shape
    u, v, w = int(axis == 0), int(axis == 1), int(axis == 2)
    one = F(1)
    for k in range(first if axis or first > 1 else 0, last + 1):
        for j in range(1 - v, ny - 1):
            for i in range(1 - w, nx - 1):
                sums[k, u * k + v * j + w * i] += _face(
                    kind, count, rho, one, (k, j, i), (k + u, j + v, i + w)
                )


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _gate(c: Any) -> Any:
    """Factor of a voxel of kind 0 in the conductances of its faces: 0, 1, or 2 for a plate."""
    return min(c, 1) + (c == PLATE)


@njit(cache=True, nogil=True, error_model="numpy")
def start_residual_of_one(first: int, last: int, count: Any, axis: int, drop: Any, r: Any, part: Any) -> None:
    """`start_residual` for kind 0, row by row without branches."""
    _, ny, nx = r.shape
    u, v = int(axis == 0), int(axis == 1)
    for k in range(first, last + 1):
        total: Any = 0.0
        for j in range(1, ny - 1):
            here, row = count[k, j], r[k, j]
            line = F(0)
            if axis < 2:
                before, after = count[k - u, j - v], count[k + u, j + v]
                at = k if axis == 0 else j
                into, out = drop[at - 1], drop[at]
                for i in range(1, nx - 1):
                    value = F(min(here[i], 1) * (_gate(before[i]) * into - _gate(after[i]) * out))
                    row[i] = value
                    line += value * value
            else:
                for i in range(1, nx - 1):
                    into, out = _gate(here[i - 1]) * drop[i - 1], _gate(here[i + 1]) * drop[i]
                    value = F(min(here[i], 1) * (into - out))
                    row[i] = value
                    line += value * value
            total += line
        part[k] = total


@njit(cache=True, nogil=True, error_model="numpy")
def coarsen_one(first: int, last: int, count: Any, cz: Any, cy: Any, cx: Any) -> None:
    """`coarsen` for kind 0, row by row without branches."""
    nz, ny, nx = count.shape
    half = F(0.5)
    a, b, c = np.zeros(nx + 1, np.int32), np.zeros(nx + 1, np.int32), np.zeros(nx + 1, np.int32)
    for K in range(first, last + 1):
        fk = min(2 * K, nz - 2)
        for J in range(cz.shape[1] - 1):
            fj = min(2 * J, ny - 2)
            a[:], b[:], c[:] = 0, 0, 0
            for k in range(max(2 * K - 1, 1), fk + 1):
                for j in range(max(2 * J - 1, 1), fj + 1):
                    if K and J:
                        here = count[k, j]
                        for i in range(nx - 1):
                            c[i] += _gate(here[i]) * _gate(here[i + 1])
                if K:
                    here, there = count[k, fj], count[k, fj + 1]
                    for i in range(1, nx - 1):
                        b[i] += _gate(here[i]) * _gate(there[i])
            if J:
                for j in range(max(2 * J - 1, 1), fj + 1):
                    here, there = count[fk, j], count[fk + 1, j]
                    for i in range(1, nx - 1):
                        a[i] += _gate(here[i]) * _gate(there[i])
            cx[K, J, 0] = half * c[0]
            for I in range(1, cz.shape[2] - 1):  # noqa: E741
                cz[K, J, I] = half * (a[2 * I - 1] + a[2 * I])
                cy[K, J, I] = half * (b[2 * I - 1] + b[2 * I])
                cx[K, J, I] = half * c[min(2 * I, nx - 2)]


@njit(cache=True, nogil=True, error_model="numpy")
def start_residual(
    first: int, last: int, kind: int, count: Any, rho: Any, axis: int, drop: Any, r: Any, part: Any
) -> None:
    """Net current into every voxel when the potential depends on the position along the axis only.

    Args are those of `face_sums`; ``drop`` (n + 1,) is the potential drop across each face, ``r`` is written,
    ``part`` gets the squared norm of each plane.
    """
    _, ny, nx = r.shape
    u, v, w = int(axis == 0), int(axis == 1), int(axis == 2)
    one = F(1)
    for k in range(first, last + 1):
        total = 0.0
        for j in range(1, ny - 1):
            for i in range(1, nx - 1):
                if (count[k, j, i] == 0) if kind == 0 else (rho[k, j, i] > LIMIT):
                    continue
                at = u * k + v * j + w * i
                into = _face(kind, count, rho, one, (k - u, j - v, i - w), (k, j, i)) * drop[at - 1]
                out = _face(kind, count, rho, one, (k, j, i), (k + u, j + v, i + w)) * drop[at]
                r[k, j, i] = into - out
                total += (into - out) ** 2
        part[k] = total


@njit(cache=True, nogil=True, error_model="numpy")
def coarsen(
    first: int,
    last: int,
    kind: int,
    count: Any,
    rho: Any,
    axis: Any,
    kz: Any,
    ky: Any,
    kx: Any,
    cz: Any,
    cy: Any,
    cx: Any,
) -> None:
    """Face conductances of the next level: half the sum of the fine faces that cross between blocks.

    Args:
        first: First coarse plane (0 for the faces of the padding).
        last: Last coarse plane, included.
        kind: How the fine operator is stored.
        count: Operator, kind 0.
        rho: Operator, kind 1.
        axis: (3,) factors of the directions, kind 1.
        kz: Operator, kind 2.
        ky: Operator, kind 2.
        kx: Operator, kind 2.
        cz: Coarse faces across the first axis, written.
        cy: Coarse faces across the second axis, written.
        cx: Coarse faces across the third axis, written.
    """
    nz, ny, nx = count.shape if kind == 0 else rho.shape if kind == 1 else kz.shape
    half = F(0.5)
    for K in range(first, last + 1):
        for J in range(cz.shape[1] - 1):
            for I in range(cz.shape[2] - 1):  # noqa: E741
                fk, fj, fi = min(2 * K, nz - 2), min(2 * J, ny - 2), min(2 * I, nx - 2)
                a, b, c = F(0), F(0), F(0)
                for k in range(max(2 * K - 1, 1), fk + 1):
                    for j in range(max(2 * J - 1, 1), fj + 1):
                        if K and J:
                            c += cx_face(kind, count, rho, axis, kx, k, j, fi)
                for k in range(max(2 * K - 1, 1), fk + 1):
                    for i in range(max(2 * I - 1, 1), fi + 1):
                        if K and I:
                            b += cy_face(kind, count, rho, axis, ky, k, fj, i)
                for j in range(max(2 * J - 1, 1), fj + 1):
                    for i in range(max(2 * I - 1, 1), fi + 1):
                        if J and I:
                            a += cz_face(kind, count, rho, axis, kz, fk, j, i)
                cz[K, J, I], cy[K, J, I], cx[K, J, I] = half * a, half * b, half * c


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def cz_face(kind: int, count: Any, rho: Any, axis: Any, kz: Any, k: int, j: int, i: int) -> Any:
    """Face between plane k and the next."""
    return kz[k, j, i] if kind == 2 else _face(kind, count, rho, axis[0], (k, j, i), (k + 1, j, i))


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def cy_face(kind: int, count: Any, rho: Any, axis: Any, ky: Any, k: int, j: int, i: int) -> Any:
    """Face between row j and the next."""
    return ky[k, j, i] if kind == 2 else _face(kind, count, rho, axis[1], (k, j, i), (k, j + 1, i))


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def cx_face(kind: int, count: Any, rho: Any, axis: Any, kx: Any, k: int, j: int, i: int) -> Any:
    """Face between voxel i of a row and the next."""
    return kx[k, j, i] if kind == 2 else _face(kind, count, rho, axis[2], (k, j, i), (k, j, i + 1))


@njit(cache=True, nogil=True, error_model="numpy")
def diagonal(first: int, last: int, kz: Any, ky: Any, kx: Any, dg: Any) -> None:
    """Sum of the six face conductances of every cell."""
    for k in range(first, last + 1):
        for j in range(1, dg.shape[1] - 1):
            for i in range(1, dg.shape[2] - 1):
                dg[k, j, i] = (
                    kz[k - 1, j, i]
                    + kz[k, j, i]
                    + ky[k, j - 1, i]
                    + ky[k, j, i]
                    + kx[k, j, i - 1]
                    + kx[k, j, i]
                )


@njit(cache=True, nogil=True, error_model="numpy")
def invert(matrix: Any) -> None:
    """Invert a small positive definite matrix in place (Gauss-Jordan; no BLAS threads that spin)."""
    n = len(matrix)
    for p in range(n):
        pivot = 1 / matrix[p, p]
        matrix[p, p] = 1.0
        for c in range(n):
            matrix[p, c] *= pivot
        for r in range(n):
            if r != p:
                f = matrix[r, p]
                if f != 0:
                    matrix[r, p] = 0.0
                    for c in range(n):
                        matrix[r, c] -= f * matrix[p, c]


@njit(cache=True, nogil=True, fastmath=True)
def multiply(matrix: Any, vector: Any) -> Any:
    """Matrix times vector."""
    out = np.empty(len(matrix), matrix.dtype)
    for r in range(len(matrix)):
        total = F(0)
        for c in range(len(vector)):
            total += matrix[r, c] * vector[c]
        out[r] = total
    return out
