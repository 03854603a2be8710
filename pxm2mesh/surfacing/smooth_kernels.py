"""Compiled loops of certified smoothing.

Lattice corners fall into eight colours by the parity of i, j, k; corners of one colour share no face, so a
colour can be moved in parallel and the bytes do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pxm2mesh.surfacing.certificate import corner_certificate
from pxm2mesh.surfacing.indicator_kernels import sample
from pxm2mesh.surfacing.net_kernels import region_at

Array = npt.NDArray[Any]
_BLOCK = 256  # points per parallel task, which share their scratch arrays


@njit(cache=True)
def regions_around(cells: Array, i: int, j: int, k: int, found: Array) -> int:
    """The distinct regions (0: outside) of the eight cells at a corner go into ``found``; returns how many."""
    count = 0
    for d in range(8):
        r = region_at(cells, i - (d >> 2), j - ((d >> 1) & 1), k - (d & 1))
        q = 0
        while q < count and found[q] != r:
            q += 1
        if q == count:
            found[count] = r
            count += 1
    return count


@njit(cache=True, parallel=True)
def link_points(cells: Array, node: Array, links: Array, box: Array) -> None:
    """Which of the six lattice neighbours each point of the net is averaged over.

    A neighbour counts if the edge to it is part of the net, if all regions of the point meet at it too (so
    triple lines are averaged along themselves and junctions stay), and if it lies on the same box faces.
    ``box`` receives bits 1, 2, 4 where the point lies on a box face normal to x, y, z.
    """
    n0, n1, n2 = cells.shape
    for q in prange(len(node)):
        p = node[q]
        i = p // ((n1 + 1) * (n2 + 1))
        j = (p // (n2 + 1)) % (n1 + 1)
        k = p % (n2 + 1)
        mine = np.empty(8, np.int64)
        other = np.empty(8, np.int64)
        count = regions_around(cells, i, j, k, mine)
        box[q] = (i == 0 or i == n0) * 1 + (j == 0 or j == n1) * 2 + (k == 0 or k == n2) * 4
        bits = 0
        for d in range(6):
            axis = d >> 1
            step = 2 * (d & 1) - 1
            a = i + step * (axis == 0)
            b = j + step * (axis == 1)
            c = k + step * (axis == 2)
            if a < 0 or b < 0 or c < 0 or a > n0 or b > n1 or c > n2:
                continue
            there = (a == 0 or a == n0) * 1 + (b == 0 or b == n1) * 2 + (c == 0 or c == n2) * 4
            if (there & box[q]) != box[q] or not _edge_on_net(cells, i, j, k, axis, step):
                continue
            others = regions_around(cells, a, b, c, other)
            inside = True
            for u in range(count):
                known = False
                for v in range(others):
                    known = known or mine[u] == other[v]
                inside = inside and known
            if inside:
                bits |= 1 << d
        links[q] = bits


@njit(cache=True)
def _edge_on_net(cells: Array, i: int, j: int, k: int, axis: int, step: int) -> bool:
    back = (step - 1) // 2  # the edge's cells along the axis: at 0 for a step up, at −1 for a step down
    first = -1
    for d in range(4):
        a = -(d & 1)
        b = -(d >> 1)
        if axis == 0:
            r = region_at(cells, i + back, j + a, k + b)
        elif axis == 1:
            r = region_at(cells, i + a, j + back, k + b)
        else:
            r = region_at(cells, i + a, j + b, k + back)
        if d == 0:
            first = r
        elif r != first:
            return True
    return False


@njit(cache=True)
def pull(fields: Array, group: Array, offset: Array, found: Array, count: int, box: int, limit: float, x: float,
         y: float, z: float, step: Array, grad: Array) -> None:  # fmt: skip
    """The shortest step to where the indicators of all regions at a point are equal (Gauss–Newton, one iteration).

    Args:
        fields: (g, nx, ny, nz) indicators.
        group: (r + 1,) field of each region.
        offset: (r + 1,) what is added to it.
        found: Regions at the point; 0, the outside, is passed over.
        count: How many.
        box: Bits of the frozen coordinates.
        limit: Longest step, voxels.
        x: Where, in voxels.
        y: Likewise.
        z: Likewise.
        step: (3,) receives the step.
        grad: (3,) scratch.
    """
    step[:] = 0.0
    a00 = 1e-4
    a11 = 1e-4
    a22 = 1e-4
    a01 = 0.0
    a02 = 0.0
    a12 = 0.0
    b0 = 0.0
    b1 = 0.0
    b2 = 0.0
    f0 = 0.0
    g0 = 0.0
    g1 = 0.0
    g2 = 0.0
    seen = 0
    for q in range(count):
        r = found[q]
        if r == 0:
            continue
        f = sample(fields[group[r]], x, y, z, grad) + offset[r]
        seen += 1
        if seen == 1:
            f0 = f
            g0 = grad[0]
            g1 = grad[1]
            g2 = grad[2]
            continue
        d0 = 0.0 if box & 1 else grad[0] - g0
        d1 = 0.0 if box & 2 else grad[1] - g1
        d2 = 0.0 if box & 4 else grad[2] - g2
        e = f0 - f
        a00 += d0 * d0
        a11 += d1 * d1
        a22 += d2 * d2
        a01 += d0 * d1
        a02 += d0 * d2
        a12 += d1 * d2
        b0 += d0 * e
        b1 += d1 * e
        b2 += d2 * e
    if seen < 2:
        return
    c00 = a11 * a22 - a12 * a12
    c01 = a12 * a02 - a01 * a22
    c02 = a01 * a12 - a11 * a02
    det = a00 * c00 + a01 * c01 + a02 * c02
    step[0] = (b0 * c00 + b1 * c01 + b2 * c02) / det
    step[1] = (b0 * c01 + b1 * (a00 * a22 - a02 * a02) + b2 * (a01 * a02 - a00 * a12)) / det
    step[2] = (b0 * c02 + b1 * (a01 * a02 - a00 * a12) + b2 * (a00 * a11 - a01 * a01)) / det
    length = (step[0] * step[0] + step[1] * step[1] + step[2] * step[2]) ** 0.5
    if length > limit:
        for a in range(3):
            step[a] *= limit / length


@njit(cache=True, parallel=True)
def move_net(points: Array, node: Array, links: Array, box: Array, cells: Array, X: Array, Z: Array, rest: Array,
             fields: Array, group: Array, offset: Array, relax: float, project: float, reach: Array, need: float,
             outcome: Array) -> None:  # fmt: skip
    """Relax the given points (of one colour) and project them, as far as the certificate allows.

    Args:
        points: Points to move.
        node: (n,) lattice corner of each point.
        links: (n,) bits of the neighbours to average over.
        box: (n,) bits of frozen coordinates.
        cells: (n0, n1, n2) regions.
        X: Corner positions, voxels; changed.
        Z: Cell centres.
        rest: (n, 3) undeformed positions of the points.
        fields: Indicators.
        group: Field of each region.
        offset: Offset of each region.
        relax: Share of the way to the neighbours' average.
        project: Share of the way to the isosurface.
        reach: (3,) farthest from ``rest`` along each axis, voxels.
        need: Determinant that every face must keep.
        outcome: (n,) receives 0 for the full move, 1–6 for less, 9 for none.
    """
    n0, n1, n2 = cells.shape
    s0 = (n1 + 1) * (n2 + 1)
    s1 = n2 + 1
    limit = 0.5 * min(reach[0], min(reach[1], reach[2]))
    for block in prange((len(points) + _BLOCK - 1) // _BLOCK):
        old = np.empty(3)
        new = np.empty(3)
        flat = np.empty(3)  # the relaxation alone
        step = np.empty(3)
        grad = np.empty(3)
        found = np.empty(8, np.int64)
        for q in range(block * _BLOCK, min((block + 1) * _BLOCK, len(points))):
            v = points[q]
            p = node[v]
            i = p // s0
            j = (p // s1) % (n1 + 1)
            k = p % s1
            frozen = box[v]
            flat[:] = 0.0
            weight = 0.0
            for d in range(6):
                if (links[v] >> d) & 1:
                    stride = s0 if d < 2 else (s1 if d < 4 else 1)
                    r = p + stride * (2 * (d & 1) - 1)
                    for a in range(3):
                        flat[a] += X[r, a]
                    weight += 1.0
            for a in range(3):
                old[a] = X[p, a]
                flat[a] = relax * (flat[a] / weight - old[a]) if weight > 0.0 else 0.0
                new[a] = old[a] + flat[a]
            count = regions_around(cells, i, j, k, found)
            if project > 0.0:
                for _ in range(3):
                    pull(
                        fields, group, offset, found, count, frozen, limit, new[0], new[1], new[2], step, grad
                    )
                    for a in range(3):
                        new[a] += project * step[a]
            for a in range(3):
                new[a] = min(max(new[a], rest[v, a] - reach[a]), rest[v, a] + reach[a])
                if (frozen >> a) & 1:
                    new[a] = old[a]
                    flat[a] = 0.0
            outcome[v] = _try_moves(X, Z, n0, n1, n2, i, j, k, p, old, new, flat, need)


@njit(cache=True)
def _try_moves(X: Array, Z: Array, n0: int, n1: int, n2: int, i: int, j: int, k: int, p: int, old: Array, new: Array,
               flat: Array, need: float) -> int:  # fmt: skip
    """The whole move, ½, ¼, ⅒ of it, the relaxation along the surface, and the projection alone, in this order."""
    square = 0.0
    along = 0.0
    for a in range(3):
        rise = new[a] - old[a] - flat[a]
        square += rise * rise
        along += flat[a] * rise
    still = flat[0] == 0.0 and flat[1] == 0.0 and flat[2] == 0.0
    for trial in range(7):
        if still and 4 <= trial < 6:
            continue
        share = 1.0
        if trial == 1:
            share = 0.5
        elif trial == 2:
            share = 0.25
        elif trial == 3:
            share = 0.1
        elif trial == 5:
            share = 0.4
        elif trial == 6:
            share = 0.3
        for a in range(3):
            rise = new[a] - old[a] - flat[a]
            if trial < 4:
                X[p, a] = old[a] + share * (new[a] - old[a])
            elif trial < 6:
                X[p, a] = old[a] + share * (flat[a] - (along / square * rise if square > 1e-12 else 0.0))
            else:
                X[p, a] = old[a] + share * rise
        if corner_certificate(X, Z, n0, n1, n2, i, j, k, need) >= need:
            return trial
    for a in range(3):
        X[p, a] = old[a]
    return 9


@njit(cache=True, parallel=True)
def move_inner(
    corners: Array, X: Array, Z: Array, n0: int, n1: int, n2: int, relax: float, need: float
) -> None:
    """Let the corners of one colour that are not on the net follow: towards the average of their neighbours."""
    s0 = (n1 + 1) * (n2 + 1)
    s1 = n2 + 1
    for block in prange((len(corners) + _BLOCK - 1) // _BLOCK):
        old = np.empty(3)
        mean = np.empty(3)
        for q in range(block * _BLOCK, min((block + 1) * _BLOCK, len(corners))):
            p = corners[q]
            i = p // s0
            j = (p // s1) % (n1 + 1)
            k = p % s1
            mean[:] = 0.0
            for d in range(6):  # a corner off the net is inside of the box
                r = p + (s0 if d < 2 else (s1 if d < 4 else 1)) * (2 * (d & 1) - 1)
                for a in range(3):
                    mean[a] += X[r, a] / 6.0
            for a in range(3):
                old[a] = X[p, a]
            share = relax
            done = False
            for _ in range(3):
                for a in range(3):
                    X[p, a] = old[a] + share * (mean[a] - old[a])
                if corner_certificate(X, Z, n0, n1, n2, i, j, k, need) >= need:
                    done = True
                    break
                share *= 0.5
            if not done:
                for a in range(3):
                    X[p, a] = old[a]


@njit(cache=True, parallel=True)
def choose_diagonals(
    quads: Array, P: Array, valid: Array, need: float, keep: bool, first: Array, quality: Array
) -> None:
    """Of each quad's valid diagonals, the one whose worse triangle has the better shape.

    Args:
        quads: (q, 4) point indices.
        P: (n, 3) positions in a metric of equal units along the axes.
        valid: (q, 2) certificates of the diagonals 0–2 and 1–3.
        need: A diagonal is valid above it (the better one always is).
        keep: Whether a diagonal stays as long as it is valid: every change moves a little volume.
        first: (q,) receives True for 0–2.
        quality: (q,) receives 2√3·|normal| / Σ edge² of the worse triangle: 1 if equilateral, 0 if flat.
    """
    for q in prange(len(quads)):
        a = quads[q, 0]
        b = quads[q, 1]
        c = quads[q, 2]
        d = quads[q, 3]
        one = min(_shape(P, a, b, c), _shape(P, a, c, d))
        two = min(_shape(P, b, c, d), _shape(P, b, d, a))
        bar = min(need, max(valid[q, 0], valid[q, 1]))
        if valid[q, 0] < bar:
            one = -1.0
        if valid[q, 1] < bar:
            two = -1.0
        if keep and first[q] and one >= 0.0:
            two = -1.0
        elif keep and not first[q] and two >= 0.0:
            one = -1.0
        first[q] = one >= two
        quality[q] = max(one, two)


@njit(cache=True)
def _shape(P: Array, a: int, b: int, c: int) -> float:
    ux = P[b, 0] - P[a, 0]
    uy = P[b, 1] - P[a, 1]
    uz = P[b, 2] - P[a, 2]
    vx = P[c, 0] - P[a, 0]
    vy = P[c, 1] - P[a, 1]
    vz = P[c, 2] - P[a, 2]
    nx = uy * vz - uz * vy
    ny = uz * vx - ux * vz
    nz = ux * vy - uy * vx
    edges = ux * ux + uy * uy + uz * uz + vx * vx + vy * vy + vz * vz
    edges += (vx - ux) ** 2 + (vy - uy) ** 2 + (vz - uz) ** 2
    return float(2.0 * 3.0**0.5 * (nx * nx + ny * ny + nz * nz) ** 0.5 / max(edges, 1e-300))


@njit(cache=True, parallel=True)
def measure_quads(quads: Array, P: Array, first: Array, flux: Array, area: Array) -> None:
    """Volume flux (what the quad adds to the region below it) and area of every quad, as its diagonal cuts it."""
    for q in prange(len(quads)):
        volume = 0.0
        size = 0.0
        for t in range(2):
            if first[q]:
                a = quads[q, 0]
                b = quads[q, 1 + t]
                c = quads[q, 2 + t]
            else:
                a = quads[q, 1]
                b = quads[q, 2 + t]
                c = quads[q, (3 + t) % 4]
            ux = P[b, 0] - P[a, 0]
            uy = P[b, 1] - P[a, 1]
            uz = P[b, 2] - P[a, 2]
            vx = P[c, 0] - P[a, 0]
            vy = P[c, 1] - P[a, 1]
            vz = P[c, 2] - P[a, 2]
            nx = uy * vz - uz * vy
            ny = uz * vx - ux * vz
            nz = ux * vy - uy * vx
            volume += (P[a, 0] * nx + P[a, 1] * ny + P[a, 2] * nz) / 6.0
            size += (nx * nx + ny * ny + nz * nz) ** 0.5 / 2.0
        flux[q] = volume
        area[q] = size
