"""Certified smoothing: the staircase goes, volumes stay, nothing intersects.

Points of the net relax along their surface or triple line and are projected onto the sub-voxel isosurfaces of the
indicators; offsets on the indicators hold the volume of every region and phase; and every single move is made only
as far as the certificate of `pxm2mesh.surfacing.certificate` allows.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.surface import Indicators, InterfaceSurface, SurfaceLattice
from pxm2mesh.surfacing import certificate, smooth_kernels
from pxm2mesh.surfacing.indicators import indicator_fields, usual_blur
from pxm2mesh.surfacing.net import net_of, parity_diagonals, to_points, triangles_of

logger = logging.getLogger(__name__)

_LARGEST_OFFSET = 0.45  # of an indicator that runs from 0 to 1
_TRIM_SWEEPS = 14
_GOOD_VOLUME = 5e-5  # relative, of every phase
_EXCHANGE_STEPS = 60
_SMALL = 64  # voxels: smaller regions may miss their volume, and the rest of the phase makes up for it


@dataclass(frozen=True)
class SmoothOptions:
    """How to smooth.

    Attributes:
        sweeps: Rounds over all points.
        relaxation: Share of the way to the neighbours' average in each round.
        certificate: Share of a cell's undeformed determinant that every face must keep: 0.2 is smooth, 0.3, 0.5 and
            0.8 are stiffer, 1 leaves the exact faces. The mesher climbs these rungs when a surface is too hard.
        reach: Farthest a point may go from its place, in cells.
        sigma: Blur of the indicators in voxels; None is `pxm2mesh.surfacing.indicators.usual_blur`.
    """

    sweeps: int = 10
    relaxation: float = 0.4
    certificate: float = 0.2
    reach: float = 0.95
    sigma: float | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("sweeps", 0, 1000),
            ("relaxation", 0, 1),
            ("certificate", 0.01, 1),
            ("reach", 0, 2),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} {value!r} must be from {low} to {high}.")
        if self.sigma is not None and not self.sigma > 0:
            raise UsageError(f"sigma {self.sigma!r} must be positive.")


def smooth(
    surface: InterfaceSurface, options: SmoothOptions | None = None, *, progress: Progress = SILENT
) -> InterfaceSurface:
    """Smooth the net of `extract_surface` without self-intersection and without changing volumes.

    Args:
        surface: What `extract_surface` returned.
        options: How; None is the default.
        progress: Where to show the rounds.

    Returns:
        The same triangles' complex with other points and diagonals. ``lattice`` carries the indicators, the offsets
        and the certified cells; ``record["smoothing"]`` the certificate (least determinant over the undeformed one)
        and the volume errors.

    Raises:
        UsageError: The surface has no lattice.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> from pxm2mesh.surfacing import extract_surface
        >>> x, y, z = np.indices((16, 16, 16)) - 7.5
        >>> ball = (x**2 + y**2 + z**2 < 36).astype(np.uint8)
        >>> rough = extract_surface(LabelVolume(ball, {"void": 0, "NMC": 1}, "1 um"))
        >>> fine = smooth(rough)
        >>> rough.pair_areas()["void | NMC"] > 1.4 * fine.pair_areas()["void | NMC"]
        True
    """
    chosen = options or SmoothOptions()
    if surface.lattice is None:
        raise UsageError("this surface does not come from extract_surface;", hint="smooth what that returns.")
    if chosen.certificate >= 1 or chosen.sweeps == 0:
        return _as_it_is(surface, chosen)
    state = _State(surface, surface.lattice, chosen)
    with progress.task("Smoothing interfaces", chosen.sweeps) as task:
        for sweep in range(chosen.sweeps):
            state.sweep(sweep)
            task.advance()
        state.trim()
    return state.result()


def _fields(lattice: SurfaceLattice, options: SmoothOptions) -> Indicators:
    if lattice.indicators is not None and options.sigma is None:
        return lattice.indicators
    sigma = usual_blur(lattice.cell_size) if options.sigma is None else [options.sigma] * 3
    return indicator_fields(lattice.volume, sigma=sigma, islands=bool(lattice.cell_size.max() == 1))


def _as_it_is(surface: InterfaceSurface, options: SmoothOptions) -> InterfaceSurface:
    lattice = surface.lattice
    assert lattice is not None
    lattice = replace(
        lattice, indicators=_fields(lattice, options), offsets=np.zeros(len(lattice.region_body)),
        corners=_rest(lattice.nodes), centres=_rest(tuple((n[1:] + n[:-1]) / 2 for n in lattice.nodes)),
    )  # fmt: skip
    record = _record(options, 1.0, surface.region_volumes(), surface, 0.0)
    return replace(surface, lattice=lattice, record={**surface.record, "smoothing": record})


def _rest(planes: tuple[npt.NDArray[np.float64], ...]) -> npt.NDArray[np.float64]:
    return np.stack(np.meshgrid(*planes, indexing="ij"), axis=-1).reshape(-1, 3)


class _State:
    """Everything that changes while the surface is smoothed."""

    def __init__(self, surface: InterfaceSurface, lattice: SurfaceLattice, options: SmoothOptions) -> None:
        self.surface, self.lattice, self.options = surface, lattice, options
        self.fields = _fields(lattice, options)
        self.group = self.fields.group[lattice.region_body]
        self.cells = lattice.cells
        self.shape = lattice.cells.shape
        self.X = _rest(lattice.nodes)
        self.Z = _rest(tuple((n[1:] + n[:-1]) / 2 for n in lattice.nodes))
        self.node, self.quads, self.sides = net_of(lattice.cells)
        self.rest = self.X[self.node]
        widths = [np.diff(n) for n in lattice.nodes]
        self.unit = (
            float(np.prod([w.min() for w in widths])) / 2
        )  # a face's undeformed determinant in the least cell
        self.need = options.certificate * self.unit
        self.reach = options.reach * np.array([w.min() for w in widths])
        self.offset = np.zeros(len(surface.region_phase))
        self.target = surface.region_volume / lattice.volume.voxel_volume
        self.small = self.target < _SMALL
        for label in np.unique(surface.region_phase[1:]).tolist():
            of = surface.region_phase == label
            if np.all(self.small[of]):
                self.small[of] = False
        self.metric = lattice.volume.spacing / lattice.volume.spacing.min()
        self.middle = np.array([n[-1] / 2 for n in lattice.nodes])
        self.first = parity_diagonals(self.node, self.quads, self.shape)
        self.quality = np.zeros(len(self.quads))
        self.outcome = np.zeros(len(self.node), np.uint8)
        inside = (self.sides > 0).all(axis=1)
        keys = self.sides.min(axis=1).astype(np.int64) * len(self.offset) + self.sides.max(axis=1)
        unique, index = np.unique(keys[inside], return_inverse=True)
        self.pairs = unique // len(self.offset), unique % len(self.offset)
        self.pair_of_quad = np.full(len(self.quads), len(unique))
        self.pair_of_quad[inside] = index
        self.area = np.zeros(len(self.quads))
        self._colour()

    def _colour(self) -> None:
        self.links, self.box = np.zeros(len(self.node), np.uint8), np.zeros(len(self.node), np.uint8)
        smooth_kernels.link_points(self.cells, self.node, self.links, self.box)
        corners = tuple(n + 1 for n in self.shape)
        i, j, k = np.unravel_index(self.node, corners)
        colour = (i % 2) * 4 + (j % 2) * 2 + k % 2
        free = self.box != 7
        self.net_colours = [np.flatnonzero((colour == c) & free).astype(np.int32) for c in range(8)]
        touched = np.zeros(tuple(n + 2 for n in self.shape), np.bool_)  # cells at the net, with a rim of one
        for d in np.ndindex(2, 2, 2):
            touched[i + d[0], j + d[1], k + d[2]] = True
        self.active = np.flatnonzero(touched[1:-1, 1:-1, 1:-1])
        ci, cj, ck = np.unravel_index(self.active, self.shape)
        odd = (ci + cj + ck) % 2
        self.cell_colours = [self.active[odd == c] for c in range(2)]
        around = np.zeros(corners, np.bool_)
        for d in np.ndindex(2, 2, 2):
            around[ci + d[0], cj + d[1], ck + d[2]] = True
        around.ravel()[self.node] = False
        inner = np.flatnonzero(around)
        i, j, k = np.unravel_index(inner, corners)
        colour = (i % 2) * 4 + (j % 2) * 2 + k % 2
        self.inner_colours = [inner[colour == c] for c in range(8)]

    def sweep(self, number: int) -> None:
        """One round: net, centres, inner corners, centres; then diagonals and offsets."""
        last = self.options.sweeps - 1
        relax = self.options.relaxation * (1.0 if number < last - 1 else 0.25)
        project = min(1.0, 0.2 + 0.1 * number)
        self._move_net(relax, project)
        self._free_centres()
        n0, n1, n2 = self.shape
        if number % 2 == 0:
            for corners in self.inner_colours:
                smooth_kernels.move_inner(corners, self.X, self.Z, n0, n1, n2, 0.5, self.need)
            self._free_centres()
        if number >= self.options.sweeps // 2 or number == last:
            self._choose_diagonals()
        if number >= 1:
            self._correct(number)

    def trim(self) -> None:
        """Bring the volumes home: projection without relaxation until every phase is right; the best round is kept."""
        least = np.inf
        for number in range(_TRIM_SWEEPS):
            self._move_net(0.0, 1.0)
            self._choose_diagonals(keep=True)
            worst = self._correct(self.options.sweeps + number)
            if worst < least:
                least, best = worst, (self.X[self.node], self.first.copy(), self.offset.copy())
            if worst < _GOOD_VOLUME:
                break
        self.X[self.node], self.first, self.offset = best

    def _move_net(self, relax: float, project: float) -> None:
        for points in self.net_colours:
            smooth_kernels.move_net(
                points, self.node, self.links, self.box, self.cells, self.X, self.Z, self.rest, self.fields.values,
                self.group, self.offset, relax, project, self.reach, self.need, self.outcome,
            )  # fmt: skip

    def _free_centres(self) -> None:
        n0, n1, n2 = self.shape
        for cells in self.cell_colours:
            certificate.free_centres(cells, self.X, self.Z, n0, n1, n2, 1.5 * self.need)

    def _choose_diagonals(self, *, keep: bool = False) -> None:
        valid = certificate.quad_certificates(self.node, self.quads, self.X, self.Z, *self.shape)
        points = self.X[self.node] * self.metric
        smooth_kernels.choose_diagonals(self.quads, points, valid, self.need, keep, self.first, self.quality)

    def measure(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(r + 1,) volume and area of each region, in voxels; areas without box faces."""
        flux, area = np.empty(len(self.quads)), np.empty(len(self.quads))
        smooth_kernels.measure_quads(self.quads, self.X[self.node] - self.middle, self.first, flux, area)
        area[(self.sides == 0).any(axis=1)] = 0.0
        count = len(self.offset)
        low, high = self.sides[:, 0], self.sides[:, 1]
        self.area = area
        volume = np.bincount(low, flux, count) - np.bincount(high, flux, count)
        areas = np.bincount(low, area, count) + np.bincount(high, area, count)
        return np.asarray(volume, np.float64), np.asarray(areas, np.float64)

    def _correct(self, number: int) -> float:
        """Shift the indicators by what would restore the volume of every region, and of every phase.

        Returns:
            The largest relative volume error of a phase before.
        """
        volume, area = self.measure()
        error = self.target - volume
        slope = 1.0 / max(float(self.fields.sigma.mean()), 0.7)
        phase, worst = self.surface.region_phase, 0.0
        for label in np.unique(phase[1:]).tolist():
            of = phase == label
            worst = max(worst, abs(float(error[of].sum() / self.target[of].sum())))
            left, stay = of & self.small, of & ~self.small
            error[stay] += error[left].sum() * area[stay] / max(area[stay].sum(), 1.0)
        shift = np.clip(self._shifts(error, area), -0.2, 0.2)
        self.offset += slope * shift
        self.offset[1:] -= np.average(self.offset[1:], weights=area[1:] + 1e-9)
        np.clip(self.offset, -_LARGEST_OFFSET, _LARGEST_OFFSET, out=self.offset)
        logger.debug("sweep %d: %d points held back, largest phase error %.3g", number,
                     int((self.outcome == 9).sum()), worst)  # fmt: skip
        return worst

    def _shifts(
        self, error: npt.NDArray[np.float64], area: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """How far every region must grow, so that the exchange across all pairs restores the volumes.

        Growing region a by s_a against region b by s_b moves (s_a − s_b)·area of the pair: a graph Laplacian,
        solved well enough by damped Jacobi steps, whose sums do not depend on the number of threads. Small
        regions are left out of it and follow their own error.
        """
        low, high = self.pairs
        between = np.bincount(self.pair_of_quad, self.area, len(low) + 1)[:-1]
        between[self.small[low] | self.small[high]] = 0.0
        count = len(error)
        shared = np.maximum(np.bincount(low, between, count) + np.bincount(high, between, count), 1.0)
        shift = np.where(self.small, error / np.maximum(area, 1.0), 0.0)
        for _ in range(_EXCHANGE_STEPS):
            flow = between * (shift[low] - shift[high])
            gained = np.bincount(low, flow, count) - np.bincount(high, flow, count)
            shift += np.where(self.small, 0.0, 0.6 * (error - gained) / shared)
        return shift

    def result(self) -> InterfaceSurface:
        """The smoothed surface with its certificate."""
        least = certificate.cell_certificates(self.active, self.X, self.Z, *self.shape)
        ratio = float(least.min() / self.unit) if len(least) else 1.0
        lattice = replace(
            self.lattice, indicators=self.fields, offsets=self.offset, corners=self.X, centres=self.Z
        )  # fmt: skip
        points = to_points(lattice, self.X[self.node])
        volume, _ = self.measure()
        held = float((self.outcome == 9).mean())
        record = _record(self.options, ratio, volume * lattice.volume.voxel_volume, self.surface, held)
        return replace(
            self.surface, points=points, triangles=triangles_of(self.quads, self.first), lattice=lattice,
            record={**self.surface.record, "smoothing": record},
        )  # fmt: skip


def _record(
    options: SmoothOptions,
    ratio: float,
    volume: npt.NDArray[np.float64],
    surface: InterfaceSurface,
    held: float,
) -> dict[str, Any]:
    error = volume - surface.region_volume
    voxels = surface.region_volume / (surface.lattice.volume.voxel_volume if surface.lattice else 1.0)
    large = np.flatnonzero(voxels > 64)
    relative = np.abs(error[large]) / surface.region_volume[large] if len(large) else np.zeros(1)
    phases = {}
    for phase in surface.phases:
        of = surface.region_phase == phase.label
        if surface.region_volume[of].sum() > 0:
            phases[phase.name] = float(error[of].sum() / surface.region_volume[of].sum())
    return {
        "options": asdict(options),
        "certificate": ratio,
        "phase_volume_error": phases,
        "largest_region_error": float(relative.max()),
        "points_held_back": held,
    }
