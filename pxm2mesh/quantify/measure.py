"""The verb ``quantify``: every quantity of a sample, in one list."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantify._sample import Sample
from pxm2mesh.quantify.areas import AreaMethod
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

Rows = Iterable[Quantity]


@dataclass(frozen=True)
class _Group:
    """Quantities that are measured together.

    Attributes:
        names: What it yields.
        measure: Function of the sample and the directions.
        default: Whether it is measured when nothing is asked for by name.
    """

    names: tuple[str, ...]
    measure: Callable[[Sample, tuple[str, ...]], Rows]
    default: bool = True


def quantify(
    volume: LabelVolume,
    *,
    only: Sequence[str] | None = None,
    directions: Sequence[str] = AXES,
    progress: Progress = SILENT,
) -> Quantities:
    """Measure a segmented sample.

    Args:
        volume: The sample.
        only: Names of quantities (``"porosity"``) or groups (``"areas"``) to restrict to; everything of
            the default groups when None. What is not asked for is not computed.
        directions: Of ``"x"``, ``"y"``, ``"z"``: those to measure directed quantities in.
        progress: Shows one step per group.

    Returns:
        One row per quantity and phase, interface or direction.

    Raises:
        UsageError: Unknown name or direction.

    Example:
        >>> import numpy as np
        >>> labels = np.zeros((8, 8, 8), np.uint8); labels[:, :, 4:] = 1
        >>> volume = LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um")
        >>> quantify(volume, only=["porosity"])["porosity"]
        0.5
    """
    groups = _wanted(only)
    for direction in directions:
        if direction not in AXES:
            raise UsageError(f"unknown direction {direction!r};", hint='use "x", "y" or "z".')
    keep = None if only is None else {n for n in only if n not in _GROUPS}
    whole = set() if only is None else {n for g in only if g in _GROUPS for n in _GROUPS[g].names}
    sample = Sample(volume)
    rows: list[Quantity] = []
    with progress.task("measuring", len(groups)) as task:
        for name in groups:
            logger.info("measuring %s of %r", name, volume)
            found = _GROUPS[name].measure(sample, tuple(directions))
            rows.extend(q for q in found if keep is None or q.name in keep or q.name in whole)
            task.advance(note=name)
    return Quantities(rows)


def quantity_names() -> tuple[str, ...]:
    """Every name that ``only`` of `quantify` understands: groups first, then quantities."""
    return (*_GROUPS, *(n for group in _GROUPS.values() for n in group.names))


def _wanted(only: Sequence[str] | None) -> list[str]:
    if only is None:
        return [name for name, group in _GROUPS.items() if group.default]
    if isinstance(only, str):
        raise UsageError(f"only={only!r} must be a list of names;", hint=f"write only=[{only!r}].")
    for name in only:
        if name not in quantity_names():
            raise UsageError(f"unknown quantity {name!r};", hint=did_you_mean(name, quantity_names()))
    return [g for g, group in _GROUPS.items() if g in only or any(n in only for n in group.names)]


def _fractions(sample: Sample, directions: tuple[str, ...]) -> Rows:
    total = sample.volume.labels.size
    for phase in sample.volume.phases:
        yield Quantity(
            "volume_fraction", sample.counts[phase.name] / total, "1", "voxel count", phase=phase.name
        )
    voids = [p.name for p in sample.volume.phases if p.role == "void"]
    if voids:
        yield Quantity("porosity", sum(sample.counts[v] for v in voids) / total, "1", "voxel count")


_AREA_NAMES: dict[AreaMethod, str] = {
    "projected-faces": "interface_area",
    "marching-cubes": "interface_area_marching_cubes",
    "crofton": "interface_area_crofton",
    "voxel-faces": "interface_area_voxel_faces",
}


def _areas(sample: Sample, directions: tuple[str, ...]) -> Rows:
    names = sample.volume.phases.names
    table = sample.areas()
    for a, b in zip(*np.nonzero(np.triu(table)), strict=True):
        yield Quantity(
            "interface_area",
            float(table[a, b]),
            "um2",
            "projected-faces",
            interface=f"{names[a]} | {names[b]}",
        )
    whole = table.sum(axis=1)
    box = sample.volume.labels.size * sample.volume.voxel_volume
    for a, b in zip(*np.nonzero(table), strict=True):
        share = float(table[a, b] / whole[a])
        yield Quantity(
            "contact_fraction", share, "1", "projected-faces", interface=f"{names[a]} | {names[b]}"
        )
    for a, name in enumerate(names):
        if name in sample.present:
            area = float(whole[a] / box)
            yield Quantity(
                "specific_surface_area", area, "1/um", "projected-faces, per volume of sample", phase=name
            )


def _area_estimators(sample: Sample, directions: tuple[str, ...]) -> Rows:
    names = sample.volume.phases.names
    for method, quantity in _AREA_NAMES.items():
        if method == "projected-faces":
            continue
        table = sample.areas(method)
        for a, b in zip(*np.nonzero(np.triu(table)), strict=True):
            yield Quantity(quantity, float(table[a, b]), "um2", method, interface=f"{names[a]} | {names[b]}")


def _connectivity(sample: Sample, directions: tuple[str, ...]) -> Rows:
    pieces = sample.components
    for index, name in enumerate(sample.volume.phases.names):
        if name not in sample.present:
            continue
        own = pieces.phase == index
        total = sample.counts[name]
        largest = float(pieces.voxels[own].max() / total)
        yield Quantity("connectivity", largest, "1", "largest 6-connected piece", phase=name)
        yield Quantity("component_count", float(np.count_nonzero(own)), "1", "6-connected pieces", phase=name)
        for direction in directions:
            through = own & pieces.percolating(AXES.index(direction))
            share = float(pieces.voxels[through].sum() / total)
            yield Quantity(
                "percolating_fraction",
                share,
                "1",
                "6-connected to both faces",
                phase=name,
                direction=direction,
            )


def _transport(sample: Sample, directions: tuple[str, ...]) -> Rows:
    from pxm2mesh.quantify.transport import tortuosity

    method = "finite volumes on voxels, plates half a voxel outside, insulated sides"
    for name in sample.present:
        for direction in directions:
            found = tortuosity(sample.volume, name, direction)
            values = (("tortuosity_factor", found.tortuosity_factor), ("effective_conductivity", found.effective_conductivity))
            for quantity, value in values:
                yield Quantity(quantity, value, "1", method, phase=name, direction=direction)


_GROUPS: dict[str, _Group] = {
    "fractions": _Group(("volume_fraction", "porosity"), _fractions),
    "areas": _Group(("interface_area", "contact_fraction", "specific_surface_area"), _areas),
    "area_estimators": _Group(
        tuple(n for n in _AREA_NAMES.values() if n != "interface_area"), _area_estimators
    ),
    "connected": _Group(("connectivity", "component_count", "percolating_fraction"), _connectivity),
    "transport": _Group(("tortuosity_factor", "effective_conductivity"), _transport),
}
