"""Compiled loops that move the vertices of a labelled tetrahedral mesh.

Vertices are coloured so that no two of a colour share a cell; a colour runs in parallel, and nothing
depends on the number of threads. Coordinates are in units of the cell size, measured from the corner
of the voxel lattice; ``to_voxel`` (3,) turns them into voxels.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing.quality_kernels import worst_sine
from pxm2mesh.surfacing.indicator_kernels import sample

Array = npt.NDArray[Any]
MAX_REGIONS = 8  # regions at one vertex beyond this are not pulled


@nb.njit(cache=True)
def cells_of_points(cells: Array, count: int) -> tuple[Array, Array]:
    """(count + 1,) starts and (4k,) cells at each point, ascending."""
    start = np.zeros(count + 1, np.int32)
    for c in range(len(cells)):
        for k in range(4):
            start[cells[c, k] + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    place = start[:-1].copy()
    items = np.empty(start[-1], np.int32)
    for c in range(len(cells)):
        for k in range(4):
            v = cells[c, k]
            items[place[v]] = c
            place[v] += 1
    return start, items


@nb.njit(cache=True)
def colour_points(cells: Array, start: Array, items: Array, use: Array) -> Array:
    """Greedy colours 0…63 of the points with ``use``; -1 for the others."""
    colour = np.full(len(use), -1, np.int16)
    for i in range(len(use)):
        if not use[i]:
            continue
        taken = np.uint64(0)
        for e in range(start[i], start[i + 1]):
            for k in range(4):
                q = colour[cells[items[e], k]]
                if q >= 0:
                    taken |= np.uint64(1) << np.uint64(q)
        q = 0
        while q < 63 and (taken >> np.uint64(q)) & np.uint64(1):
            q += 1
        colour[i] = q
    return colour


@nb.njit(cache=True)
def _corner(points: Array, j: int, i: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Where point j is, if i is at (x, y, z)."""
    if j == i:
        return x, y, z
    return points[j, 0], points[j, 1], points[j, 2]


@nb.njit(cache=True)
def _ball(
    points: Array,
    cells: Array,
    start: Array,
    items: Array,
    i: int,
    x: float,
    y: float,
    z: float,
    floor: float,
) -> tuple[float, float]:
    """(energy, least sine) of the cells at point i if it were at (x, y, z); stops at a sine below ``floor``."""
    least = 2.0
    energy = 0.0
    for e in range(start[i], start[i + 1]):
        c = items[e]
        a0, a1, a2 = _corner(points, cells[c, 0], i, x, y, z)
        b0, b1, b2 = _corner(points, cells[c, 1], i, x, y, z)
        c0, c1, c2 = _corner(points, cells[c, 2], i, x, y, z)
        d0, d1, d2 = _corner(points, cells[c, 3], i, x, y, z)
        q = worst_sine(a0, a1, a2, b0, b1, b2, c0, c1, c2, d0, d1, d2)
        if q < least:
            least = q
            if q <= 0.0 or q < floor:
                return 1e300, q
        s = (a0 - b0) ** 2 + (a1 - b1) ** 2 + (a2 - b2) ** 2
        s += (a0 - c0) ** 2 + (a1 - c1) ** 2 + (a2 - c2) ** 2
        s += (a0 - d0) ** 2 + (a1 - d1) ** 2 + (a2 - d2) ** 2
        s += (b0 - c0) ** 2 + (b1 - c1) ** 2 + (b2 - c2) ** 2
        s += (b0 - d0) ** 2 + (b1 - d1) ** 2 + (b2 - d2) ** 2
        s += (c0 - d0) ** 2 + (c1 - d1) ** 2 + (c2 - d2) ** 2
        ux, uy, uz = b0 - a0, b1 - a1, b2 - a2
        vx, vy, vz = c0 - a0, c1 - a1, c2 - a2
        wx, wy, wz = d0 - a0, d1 - a1, d2 - a2
        w = ux * (vy * wz - vz * wy) + uy * (vz * wx - vx * wz) + uz * (vx * wy - vy * wx)
        energy += s * s * s / (432.0 * w * w)  # 1 for a regular cell
    return energy, least


@nb.njit(cache=True)
def _least_sine(
    points: Array,
    cells: Array,
    start: Array,
    items: Array,
    i: int,
    x: float,
    y: float,
    z: float,
    floor: float,
) -> float:
    """Least sine of the cells at point i if it were at (x, y, z); stops at one that is not above ``floor``."""
    least = 2.0
    for e in range(start[i], start[i + 1]):
        c = items[e]
        a0, a1, a2 = _corner(points, cells[c, 0], i, x, y, z)
        b0, b1, b2 = _corner(points, cells[c, 1], i, x, y, z)
        c0, c1, c2 = _corner(points, cells[c, 2], i, x, y, z)
        d0, d1, d2 = _corner(points, cells[c, 3], i, x, y, z)
        least = min(least, worst_sine(a0, a1, a2, b0, b1, b2, c0, c1, c2, d0, d1, d2))
        if least < floor:
            break
    return float(least)


@nb.njit(cache=True)
def _field(field: Array, to_voxel: Array, x: float, y: float, z: float, g: Array) -> float:
    """Indicator and its gradient per unit of length."""
    value = sample(field, x * to_voxel[0], y * to_voxel[1], z * to_voxel[2], g)
    g[0] *= to_voxel[0]
    g[1] *= to_voxel[1]
    g[2] *= to_voxel[2]
    return float(value)


@nb.njit(cache=True)
def _pull(
    x: float, y: float, z: float, first: int, last: int, regions: Array, group: Array, offset: Array, fields: Array,
    to_voxel: Array, frozen: int, weight: float, length2: float, flat2: float, g: Array, out: Array,
) -> float:  # fmt: skip
    """Energy of the pull to where the indicators of the regions at a point are equal.

    ``out`` (9,) receives gradient (3) and Hessian (xx, yy, zz, xy, xz, yz). The pull is quadratic up to a
    quarter of the local length and grows with the logarithm beyond.
    """
    for k in range(9):
        out[k] = 0.0
    energy = 0.0
    r0 = regions[first]
    f0 = _field(fields[group[r0]], to_voxel, x, y, z, g) + offset[r0]
    e0, e1, e2 = g[0], g[1], g[2]
    for q in range(first + 1, min(last, first + MAX_REGIONS)):
        r = regions[q]
        if group[r] == group[r0]:
            continue
        f = _field(fields[group[r]], to_voxel, x, y, z, g) + offset[r]
        d0 = 0.0 if frozen & 1 else g[0] - e0
        d1 = 0.0 if frozen & 2 else g[1] - e1
        d2 = 0.0 if frozen & 4 else g[2] - e2
        n2 = d0 * d0 + d1 * d1 + d2 * d2
        if n2 < flat2:
            continue
        rest = f - f0
        w = weight / n2  # distance² = rest² / gradient²
        limit = n2 * length2 * 0.25
        if rest * rest > limit:
            energy += weight * length2 * 0.25 * (1.0 + math.log(rest * rest / limit))
            w *= limit / (rest * rest)
        else:
            energy += w * rest * rest
        out[0] += 2 * w * rest * d0
        out[1] += 2 * w * rest * d1
        out[2] += 2 * w * rest * d2
        out[3] += 2 * w * d0 * d0
        out[4] += 2 * w * d1 * d1
        out[5] += 2 * w * d2 * d2
        out[6] += 2 * w * d0 * d1
        out[7] += 2 * w * d0 * d2
        out[8] += 2 * w * d1 * d2
    return energy


@nb.njit(cache=True, parallel=True)
def newton_sweep(
    todo: Array, points: Array, cells: Array, start: Array, items: Array, region_start: Array, regions: Array,
    group: Array, offset: Array, fields: Array, to_voxel: Array, frozen: Array, weight: float, keep_sine: float,
    flat2: float,
) -> None:  # fmt: skip
    """One guarded Newton step of every point in ``todo`` (one colour).

    The energy of a cell is S³ / (432 W²), S the sum of its squared edges, W six times its volume; its
    Hessian in one vertex is replaced by the positive definite part. A step is taken if the energy falls
    and the worst sine at the point stays above ``min(before, keep_sine)``.
    """
    for n in nb.prange(len(todo)):
        i = todo[n]
        ox, oy, oz = points[i, 0], points[i, 1], points[i, 2]
        e0, q0 = _ball(points, cells, start, items, i, ox, oy, oz, -1.0)
        h00 = h11 = h22 = h01 = h02 = h12 = g0 = g1 = g2 = length2 = 0.0
        count = start[i + 1] - start[i]
        for e in range(start[i], start[i + 1]):
            c = items[e]
            k = 0
            while cells[c, k] != i:
                k += 1
            if k == 0:
                a, b, d = cells[c, 1], cells[c, 2], cells[c, 3]
            elif k == 1:
                a, b, d = cells[c, 0], cells[c, 3], cells[c, 2]
            elif k == 2:
                a, b, d = cells[c, 0], cells[c, 1], cells[c, 3]
            else:
                a, b, d = cells[c, 0], cells[c, 2], cells[c, 1]
            ax, ay, az = points[a, 0] - ox, points[a, 1] - oy, points[a, 2] - oz
            bx, by, bz = points[b, 0] - ox, points[b, 1] - oy, points[b, 2] - oz
            cx, cy, cz = points[d, 0] - ox, points[d, 1] - oy, points[d, 2] - oz
            w = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
            px, py, pz = bx - ax, by - ay, bz - az
            rx, ry, rz = cx - ax, cy - ay, cz - az
            s = (ax * ax + ay * ay + az * az + bx * bx + by * by + bz * bz + cx * cx + cy * cy + cz * cz
                 + px * px + py * py + pz * pz + rx * rx + ry * ry + rz * rz
                 + (cx - bx) ** 2 + (cy - by) ** 2 + (cz - bz) ** 2)  # fmt: skip
            w = max(w, 1e-6 * s * math.sqrt(s))
            vx, vy, vz = -(py * rz - pz * ry) / w, -(pz * rx - px * rz) / w, -(px * ry - py * rx) / w
            sx, sy, sz = -2 * (ax + bx + cx) / s, -2 * (ay + by + cy) / s, -2 * (az + bz + cz) / s
            f = s * s * s / (432.0 * w * w)
            length2 += s / 6
            g0 += f * (3 * sx - 2 * vx)
            g1 += f * (3 * sy - 2 * vy)
            g2 += f * (3 * sz - 2 * vz)
            dx, dy, dz = vx - sx, vy - sy, vz - sz
            t = 18 * f / s
            h00 += 6 * f * dx * dx + t
            h11 += 6 * f * dy * dy + t
            h22 += 6 * f * dz * dz + t
            h01 += 6 * f * dx * dy
            h02 += 6 * f * dx * dz
            h12 += 6 * f * dy * dz
        length2 /= count
        bits = frozen[i]
        first, last = region_start[i], region_start[i + 1]
        pulled = last - first >= 2
        pull0 = 0.0
        strength = weight * count / length2
        g = np.empty(3)
        out = np.empty(9)
        if pulled:
            pull0 = _pull(ox, oy, oz, first, last, regions, group, offset, fields, to_voxel, bits,
                          strength, length2, flat2, g, out)  # fmt: skip
            g0 += out[0]
            g1 += out[1]
            g2 += out[2]
            h00 += out[3]
            h11 += out[4]
            h22 += out[5]
            h01 += out[6]
            h02 += out[7]
            h12 += out[8]
        if bits & 1:
            g0 = h01 = h02 = 0.0
        if bits & 2:
            g1 = h01 = h12 = 0.0
        if bits & 4:
            g2 = h02 = h12 = 0.0
        det = h00 * (h11 * h22 - h12 * h12) - h01 * (h01 * h22 - h12 * h02) + h02 * (h01 * h12 - h11 * h02)
        if not det > 0.0:
            continue
        x = -(g0 * (h11 * h22 - h12 * h12) - h01 * (g1 * h22 - h12 * g2) + h02 * (g1 * h12 - h11 * g2)) / det
        y = -(h00 * (g1 * h22 - h12 * g2) - g0 * (h01 * h22 - h12 * h02) + h02 * (h01 * g2 - g1 * h02)) / det
        z = -(h00 * (h11 * g2 - g1 * h12) - h01 * (h01 * g2 - g1 * h02) + g0 * (h01 * h12 - h11 * h02)) / det
        if bits & 1:
            x = 0.0
        if bits & 2:
            y = 0.0
        if bits & 4:
            z = 0.0
        size = math.sqrt(x * x + y * y + z * z)
        if not size > 1e-7:
            continue
        limit = 0.5 * math.sqrt(length2)
        if size > limit:
            x *= limit / size
            y *= limit / size
            z *= limit / size
        need = min(q0, keep_sine)
        share = 1.0
        for _ in range(4):
            nx, ny, nz = ox + share * x, oy + share * y, oz + share * z
            energy, q = _ball(points, cells, start, items, i, nx, ny, nz, need)
            if q >= need and q > 0.0:
                if pulled:
                    energy += _pull(nx, ny, nz, first, last, regions, group, offset, fields, to_voxel, bits,
                                    strength, length2, flat2, g, out)  # fmt: skip
                if energy < e0 + 1.2 * pull0 + 1e-12:
                    points[i, 0] = nx
                    points[i, 1] = ny
                    points[i, 2] = nz
                    break
            share *= 0.5


@nb.njit(cache=True, parallel=True)
def climb(
    todo: Array, points: Array, cells: Array, start: Array, items: Array, region_start: Array, regions: Array,
    group: Array, fields: Array, to_voxel: Array, frozen: Array, target: float, free_below: float, seed: int,
) -> None:  # fmt: skip
    """Pattern search that raises the worst sine at points below ``target`` (one colour).

    A point of an interface slides along it; below ``free_below × target`` it may leave it, and points of
    lines and corners, which stay otherwise, may move.
    """
    for n in nb.prange(len(todo)):
        i = todo[n]
        ox, oy, oz = points[i, 0], points[i, 1], points[i, 2]
        q0 = _least_sine(points, cells, start, items, i, ox, oy, oz, -1.0)
        bits = frozen[i]
        if q0 >= target or bits == 7:
            continue
        first, last = region_start[i], region_start[i + 1]
        bad = q0 < free_below * target
        if last - first > 2 and not bad:
            continue
        length2 = 1e300
        for e in range(start[i], start[i + 1]):
            for k in range(4):
                j = cells[items[e], k]
                if j != i:
                    d = (points[j, 0] - ox) ** 2 + (points[j, 1] - oy) ** 2 + (points[j, 2] - oz) ** 2
                    length2 = min(length2, d)
        nx = ny = nz = 0.0
        slide = last - first == 2 and not bad
        if slide:
            g = np.empty(3)
            _field(fields[group[regions[first]]], to_voxel, ox, oy, oz, g)
            nx, ny, nz = g[0], g[1], g[2]
            _field(fields[group[regions[first + 1]]], to_voxel, ox, oy, oz, g)
            nx = 0.0 if bits & 1 else nx - g[0]
            ny = 0.0 if bits & 2 else ny - g[1]
            nz = 0.0 if bits & 4 else nz - g[2]
            size = math.sqrt(nx * nx + ny * ny + nz * nz)
            if size < 1e-9:
                continue
            nx /= size
            ny /= size
            nz /= size
        bx, by, bz, best = ox, oy, oz, q0
        step = 0.3 * math.sqrt(length2)
        state = np.uint64(seed * 1000003 + i * 7919 + 12345)
        for trial in range(24):
            v = np.empty(3)
            for k in range(3):
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                v[k] = np.float64(state >> np.uint64(33)) / 2147483648.0 - 0.5
            size = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) + 1e-12
            a, b, c = v[0] / size, v[1] / size, v[2] / size
            along = a * nx + b * ny + c * nz
            x = ox if bits & 1 else bx + step * (a - along * nx)
            y = oy if bits & 2 else by + step * (b - along * ny)
            z = oz if bits & 4 else bz + step * (c - along * nz)
            q = _least_sine(points, cells, start, items, i, x, y, z, best)
            if q > best:
                best, bx, by, bz = q, x, y, z
            elif trial % 4 == 3:
                step *= 0.6
        points[i, 0] = bx
        points[i, 1] = by
        points[i, 2] = bz


@nb.njit(cache=True, parallel=True)
def cell_sines(points: Array, cells: Array, out: Array) -> None:
    """Worst sine of every cell into ``out`` (k,) float64."""
    for c in nb.prange(len(cells)):
        i, j, k, m = cells[c, 0], cells[c, 1], cells[c, 2], cells[c, 3]
        out[c] = worst_sine(
            points[i, 0],
            points[i, 1],
            points[i, 2],
            points[j, 0],
            points[j, 1],
            points[j, 2],
            points[k, 0],
            points[k, 1],
            points[k, 2],
            points[m, 0],
            points[m, 1],
            points[m, 2],
        )


@nb.njit(cache=True)
def region_volumes(points: Array, facets: Array, sides: Array, count: int) -> Array:
    """(count,) volume enclosed by each region's facets."""
    volume = np.zeros(count)
    for f in range(len(facets)):
        i, j, k = facets[f, 0], facets[f, 1], facets[f, 2]
        ax, ay, az = points[i, 0], points[i, 1], points[i, 2]
        bx, by, bz = points[j, 0], points[j, 1], points[j, 2]
        cx, cy, cz = points[k, 0], points[k, 1], points[k, 2]
        v = (ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)) / 6.0
        volume[sides[f, 0]] += v
        volume[sides[f, 1]] -= v
    return volume


@nb.njit(cache=True)
def volume_gradients(points: Array, facets: Array, sides: Array, count: int) -> Array:
    """(count, 3) change of the volume behind a point's interface per displacement: a third of the area vectors."""
    out = np.zeros((count, 3))
    for f in range(len(facets)):
        if sides[f, 0] == 0 or sides[f, 1] == 0:
            continue
        i, j, k = facets[f, 0], facets[f, 1], facets[f, 2]
        ux, uy, uz = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
        vx, vy, vz = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1], points[k, 2] - points[i, 2]
        nx, ny, nz = (uy * vz - uz * vy) / 6.0, (uz * vx - ux * vz) / 6.0, (ux * vy - uy * vx) / 6.0
        for m in range(3):
            p = facets[f, m]
            out[p, 0] += nx
            out[p, 1] += ny
            out[p, 2] += nz
    return out


@nb.njit(cache=True, parallel=True)
def shift_points(
    todo: Array,
    points: Array,
    cells: Array,
    start: Array,
    items: Array,
    move: Array,
    keep_sine: float,
    held: Array,
) -> None:
    """Displace the points of ``todo`` (one colour) by ``move`` as far as cells stay good; ``held`` where not at all."""
    for n in nb.prange(len(todo)):
        i = todo[n]
        ox, oy, oz = points[i, 0], points[i, 1], points[i, 2]
        before = _least_sine(points, cells, start, items, i, ox, oy, oz, -1.0)
        need = min(before, keep_sine)
        share = 1.0
        held[i] = True
        for _ in range(4):
            x, y, z = ox + share * move[i, 0], oy + share * move[i, 1], oz + share * move[i, 2]
            after = _least_sine(points, cells, start, items, i, x, y, z, need)
            if after >= need and after > 0.0:
                points[i, 0] = x
                points[i, 1] = y
                points[i, 2] = z
                held[i] = False
                break
            share *= 0.5
