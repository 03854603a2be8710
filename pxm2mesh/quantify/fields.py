"""What was measured, as fields to look at: particles, local thickness, potential, gaps and cracks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io.images import write_fields
from pxm2mesh.io.surfaces import write_lines
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantify._groups import has_electrolyte
from pxm2mesh.quantify._sample import Sample
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.quantify.measure import measure_sample, wanted_groups
from pxm2mesh.quantities import Quantities
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]


def quantify_with_fields(
    volume: LabelVolume,
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    directions: Sequence[str] = AXES,
    progress: Progress = SILENT,
) -> tuple[Quantities, list[Path]]:
    """As `quantify`, and write the fields behind the quantities, for ParaView.

    Args:
        volume: The sample.
        folder: Gets ``particles.vti``, ``local_thickness.vti``, ``potential.vti``, ``layers.vti`` and
            ``cracks-ANODE.vtp``, as far as the sample has them; ``phase`` is in each ``.vti`` of the lattice.
        only: Quantities or groups as of `quantify`; those of its default groups when None.
        directions: Of directed quantities and the potential.
        progress: Shows one step per group and per file.

    Returns:
        The quantities, and the files. Nothing is computed twice.

    Raises:
        UsageError: Unknown name.
        DataError: None of the fields applies, or the place cannot be written.
    """
    sample = Sample(volume, keep=True)
    found = measure_sample(sample, only=only, directions=directions, progress=progress)
    groups = [g for g in wanted_groups(only) if g in _WRITERS]
    files: list[Path] = []
    with progress.task("writing fields", len(groups)) as task:
        for group in groups:
            files += _WRITERS[group](sample, folder, tuple(directions))
            task.advance(note=group)
    if not files:
        raise DataError(
            "there is no field of these quantities in this sample;",
            hint=f"fields belong to {', '.join(_WRITERS)}.",
        )
    return found, files


def _lattice(volume: LabelVolume, path: Path, arrays: Arrays) -> list[Path]:
    if not arrays:
        return []
    write_fields(path, {"phase": volume.labels, **arrays}, spacing=volume.spacing, origin=volume.origin)
    return [path]


def _particles(sample: Sample, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    from pxm2mesh.quantify.particles import connected_surface, measure_particles, particle_ids

    volume, arrays = sample.volume, Arrays()
    supplied = has_electrolyte(volume)
    for phase in volume.phases:
        if phase.role != "active" or phase.name not in sample.present:
            continue
        ids = particle_ids(volume, phase.name)
        if supplied:
            table = sample.once(connected_surface, phase.name).particles
        else:
            table = sample.once(measure_particles, phase.name)
        diameter = np.zeros(int(ids.max()) + 1, np.float32)
        diameter[table.id] = table.diameter
        arrays |= {f"particle {phase.name}": ids, f"particle_diameter {phase.name} [um]": diameter[ids]}
    return _lattice(volume, folder / "particles.vti", arrays)


def _thickness(sample: Sample, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    from pxm2mesh.quantify.pores import local_thickness

    volume, arrays = sample.volume, Arrays()
    roles = {name: volume.phases[name].role for name in sample.present}
    voids = [name for name, role in roles.items() if role == "void"]
    bodies = [voids] if voids else []
    bodies += [[name] for name, role in roles.items() if role not in ("void", "active")]
    for names in bodies if len(roles) > 1 else []:
        arrays[f"local_thickness {' + '.join(names)} [um]"] = sample.once(local_thickness, *names)
    return _lattice(volume, folder / "local_thickness.vti", arrays)


def _potential(sample: Sample, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    from pxm2mesh.quantify.transport import tortuosity

    arrays = Arrays()
    for name in sample.present:
        for direction in directions:
            found = sample.once(tortuosity, name, direction, potential=True)
            if np.isfinite(found.tortuosity_factor) and found.potential is not None:
                arrays[f"potential {name} {direction} [1]"] = found.potential
    return _lattice(sample.volume, folder / "potential.vti", arrays)


def _layers(sample: Sample, folder: Path, directions: tuple[str, ...]) -> list[Path]:
    """Maps over the area as one sheet of voxels, and the middle lines of cracks."""
    from pxm2mesh.quantify.cracks import crack_network
    from pxm2mesh.quantify.electrode import delamination, layer_thickness

    volume, maps = sample.volume, Arrays()
    present = {name: volume.phases[name].role for name in sample.present}
    lines: list[Path] = []
    collectors = [n for n, r in present.items() if r == "collector"]
    anodes = [n for n, r in present.items() if r == "anode"]
    has_void = "void" in present.values()
    for name, role in present.items():
        if role in ("collector", "anode", "separator"):
            maps[f"thickness {name} [um]"] = sample.once(layer_thickness, name).map
    for collector in collectors if has_void else ():
        for anode in anodes:
            maps[f"gap {collector} {anode} [um]"] = sample.once(delamination, collector, anode).opening
    for anode in anodes if has_void and np.isclose(*volume.spacing[:2]) else ():
        cracks = sample.once(crack_network, anode)
        maps[f"crack {anode}"] = cracks.open
        if cracks.skeleton.any():
            layer = sample.once(layer_thickness, anode)
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


_WRITERS: dict[str, Callable[[Sample, Path, tuple[str, ...]], list[Path]]] = {
    "particles": _particles,
    "pores": _thickness,
    "transport": _potential,
    "layers": _layers,
}
"""By group of quantities."""
