"""What a mesh will cost, before it is made; and the cell size for a wanted number of cells."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import MeshingError
from pxm2mesh.meshing.layer_plan import with_layers
from pxm2mesh.meshing.options import DEFAULTS, MeshOptions, Sizing
from pxm2mesh.meshing.sizing import distances, sizes_inside
from pxm2mesh.meshing.transition import TransitionZone
from pxm2mesh.volume import LabelVolume

log = logging.getLogger(__name__)

# fitted to nine meshes from 16³ of one phase to 128³ cathodes, noise and a checkerboard: within 8 %
_PER_SIZE, _PER_FACE, _PER_BOX_FACE = 6.34, 1.28, -1.13
_FINER_POWER = 1.15  # of 1.2 cell sizes over a smaller ``near``
_SECONDS = (1.0, 25e-6, 1e-6)  # start, per cell (at a million), per voxel; on two idle cores
_SECONDS_POWER = 0.18  # caches: a cell of 6 million takes a third longer than one of a million
_LATTICE_CELLS, _LATTICE_SECONDS = 12, 12e-6  # per cell of the lattice; per tetrahedron
_LAYER_CELLS, _LAYER_POWER = (
    3.0,
    2.5,
)  # cut for a layer, per edge² of interface: × (cell size / thickness) ** power
_LAYER_SECONDS = 1.8  # times what the mesh takes without it: all is improved once more
_MEGABYTES = (350.0, 0.75e-3, 25e-6)  # start, per cell, per voxel and field
_FIELDS = 16  # indicator fields at most: bodies apart from each other share one
_PAIRS = (
    45.0  # gmsh takes 0.12 µs per squared pair of regions, the lattice 0.24 ms per cell: equal at 45 √cells
)


@dataclass(frozen=True)
class Cost:
    """A prediction.

    Attributes:
        cells: Tetrahedra, ± 10 %.
        seconds: On two idle cores, roughly.
        memory_gb: Peak of the larger of the two processes.
        cell_size: Voxels along x, y, z.
    """

    cells: int
    seconds: float
    memory_gb: float
    cell_size: tuple[int, int, int]


def predict_cost(volume: LabelVolume, options: MeshOptions = DEFAULTS) -> Cost:
    """Cells, time and memory that `mesh_volume` will take.

    Args:
        volume: The sample.
        options: Its options; ``target_cells`` is taken into account.

    Returns:
        The prediction.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> labels = np.ones((32, 32, 32), np.uint8)
        >>> predict_cost(LabelVolume(labels, {"NMC": 1}, "1 um")).cells < 20_000
        True
    """
    volume, options = with_layers(volume, options)
    if options.target_cells is not None:
        options = reach_target(volume, options)
    sizes = options.voxels(volume)
    labels, spacing, cell_size = _thinned(volume, sizes)
    seconds = _SECONDS[0] + _SECONDS[2] * volume.labels.size
    if options.method == "lattice" or too_many_pairs(_touching_pairs(labels), labels.size):
        cells = _LATTICE_CELLS * labels.size
        seconds += _LATTICE_SECONDS * cells
    else:
        cells = _count(labels, distances(labels, spacing), spacing, cell_size, options.sizing)
        seconds += _SECONDS[1] * cells * (cells / 1e6) ** _SECONDS_POWER
    for zone in options.zones:
        if zone.kind == "layer":
            added = int(_faces_between(volume, labels, zone) * _layer_cells(zone, cell_size))
            cells += added
            seconds = seconds * _LAYER_SECONDS + _SECONDS[1] * added
    return Cost(cells, round(seconds, 1), round(_megabytes(cells, volume) / 1024, 2), sizes)


def too_many_pairs(pairs: int, cells: int) -> bool:
    """Whether so many regions touch that gmsh, whose time grows with the square of the pairs, would take for ever."""
    return bool(pairs > _PAIRS * np.sqrt(cells))


def _touching_pairs(labels: npt.NDArray[np.uint32]) -> int:
    """Pairs of touching regions, the outside being one."""
    import cc3d

    regions = cc3d.connected_components(labels, connectivity=6).astype(np.int64)
    base, keys = int(regions.max()) + 1, []
    for axis in range(3):
        a, b = (np.moveaxis(regions, axis, 0)[part].ravel() for part in (slice(None, -1), slice(1, None)))
        differ = a != b
        keys.append(np.minimum(a, b)[differ] * base + np.maximum(a, b)[differ])
        keys += [np.moveaxis(regions, axis, 0)[end].ravel() for end in (0, -1)]  # to the outside, region 0
    return len(np.unique(np.concatenate(keys)))


def _layer_cells(zone: TransitionZone, cell_size: float) -> float:
    """Cells that cutting a layer adds per cell face at its interface (1.5 faces make a cell's edge squared)."""
    return float(_LAYER_CELLS / 1.5 * max(cell_size / zone.length, 1.0) ** _LAYER_POWER)


def _faces_between(volume: LabelVolume, labels: npt.NDArray[np.uint32], zone: TransitionZone) -> int:
    """Faces of the thinned labels between the two phases of a zone."""
    phase = (labels - 1) % np.uint32(int(volume.labels.max()) + 1)
    first, second = (volume.phases[name].label for name in zone.between)
    count = 0
    for axis in range(3):
        a, b = (np.moveaxis(phase, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        count += int(np.count_nonzero(((a == first) & (b == second)) | ((a == second) & (b == first))))
    return count


def _megabytes(cells: int, volume: LabelVolume) -> float:
    bodies = len(volume.phases) + (0 if volume.particles is None else int(volume.particles.max()))
    return _MEGABYTES[0] + _MEGABYTES[1] * cells + _MEGABYTES[2] * volume.labels.size * min(bodies, _FIELDS)


def _thinned(
    volume: LabelVolume, sizes: tuple[int, int, int]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float64], float]:
    step = tuple(slice(s // 2, None, s) for s in sizes)
    labels = volume.labels[step].astype(np.uint32) + 1
    if volume.particles is not None:
        base = np.uint32(int(volume.labels.max()) + 1)
        labels = labels + volume.particles[step].astype(np.uint32) * base
    spacing = np.array(volume.shape) * volume.spacing / np.array(labels.shape)
    return np.ascontiguousarray(labels), spacing, float(np.prod(spacing) ** (1 / 3))


def _count(
    labels: npt.NDArray[np.uint32],
    distance: npt.NDArray[np.float64],
    spacing: npt.NDArray[np.float64],
    cell_size: float,
    sizing: Sizing,
) -> int:
    near, far = sizing.lengths(cell_size)
    usual = 1.2 * cell_size  # cells smaller than the interface's triangles only pay off away from them
    more = max(1.0, usual / near) ** _FINER_POWER
    size = sizes_inside(
        distance, replace(sizing, near=f"{max(near, usual):.9g} um", far=f"{far:.9g} um"), cell_size
    )
    inside = float(np.sum(np.prod(spacing) / size**3))
    faces = sum(int(np.count_nonzero(np.diff(labels.astype(np.int64), axis=a))) for a in range(3))
    box = 2 * sum(int(np.prod(np.delete(labels.shape, a))) for a in range(3))
    cells = more * (_PER_SIZE * inside + _PER_FACE * faces + _PER_BOX_FACE * box)
    return max(int(cells), 6 * labels.size // 20, 6)


def reach_target(volume: LabelVolume, options: MeshOptions) -> MeshOptions:
    """Options whose predicted number of cells is ``target_cells``.

    The finest cell size that can stay below the target is taken, and then the cells inside the regions are
    made as fine as the target allows.

    Args:
        volume: The sample.
        options: With ``target_cells``.

    Returns:
        The same with ``cell_size`` and ``sizing`` set and no target.
    """
    target = options.target_cells
    assert target is not None
    largest = max(1, min(volume.shape) // 2)
    for size in range(1, largest + 1):
        trial = replace(options, cell_size=float(size), target_cells=None)
        labels, spacing, cell_size = _thinned(volume, trial.voxels(volume))
        distance = distances(labels, spacing)
        if (
            _count(labels, distance, spacing, cell_size, _finer(options.sizing, 0.0)) <= target
            or size == largest
        ):
            break
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        enough = _count(labels, distance, spacing, cell_size, _finer(options.sizing, middle)) > target
        low, high = (low, middle) if enough else (middle, high)
    sizing = _finer(options.sizing, round(0.5 * (low + high), 4))
    log.info("for about %d cells: cell size %d voxels (%.4g µm), %s", target, size, cell_size, sizing)
    return replace(trial, sizing=sizing)


def _finer(sizing: Sizing, share: float) -> Sizing:
    """From the coarsest (0) to the finest (1) that goes with one cell size: less growth, then smaller cells inside."""
    growth = 1.5 + (0.15 - 1.5) * min(1.0, 2 * share)
    near = sizing.near if sizing.near is not None or share <= 0.5 else 1.2 + (0.6 - 1.2) * (2 * share - 1)
    return replace(sizing, growth=round(growth, 4), near=near)


def refuse_excess(volume: LabelVolume, options: MeshOptions, cost: Cost) -> None:
    """Refuse to start what will not fit into memory.

    Args:
        volume: The sample.
        options: With ``memory_limit``, GB; None is what the machine has free.
        cost: The prediction.

    Raises:
        MeshingError: With the prediction, and a cell size that fits.
    """
    limit = options.memory_limit if options.memory_limit is not None else free_memory_gb()
    if limit is None or cost.memory_gb <= limit:
        return
    hint = "use a machine with more memory, or a smaller crop."
    for size in range(max(cost.cell_size) + 1, max(2, min(volume.shape) // 2) + 1):
        other = predict_cost(volume, replace(options, cell_size=float(size), target_cells=None))
        if other.memory_gb <= limit:
            about = f"{other.cells:,} cells, about {other.seconds:.0f} s"
            hint = f"cell size {size} needs {other.memory_gb:.2g} GB ({about}); or set target_cells."
            break
    raise MeshingError(
        f"cell size {max(cost.cell_size)} gives about {cost.cells:,} cells and needs {cost.memory_gb:.3g} GB "
        f"and about {cost.seconds:.0f} s, but {limit:.3g} GB are free;",
        hint=hint,
    )


def free_memory_gb() -> float | None:
    """Memory that can be had without swapping, or None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024**2
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    return None
