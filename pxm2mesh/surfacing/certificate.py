"""Compiled loops of the certificate: when does a deformed net intersect nothing?

Every cell of the lattice keeps a centre. A cell face is *valid* if one of its two diagonals cuts it into
triangles that both neighbouring centres see with a positive determinant (6 × tetrahedron volume). If all
faces are valid, cells are unions of twelve positive tetrahedra each, these tetrahedra fill the box without
overlap, and so the net, which is made of some of their faces, has no self-intersection. The number that is
kept above a threshold is the smaller determinant of the better diagonal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

Array = npt.NDArray[Any]
_FAR = 1e300


@njit(cache=True)
def face_determinants(
    X: Array, Z: Array, p: int, a: int, b: int, d: int, c: int, sign: float
) -> tuple[float, float]:
    """Smaller determinant, seen from centre ``c``, of the two triangles of face p-a-b-d: cut p–b, and cut a–d."""
    px = X[p, 0]
    py = X[p, 1]
    pz = X[p, 2]
    cx = Z[c, 0] - px
    cy = Z[c, 1] - py
    cz = Z[c, 2] - pz
    ax = X[a, 0] - px
    ay = X[a, 1] - py
    az = X[a, 2] - pz
    bx = X[b, 0] - px
    by = X[b, 1] - py
    bz = X[b, 2] - pz
    dx = X[d, 0] - px
    dy = X[d, 1] - py
    dz = X[d, 2] - pz
    ex = by * cz - bz * cy
    ey = bz * cx - bx * cz
    ez = bx * cy - by * cx
    pab = sign * (ax * ex + ay * ey + az * ez)
    pbd = -sign * (dx * ex + dy * ey + dz * ez)
    ex = dy * cz - dz * cy
    ey = dz * cx - dx * cz
    ez = dx * cy - dy * cx
    pad = sign * (ax * ex + ay * ey + az * ez)
    ux = bx - ax
    uy = by - ay
    uz = bz - az
    vx = dx - ax
    vy = dy - ay
    vz = dz - az
    wx = cx - ax
    wy = cy - ay
    wz = cz - az
    abd = sign * (ux * (vy * wz - vz * wy) + uy * (vz * wx - vx * wz) + uz * (vx * wy - vy * wx))
    return min(pab, pbd), min(pad, abd)


@njit(cache=True)
def corner_certificate(
    X: Array, Z: Array, n0: int, n1: int, n2: int, i: int, j: int, k: int, need: float
) -> float:
    """Least certificate of the up to twelve faces at a corner; stops at the first one below ``need``."""
    s0 = (n1 + 1) * (n2 + 1)
    s1 = n2 + 1
    p = i * s0 + j * s1 + k
    least = _FAR
    for axis in range(3):
        if axis == 0:
            su, sw, iu, iw, at = s1, 1, j, k, i
            nu, nw, nn, cn, cu, cw = n1, n2, n0, n1 * n2, n2, 1
        elif axis == 1:
            su, sw, iu, iw, at = 1, s0, k, i, j
            nu, nw, nn, cn, cu, cw = n2, n0, n1, n2, 1, n1 * n2
        else:
            su, sw, iu, iw, at = s0, s1, i, j, k
            nu, nw, nn, cn, cu, cw = n0, n1, n2, 1, n1 * n2, n2
        for du in range(2):
            ju = iu - 1 + du
            if ju < 0 or ju >= nu:
                continue
            for dw in range(2):
                jw = iw - 1 + dw
                if jw < 0 or jw >= nw:
                    continue
                u = su * (2 * du - 1)
                w = sw * (2 * dw - 1)
                first = _FAR
                second = _FAR
                for dn in range(2):
                    jn = at - 1 + dn
                    if jn < 0 or jn >= nn:
                        continue
                    sign = (2 * du - 1) * (2 * dw - 1) * (2 * dn - 1.0)
                    x, y = face_determinants(
                        X, Z, p, p + u, p + u + w, p + w, jn * cn + ju * cu + jw * cw, sign
                    )
                    first = min(first, x)
                    second = min(second, y)
                least = min(least, max(first, second))
                if least < need:
                    return least
    return least


@njit(cache=True)
def cell_certificate(
    X: Array, Z: Array, n0: int, n1: int, n2: int, i: int, j: int, k: int, need: float
) -> float:
    """Least certificate of the six faces of a cell; stops at the first one not above ``need``."""
    s0 = (n1 + 1) * (n2 + 1)
    s1 = n2 + 1
    o = i * s0 + j * s1 + k
    c = (i * n1 + j) * n2 + k
    least = _FAR
    for axis in range(3):
        if axis == 0:
            u, w, sn, at, nn, cn = s1, 1, s0, i, n0, n1 * n2
        elif axis == 1:
            u, w, sn, at, nn, cn = 1, s0, s1, j, n1, n2
        else:
            u, w, sn, at, nn, cn = s0, s1, 1, k, n2, 1
        for side in range(2):
            p = o + side * sn
            first, second = face_determinants(X, Z, p, p + u, p + u + w, p + w, c, 1.0 - 2.0 * side)
            e = at + 2 * side - 1
            if 0 <= e < nn:
                x, y = face_determinants(
                    X, Z, p, p + u, p + u + w, p + w, c + (2 * side - 1) * cn, 2.0 * side - 1.0
                )
                first = min(first, x)
                second = min(second, y)
            least = min(least, max(first, second))
            if least <= need:
                return least
    return least


@njit(cache=True, parallel=True)
def cell_certificates(cells: Array, X: Array, Z: Array, n0: int, n1: int, n2: int) -> Array:
    """(len(cells),) least certificate of each of the given cells (flat indices)."""
    out = np.empty(len(cells))
    for q in prange(len(cells)):
        c = cells[q]
        out[q] = cell_certificate(X, Z, n0, n1, n2, c // (n1 * n2), (c // n2) % n1, c % n2, -_FAR)
    return out


@njit(cache=True, parallel=True)
def free_centres(cells: Array, X: Array, Z: Array, n0: int, n1: int, n2: int, enough: float) -> None:
    """Move the centres of some cells, no two of them neighbours, so that the least certificate grows.

    A centre whose certificate is ``enough`` stays where it is.
    """
    s0 = (n1 + 1) * (n2 + 1)
    s1 = n2 + 1
    for q in prange(len(cells)):
        c = cells[q]
        i = c // (n1 * n2)
        j = (c // n2) % n1
        k = c % n2
        best = cell_certificate(X, Z, n0, n1, n2, i, j, k, -_FAR)
        if best >= enough:
            continue
        o = i * s0 + j * s1 + k
        x = 0.0
        y = 0.0
        z = 0.0
        for d in range(8):
            r = o + (d >> 2) * s0 + ((d >> 1) & 1) * s1 + (d & 1)
            x += 0.125 * X[r, 0]
            y += 0.125 * X[r, 1]
            z += 0.125 * X[r, 2]
        r = o + s0 + s1 + 1
        ox = Z[c, 0]
        oy = Z[c, 1]
        oz = Z[c, 2]
        bx = ox
        by = oy
        bz = oz
        for trial in range(10):
            if trial < 3:
                t = 1.0 / (1 << trial)
                Z[c, 0] = ox + t * (x - ox)
                Z[c, 1] = oy + t * (y - oy)
                Z[c, 2] = oz + t * (z - oz)
            elif trial < 9:
                axis = (trial - 3) // 2
                Z[c, 0] = bx
                Z[c, 1] = by
                Z[c, 2] = bz
                Z[c, axis] += 0.15 * (X[r, axis] - X[o, axis]) * (1 - 2 * (trial % 2))
            else:
                Z[c, 0] = 2 * bx - ox
                Z[c, 1] = 2 * by - oy
                Z[c, 2] = 2 * bz - oz
            value = cell_certificate(X, Z, n0, n1, n2, i, j, k, best)
            if value > best:
                best = value
                bx = Z[c, 0]
                by = Z[c, 1]
                bz = Z[c, 2]
        Z[c, 0] = bx
        Z[c, 1] = by
        Z[c, 2] = bz


@njit(cache=True, parallel=True)
def quad_certificates(node: Array, quads: Array, X: Array, Z: Array, n0: int, n1: int, n2: int) -> Array:
    """(q, 2) certificate of each quad of the net when cut along corners 0–2, and along 1–3."""
    out = np.empty((len(quads), 2))
    s0 = (n1 + 1) * (n2 + 1)
    s1 = n2 + 1
    for q in prange(len(quads)):
        p = node[quads[q, 0]]
        a = node[quads[q, 1]]
        b = node[quads[q, 2]]
        d = node[quads[q, 3]]
        i = p // s0
        j = (p // s1) % (n1 + 1)
        k = p % s1
        if a - p == s1 and d - p == 1:
            at, nn, cn = i, n0, n1 * n2
        elif a - p == 1:
            at, nn, cn = j, n1, n2
        else:
            at, nn, cn = k, n2, 1
        c = (i * n1 + j) * n2 + k
        first = _FAR
        second = _FAR
        if at < nn:
            x, y = face_determinants(X, Z, p, a, b, d, c, 1.0)
            first = min(first, x)
            second = min(second, y)
        if at > 0:
            x, y = face_determinants(X, Z, p, a, b, d, c - cn, -1.0)
            first = min(first, x)
            second = min(second, y)
        out[q, 0] = first
        out[q, 1] = second
    return out
