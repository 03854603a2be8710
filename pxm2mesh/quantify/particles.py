"""Particles: sizes, shapes, neighbours, and what their surfaces touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.quantify.areas import phase_index, projected_areas
from pxm2mesh.volume import LabelVolume

Float = npt.NDArray[np.float64]
Supply = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
"""Voxels that ions reach, and voxels that electrons reach; none belongs to both."""


@dataclass(frozen=True, eq=False)
class ParticleTable:
    """One row per particle of one phase.

    Attributes:
        phase: Name of the phase.
        id: (n,) particle ids of the volume where it has some, else numbers of the 6-connected pieces.
        volume: (n,) µm³.
        centre: (n, 3) µm, centre of mass.
        extent: (n, 3) µm, edges of the bounding box.
        cut: (n,) whether the particle reaches the side of the sample and may be larger than what is seen.
        surface: (n,) µm², by projected faces; box faces do not count.
        contact: (n, phases) µm², the part of it that touches each phase; the own phase: other particles.
        coordination: (n,) other particles of the phase that share at least one voxel face.
        weight: (n,) by how much a particle stands for others of its size that would have been cut
            (Miles–Lantuéjoul); 0 for those that are cut themselves.
    """

    phase: str
    id: npt.NDArray[np.int64]
    volume: Float
    centre: Float
    extent: Float
    cut: npt.NDArray[np.bool_]
    surface: Float
    contact: Float
    coordination: npt.NDArray[np.int64]
    weight: Float

    def __len__(self) -> int:
        return len(self.id)

    @property
    def diameter(self) -> Float:
        """(n,) µm, of the sphere of the same volume."""
        return np.asarray(np.cbrt(6 * self.volume / np.pi))

    @property
    def sphericity(self) -> Float:
        """(n,) surface of the sphere of the same volume over the particle's own surface (Wadell)."""
        ball = np.pi ** (1 / 3) * (6 * self.volume) ** (2 / 3)
        return np.asarray(
            np.divide(ball, self.surface, out=np.full(len(self), np.nan), where=self.surface > 0)
        )

    def diameter_percentile(self, share: float) -> float:
        """Diameter below which ``share`` of the particle volume lies, in µm.

        Particles cut by the box are left out and the others stand for them by their weight; where all
        are cut, all count alike.
        """
        weight = self.volume * (self.weight if np.any(self.weight > 0) else 1.0)
        order = np.argsort(self.diameter, kind="stable")
        order = order[weight[order] > 0]
        below = np.cumsum(weight[order])
        middle = (below - 0.5 * weight[order]) / below[-1]
        return float(np.interp(share, middle, self.diameter[order]))


def particle_ids(volume: LabelVolume, phase: str) -> npt.NDArray[np.int32]:
    """(nx, ny, nz) particle of each voxel of a phase, 0 elsewhere.

    The ids of the volume where it has some, else the 6-connected pieces of the phase.
    """
    import cc3d

    inside = volume.mask(phase)
    if volume.particles is not None:
        return np.asarray(np.where(inside, volume.particles, 0), dtype=np.int32)
    return np.asarray(
        cc3d.connected_components(inside.view(np.uint8), connectivity=6, out_dtype=np.uint32), np.int32
    )


def measure_particles(volume: LabelVolume, phase: str) -> ParticleTable:
    """Measure every particle of a phase.

    Args:
        volume: The sample; touching particles are told apart where it has particle ids.
        phase: Name of the phase.

    Returns:
        One row per particle.

    Raises:
        DataError: The phase has no voxel, or no voxel of it belongs to a particle.

    References:
        C. Lantuéjoul, Microscopica Acta 82 suppl. (1980), and R. Miles (1974) (edge correction);
        H. Wadell, J. Geology 43, 250 (1935) (sphericity).
    """
    return _measured(volume, phase, None)[0]


def _measured(
    volume: LabelVolume, phase: str, supply: Supply | None
) -> tuple[ParticleTable, npt.NDArray[np.bool_], Float]:
    """The particles; which of them current reaches, and (n, 3) what of their surface is unsupplied, wetted, wired."""
    volume.require(phase)
    present, ids = _renumber(particle_ids(volume, phase))
    if len(present) == 0:
        raise DataError(
            f"no voxel of phase {phase!r} belongs to a particle;",
            hint="separate the particles first, or drop the ids.",
        )
    count = len(present)
    voxels, total, low, high = _extents(ids, count)
    shape = np.array(volume.shape)
    extent = (high - low + 1) * volume.spacing
    cut = np.any((low == 0) | (high == shape - 1), axis=1)
    box = shape * volume.spacing
    inside = np.where(cut, 0.0, np.prod(box / np.maximum(box - extent, volume.spacing), axis=1))
    wired, contact = _contacts(volume, phase, ids, count, supply)
    table = ParticleTable(
        phase=phase,
        id=present,
        volume=np.asarray(voxels * volume.voxel_volume, np.float64),
        centre=volume.origin + (total / voxels[:, None] + 0.5) * volume.spacing,
        extent=extent,
        cut=cut,
        surface=contact.sum(axis=(1, 2)),
        contact=contact.sum(axis=2),
        coordination=_coordination(ids, count),
        weight=inside,
    )
    return table, wired, contact.sum(axis=1)


def _renumber(ids: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The ids that occur, ascending, and the volume with 1…n in their place."""
    top = int(ids.max())
    counts = np.zeros(top + 1, np.int64)
    for plane in ids:
        counts += np.bincount(plane.ravel(), minlength=top + 1)
    counts[0] = 0
    present = np.flatnonzero(counts)
    if len(present) == top:
        return present, ids
    lookup = np.zeros(top + 1, np.int32)
    lookup[present] = np.arange(1, len(present) + 1)
    return present, lookup[ids]


def _extents(
    ids: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int64], Float, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Voxels, sum of voxel indices, lowest and highest index of each particle."""
    from pxm2mesh.quantify import _component_kernels as kernels

    voxels = np.zeros(count + 1, np.int64)
    total = np.zeros((count + 1, 3))
    low = np.full((count + 1, 3), np.iinfo(np.int64).max)
    high = np.full((count + 1, 3), -1)
    kernels.extents(ids, voxels, total, low, high)
    return voxels[1:], total[1:], low[1:], high[1:]


def _contacts(
    volume: LabelVolume, phase: str, ids: npt.NDArray[np.int32], count: int, supply: Supply | None
) -> tuple[npt.NDArray[np.bool_], Float]:
    """(n,) whether current reaches a particle; (n, phases, 3) µm² of its surface by what it touches.

    The last axis: without supply, reached by ions, reached by electrons.
    """
    index = phase_index(volume)
    phases = len(volume.phases)
    own = volume.phases.names.index(phase)
    keys = index.astype(np.uint32)
    np.add(ids, phases - 1, out=keys, where=ids > 0, casting="unsafe")
    kind: npt.NDArray[np.unsignedinteger] = index.astype(np.uint8 if 3 * phases < 256 else np.uint32)
    kind *= 3
    wired = np.zeros(count, bool)
    if supply is not None:
        ions, electrons = supply
        wired[np.flatnonzero(np.bincount(ids[electrons & (ids > 0)], minlength=count + 1)) - 1] = True
        kind += ions
        np.add(kind, 2, out=kind, where=electrons)
        # a particle is wired as a whole or not at all
        state = np.concatenate([[0], 3 * own + 2 * wired]).astype(kind.dtype)
        for plane, numbers in zip(kind, ids, strict=True):
            np.copyto(plane, state[numbers], where=numbers > 0)
    row = np.concatenate([np.full(phases, -1), np.arange(count)])
    areas = projected_areas(keys, row, kind, np.arange(3 * phases), volume.spacing)
    return wired, areas.reshape(count, phases, 3)


def _coordination(ids: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    pairs = []
    for axis in range(3):
        lower = ids[tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))]
        upper = ids[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))]
        touch = (lower != upper) & (lower > 0) & (upper > 0)
        a, b = lower[touch].astype(np.int64), upper[touch].astype(np.int64)
        pairs.append(np.unique(np.minimum(a, b) * (count + 1) + np.maximum(a, b)))
    unique = np.unique(np.concatenate(pairs))
    low, high = unique // (count + 1), unique % (count + 1)
    return np.asarray((np.bincount(low, minlength=count + 1) + np.bincount(high, minlength=count + 1))[1:])


@dataclass(frozen=True, eq=False)
class ConnectedSurface:
    """How the particles of an active phase are supplied.

    Attributes:
        particles: The particles.
        ionic: (n,) share of each particle's surface that touches electrolyte connected to the separator side.
        electronic: (n,) share that touches a conductor (additive, collector, other particles) connected to
            the collector side.
        isolated: (n,) whether one of the two supplies is missing altogether.
    """

    particles: ParticleTable
    ionic: Float
    electronic: Float
    isolated: npt.NDArray[np.bool_]

    @property
    def isolated_fraction(self) -> float:
        """Share of the active volume in particles without ionic or electronic connection."""
        volume = self.particles.volume
        return float(volume[self.isolated].sum() / volume.sum())

    @property
    def mean(self) -> Mapping[str, float]:
        """``ionic`` and ``electronic`` share of the whole active surface."""
        surface = self.particles.surface
        whole = surface.sum()
        return {
            k: float(v @ surface / whole) if whole else 0.0
            for k, v in (("ionic", self.ionic), ("electronic", self.electronic))
        }


def connected_surface(
    volume: LabelVolume,
    active: str,
    *,
    separator: str = "z-",
    collector: str = "z+",
) -> ConnectedSurface:
    """Which part of each particle's surface is reached by ions and by electrons.

    Ions move through all phases of role electrolyte or separator that reach the box face ``separator``;
    electrons through active, binder and collector phases that reach the face ``collector`` (6-connected).

    Args:
        volume: The sample.
        active: Name of the active phase.
        separator: Box face that ions come from, ``"x-"`` … ``"z+"``.
        collector: Box face that electrons come from.

    Returns:
        Shares per particle.

    Raises:
        UsageError: Unknown phase or face.
    """
    from pxm2mesh.errors import UsageError, did_you_mean
    from pxm2mesh.surface import BOX_FACES

    for face in (separator, collector):
        if face not in BOX_FACES:
            raise UsageError(f"unknown box face {face!r};", hint=did_you_mean(face, BOX_FACES))
    roles = {p.name: p.role for p in volume.phases}
    ions = _reached(volume, [n for n, r in roles.items() if r in ("electrolyte", "separator")], separator)
    wires = [n for n, r in roles.items() if n == active or r in ("active", "binder", "collector")]
    electrons = _reached(volume, wires, collector)
    particles, wired, areas = _measured(volume, active, (ions, electrons))
    whole = np.maximum(particles.surface, np.finfo(float).tiny)
    ionic, electronic = areas[:, 1] / whole, areas[:, 2] / whole
    return ConnectedSurface(particles, ionic, electronic, (ionic == 0) | ~wired)


def _reached(volume: LabelVolume, names: list[str], face: str) -> npt.NDArray[np.bool_]:
    """Voxels of the named phases that hang together with a box face."""
    import cc3d

    if not names:
        return np.zeros(volume.shape, bool)
    ids = cc3d.connected_components(volume.mask(*names).view(np.uint8), connectivity=6, out_dtype=np.uint32)
    start = np.unique(ids.take(0 if face[1] == "-" else -1, "xyz".index(face[0])))
    good = np.zeros(int(ids.max()) + 1, bool)
    good[start] = True
    good[0] = False
    return np.asarray(good[ids])
