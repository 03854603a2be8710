"""What was measured, as fields to look at: particles, local thickness, potential, gaps and cracks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io.images import write_fields
from pxm2mesh.io.surfaces import write_lines
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.quantify.measure import wanted_groups
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[np.generic]]


def write_measured_fields(
    volume: LabelVolume,
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    directions: Sequence[str] = AXES,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write the fields behind the quantities, for ParaView.

    Args:
        volume: The sample.
        folder: Gets ``particles.vti``, ``local_thickness.vti``, ``potential.vti``, ``layers.vti`` and
            ``cracks-ANODE.vtp``, as far as the sample has them; ``phase`` is in each ``.vti`` of the lattice.
        only: Quantities or groups as of `quantify`; those of its default groups when None.
        directions: Of the potential.
        progress: Shows one step per file.

    Returns:
        The files.

    Raises:
        UsageError: Unknown name.
        DataError: None of them applies, or the place cannot be written.
    """
    groups = [g for g in wanted_groups(only) if g in _WRITERS]
    files: list[Path] = []
    with progress.task("writing fields", len(groups)) as task:
        for group in groups:
            files += _WRITERS[group](volume, folder, tuple(directions))
            task.advance(note=group)
    if not files:
        raise DataError(
            "there is no field of these quantities in this sample;",
            hint=f"fields belong to {', '.join(_WRITERS)}.",
        )
    return files


def _lattice(volume: LabelVolume, path: Path, arrays: Arrays) -> list[Path]:
    if not arrays:
        return []
    write_fields(path, {"phase": volume.labels, **arrays}, spacing=volume.spacing, origin=volume.origin)
    return [path]


def _particles(volume: LabelVolume, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    from pxm2mesh.quantify.particles import measure_particles, particle_ids

    arrays: Arrays = {}
    for phase in volume.phases:
        if phase.role != "active" or not np.any(volume.labels == phase.label):
            continue
        ids = particle_ids(volume, phase.name)
        table = measure_particles(volume, phase.name)
        diameter = np.zeros(int(ids.max()) + 1, np.float32)
        diameter[table.id] = table.diameter
        arrays |= {f"particle {phase.name}": ids, f"particle_diameter {phase.name} [um]": diameter[ids]}
    return _lattice(volume, folder / "particles.vti", arrays)


def _thickness(volume: LabelVolume, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    from pxm2mesh.quantify.pores import local_thickness

    present = [p for p in volume.phases if np.any(volume.labels == p.label)]
    voids = [p.name for p in present if p.role == "void"]
    bodies = [voids] if voids else []
    bodies += [[p.name] for p in present if p.role not in ("void", "active")]
    arrays: Arrays = {}
    for names in bodies if len(present) > 1 else []:
        arrays[f"local_thickness {' + '.join(names)} [um]"] = local_thickness(volume, *names)
    return _lattice(volume, folder / "local_thickness.vti", arrays)


def _potential(volume: LabelVolume, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    from pxm2mesh.quantify.transport import tortuosity

    arrays: Arrays = {}
    for phase in volume.phases:
        if not np.any(volume.labels == phase.label):
            continue
        for direction in directions:
            found = tortuosity(volume, phase.name, direction, potential=True)
            if np.isfinite(found.tortuosity_factor) and found.potential is not None:
                arrays[f"potential {phase.name} {direction} [1]"] = found.potential
    return _lattice(volume, folder / "potential.vti", arrays)


def _layers(volume: LabelVolume, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    """Maps over the area as one sheet of voxels, and the middle lines of cracks."""
    from pxm2mesh.quantify.cracks import crack_network
    from pxm2mesh.quantify.electrode import delamination, layer_thickness

    present = {p.name: p.role for p in volume.phases if np.any(volume.labels == p.label)}
    maps: Arrays = {}
    lines: list[Path] = []
    collectors = [n for n, r in present.items() if r == "collector"]
    anodes = [n for n, r in present.items() if r == "anode"]
    has_void = "void" in present.values()
    for name, role in present.items():
        if role in ("collector", "anode", "separator"):
            maps[f"thickness {name} [um]"] = layer_thickness(volume, name).map
    for collector in collectors if has_void else ():
        for anode in anodes:
            maps[f"gap {collector} {anode} [um]"] = delamination(volume, collector, anode).opening
    for anode in anodes if has_void and np.isclose(*volume.spacing[:2]) else ():
        cracks = crack_network(volume, anode)
        maps[f"crack {anode}"] = cracks.open
        if cracks.skeleton.any():
            layer = layer_thickness(volume, anode)
            top = float(np.nanmedian(layer.lower + layer.map))
            points, links = _skeleton_lines(cracks.skeleton)
            places = volume.origin[:2] + (points + 0.5) * volume.spacing[:2]
            path = folder / f"cracks-{anode}.vtp"
            write_lines(path, np.c_[places, np.full(len(places), top)], links)
            lines.append(path)
    if not maps:
        return lines
    sheets = {name: np.asarray(values)[:, :, None] for name, values in maps.items()}
    write_fields(folder / "layers.vti", sheets, spacing=volume.spacing, origin=volume.origin)
    return [folder / "layers.vti", *lines]


def _skeleton_lines(
    skeleton: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pixels (n, 2), and links (m, 2) between neighbours: straight ones, and diagonals that no corner joins."""
    points = np.argwhere(skeleton)
    number = np.full(skeleton.shape, -1)
    number[tuple(points.T)] = np.arange(len(points))
    padded = np.pad(number, 1, constant_values=-1)
    links = []
    for step in ((1, 0), (0, 1), (1, 1), (1, -1)):
        there = padded[tuple((points + 1 + step).T)]
        joined = there >= 0
        if all(step):
            for corner in ((step[0], 0), (0, step[1])):
                joined &= padded[tuple((points + 1 + corner).T)] < 0
        links.append(np.column_stack([np.flatnonzero(joined), there[joined]]))
    return points, np.concatenate(links)


_WRITERS: dict[str, Callable[[LabelVolume, Path, tuple[str, ...]], list[Path]]] = {
    "particles": _particles,
    "pores": _thickness,
    "transport": _potential,
    "layers": _layers,
}
"""By group of quantities."""
