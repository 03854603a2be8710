"""Compiled parts of the multigrid on graphs: matrix of the conducting voxels, aggregates, sweeps.

A matrix is stored by rows: ``start`` (n + 1,), ``column`` and ``value`` hold the conductances to other cells
(positive), ``diagonal`` their sum plus what leads to the plates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pxm2mesh.quantify._operator_kernels import cx_face, cy_face, cz_face


@njit(cache=True, nogil=True, error_model="numpy")
def fill_rows(
    first: int, last: int, kind: int, count: Any, rho: Any, axis: Any, number: Any, wrap_y: bool, wrap_x: bool,
    start: Any, column: Any, value: Any, diagonal: Any,
) -> None:  # fmt: skip
    """Rows of the cells of planes first…last, six places each; places without a neighbour get column -1.

    Args:
        first: First plane (1 is the first inside the padding).
        last: Last plane, included.
        kind: How the operator is stored, 0 or 1.
        count: Operator, kind 0.
        rho: Operator, kind 1.
        axis: (3,) factors of the directions, kind 1.
        number: Padded int32, number of each cell, -1 where nothing conducts.
        wrap_y: Periodic across the second axis.
        wrap_x: Periodic across the third axis.
        start: (n,) place of each row, given.
        column: Written.
        value: Written.
        diagonal: (n,) float64, written.
    """
    _, ny, nx = number.shape
    for k in range(first, last + 1):
        for j in range(1, ny - 1):
            for i in range(1, nx - 1):
                own = number[k, j, i]
                if own < 0:
                    continue
                at, total = start[own], 0.0
                for way in range(6):
                    kk, jj, ii = k, j, i
                    if way == 0:
                        g = cz_face(kind, count, rho, axis, rho, k - 1, j, i)
                        kk = k - 1
                    elif way == 1:
                        g = cy_face(kind, count, rho, axis, rho, k, j - 1, i)
                        jj = j - 1
                    elif way == 2:
                        g = cx_face(kind, count, rho, axis, rho, k, j, i - 1)
                        ii = i - 1
                    elif way == 3:
                        g = cx_face(kind, count, rho, axis, rho, k, j, i)
                        ii = i + 1
                    elif way == 4:
                        g = cy_face(kind, count, rho, axis, rho, k, j, i)
                        jj = j + 1
                    else:
                        g = cz_face(kind, count, rho, axis, rho, k, j, i)
                        kk = k + 1
                    if g <= 0:
                        continue
                    total += g
                    if wrap_y:
                        jj = ny - 2 if jj == 0 else 1 if jj == ny - 1 else jj
                    if wrap_x:
                        ii = nx - 2 if ii == 0 else 1 if ii == nx - 1 else ii
                    other = number[kk, jj, ii]
                    if other >= 0 and other != own:
                        column[at], value[at] = other, g
                        at += 1
                    elif other == own:
                        total -= g
                diagonal[own] = total


@njit(cache=True, nogil=True)
def row_lengths(first: int, last: int, number: Any, wrap_y: bool, wrap_x: bool, length: Any) -> None:
    """Conducting face neighbours of every cell of planes first…last; args as of `fill_rows`."""
    _, ny, nx = number.shape
    for k in range(first, last + 1):
        for j in range(1, ny - 1):
            below, above = j - 1, j + 1
            if wrap_y:
                below, above = ny - 2 if below == 0 else below, 1 if above == ny - 1 else above
            for i in range(1, nx - 1):
                own = number[k, j, i]
                if own < 0:
                    continue
                left, right = i - 1, i + 1
                if wrap_x:
                    left, right = nx - 2 if left == 0 else left, 1 if right == nx - 1 else right
                n = 0
                for other in (
                    number[k - 1, j, i], number[k + 1, j, i], number[k, below, i],
                    number[k, above, i], number[k, j, left], number[k, j, right],
                ):  # fmt: skip
                    n += other >= 0 and other != own
                length[own] = n


@njit(cache=True, nogil=True, error_model="numpy")
def pair(order: Any, weakest: float, start: Any, column: Any, value: Any, diagonal: Any, group: Any) -> int:
    """Join every cell with the free neighbour it is tied to most strongly.

    The strength of a tie is its conductance over the larger of the two diagonals: a poor conductor between
    good ones is tied to none of them, so good ones are joined among each other first. A cell whose
    strong neighbours are all taken goes with the strongest one.

    Args:
        order: (n,) cells in the order they choose.
        weakest: Strength below which a tie does not count.
        start: Matrix.
        column: Matrix.
        value: Matrix.
        diagonal: Matrix.
        group: (n,) int32, written: group of each cell.

    Returns:
        How many groups.
    """
    group[:] = -1
    groups = 0
    for cell in order:
        if group[cell] >= 0:
            continue
        free, taken = -1, -1
        strongest_free, strongest_taken = weakest, weakest
        for e in range(start[cell], start[cell + 1]):
            other = column[e]
            strength = value[e] / max(diagonal[cell], diagonal[other])
            if group[other] < 0:
                if strength > strongest_free:
                    free, strongest_free = other, strength
            elif strength > strongest_taken:
                taken, strongest_taken = other, strength
        if free < 0 and taken >= 0:
            group[cell] = group[taken]
            continue
        group[cell] = groups
        if free >= 0:
            group[free] = groups
        groups += 1
    return groups


@njit(cache=True, nogil=True, error_model="numpy")
def merge(
    groups: int, members: Any, first: Any, group: Any, start: Any, column: Any, value: Any, diagonal: Any,
    coarse_start: Any, coarse_column: Any, coarse_value: Any, coarse_diagonal: Any,
) -> int:  # fmt: skip
    """The matrix between groups: conductances summed, those inside of a group left out.

    Args:
        groups: How many.
        members: (n,) cells sorted by group.
        first: (groups + 1,) where each group's members begin.
        group: (n,) group of each cell.
        start: Matrix.
        column: Matrix.
        value: Matrix.
        diagonal: Matrix.
        coarse_start: (groups + 1,), written.
        coarse_column: As long as ``column``, written.
        coarse_value: Written.
        coarse_diagonal: (groups,), written.

    Returns:
        How many places of ``coarse_column`` are used.
    """
    place = np.full(groups, -1, np.int64)
    used = 0
    for g in range(groups):
        coarse_start[g] = used
        begin = used
        inside = 0.0
        total = 0.0
        for m in range(first[g], first[g + 1]):
            cell = members[m]
            total += diagonal[cell]
            for e in range(start[cell], start[cell + 1]):
                other = group[column[e]]
                if other == g:
                    inside += value[e]
                    continue
                if place[other] < begin:
                    place[other] = used
                    coarse_column[used], coarse_value[used] = other, 0.0
                    used += 1
                coarse_value[place[other]] += value[e]
        coarse_diagonal[g] = total - inside
    coarse_start[groups] = used
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_forward(start: Any, column: Any, value: Any, diagonal: Any, b: Any, x: Any) -> None:
    """One Gauss-Seidel sweep in ascending order, from zero."""
    for i in range(len(b)):
        s = b[i]
        for e in range(start[i], start[i + 1]):
            if column[e] < i:
                s += value[e] * x[column[e]]
        x[i] = s / diagonal[i]


@njit(cache=True, nogil=True, error_model="numpy")
def restrict(
    start: Any, column: Any, value: Any, diagonal: Any, b: Any, x: Any, group: Any, coarse: Any
) -> None:
    """Sum the residual over the groups."""
    coarse[:] = 0
    for i in range(len(b)):
        s = b[i] - diagonal[i] * x[i]
        for e in range(start[i], start[i + 1]):
            s += value[e] * x[column[e]]
        coarse[group[i]] += s


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_backward(
    start: Any, column: Any, value: Any, diagonal: Any, b: Any, x: Any, group: Any, correction: Any
) -> None:
    """Add the correction of each group, then one Gauss-Seidel sweep in descending order."""
    for i in range(len(b)):
        x[i] += correction[group[i]]
    for i in range(len(b) - 1, -1, -1):
        s = b[i]
        for e in range(start[i], start[i + 1]):
            s += value[e] * x[column[e]]
        x[i] = s / diagonal[i]


@njit(cache=True, nogil=True, error_model="numpy")
def apply(start: Any, column: Any, value: Any, diagonal: Any, x: Any, out: Any) -> float:
    """``out = A x``; returns x·A x."""
    total = 0.0
    for i in range(len(x)):
        s = diagonal[i] * x[i]
        for e in range(start[i], start[i + 1]):
            s -= value[e] * x[column[e]]
        out[i] = s
        total += s * x[i]
    return total
