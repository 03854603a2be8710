"""What `quantify` measures: groups of quantities, each a function of the sample and the directions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pxm2mesh.quantify._sample import Sample
from pxm2mesh.quantify.areas import AreaMethod
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.quantities import Quantity
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

Rows = Iterable[Quantity]
Directions = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Quantities that are measured together.

    Attributes:
        names: What it yields.
        measure: Function of the sample and the directions.
        default: Whether it is measured when nothing is asked for by name.
    """

    names: tuple[str, ...]
    measure: Callable[[Sample, Directions], Rows]
    default: bool = True


def fractions(sample: Sample, directions: Directions) -> Rows:
    """Volume fractions and porosity."""
    total = sample.volume.labels.size
    for phase in sample.volume.phases:
        share = sample.counts[phase.name] / total
        yield Quantity("volume_fraction", share, "1", "voxel count", phase=phase.name)
    voids = [p.name for p in sample.volume.phases if p.role == "void"]
    if voids:
        yield Quantity("porosity", sum(sample.counts[v] for v in voids) / total, "1", "voxel count")


_AREA_NAMES: dict[AreaMethod, str] = {
    "projected-faces": "interface_area",
    "smoothed-mesh": "interface_area_smoothed_mesh",
    "marching-cubes": "interface_area_marching_cubes",
    "crofton": "interface_area_crofton",
    "voxel-faces": "interface_area_voxel_faces",
}


def areas(sample: Sample, directions: Directions) -> Rows:
    """Interface areas, contact fractions and specific surfaces by the default estimator."""
    names = sample.volume.phases.names
    table = sample.areas()
    method = "projected voxel faces"
    for a, b in zip(*np.nonzero(np.triu(table)), strict=True):
        pair = f"{names[a]} | {names[b]}"
        yield Quantity("interface_area", float(table[a, b]), "um2", method, interface=pair)
    whole = table.sum(axis=1)
    box = sample.volume.labels.size * sample.volume.voxel_volume
    for a, b in zip(*np.nonzero(table), strict=True):
        pair = f"{names[a]} | {names[b]}"
        yield Quantity("contact_fraction", float(table[a, b] / whole[a]), "1", method, interface=pair)
    for a, name in enumerate(names):
        if name in sample.present:
            area = float(whole[a] / box)
            yield Quantity(
                "specific_surface_area", area, "1/um", f"{method}, per volume of sample", phase=name
            )


def area_estimators(sample: Sample, directions: Directions) -> Rows:
    """Interface areas by the other estimators that take no longer than the default."""
    return _areas_by(sample, ("marching-cubes", "crofton", "voxel-faces"))


def mesh_area(sample: Sample, directions: Directions) -> Rows:
    """Interface areas of the smoothed mesh."""
    return _areas_by(sample, ("smoothed-mesh",))


def _areas_by(sample: Sample, methods: Iterable[AreaMethod]) -> Rows:
    names = sample.volume.phases.names
    for method in methods:
        quantity, table = _AREA_NAMES[method], sample.areas(method)
        for a, b in zip(*np.nonzero(np.triu(table)), strict=True):
            pair = f"{names[a]} | {names[b]}"
            yield Quantity(quantity, float(table[a, b]), "um2", method, interface=pair)


def connected(sample: Sample, directions: Directions) -> Rows:
    """Pieces of each phase, and the share that leads through."""
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


def transport(sample: Sample, directions: Directions) -> Rows:
    """Tortuosity factor and effective conductivity of every phase by itself."""
    from pxm2mesh.quantify.transport import tortuosity

    method = "finite volumes on voxels, insulated sides"
    for name in sample.present:
        for direction in directions:
            found = sample.once(tortuosity, name, direction, potential=sample.keep)
            where = partial(Quantity, unit="1", phase=name, direction=direction)
            yield where("tortuosity_factor", found.tortuosity_factor, method=method)
            yield where("effective_conductivity", found.effective_conductivity, method=method)


def _is_network(sample: Sample, name: str) -> bool:
    """Whether most of a phase is one piece that reaches through the sample."""
    pieces = sample.components
    own = np.flatnonzero(pieces.phase == sample.volume.phases.names.index(name))
    largest = own[np.argmax(pieces.voxels[own])]
    through = any(pieces.percolating(axis)[largest] for axis in range(3))
    return bool(through and pieces.voxels[largest] > 0.5 * sample.counts[name])


def has_electrolyte(volume: LabelVolume) -> bool:
    """Whether there is something for ions to come through."""
    return any(p.role in ("electrolyte", "separator") for p in volume.phases)


def particles(sample: Sample, directions: Directions) -> Rows:
    """Sizes and shapes of the particles of every active phase, and how they are supplied."""
    from pxm2mesh.quantify.particles import connected_surface, measure_particles

    roles = {p.name: p.role for p in sample.volume.phases}
    for name in sample.present:
        if roles[name] != "active":
            continue
        if sample.volume.particles is None and _is_network(sample, name):
            logger.warning("%s is one network, not particles: separate them first to get their sizes", name)
            continue
        supplied = has_electrolyte(sample.volume)
        supply = sample.once(connected_surface, name) if supplied else None
        table = sample.once(measure_particles, name) if supply is None else supply.particles
        told = "particle ids" if sample.volume.particles is not None else "6-connected pieces"
        inner = int(np.count_nonzero(~table.cut))
        edges = f"{inner} of {len(table)} inside, weighted" if inner else f"all {len(table)} cut by the box"
        for share in (10, 50, 90):
            value = table.diameter_percentile(share / 100)
            method = f"equivalent sphere, by volume, {told}, {edges}"
            yield Quantity(f"particle_diameter_d{share}", value, "um", method, phase=name)
        yield Quantity("particle_count", float(len(table)), "1", told, phase=name)
        whole = ~table.cut if inner else np.ones(len(table), bool)
        sphericity = float(np.nanmean(table.sphericity[whole]))
        yield Quantity("sphericity", sphericity, "1", f"mean, {told}, {edges}", phase=name)
        met = float(table.coordination.mean())
        yield Quantity("coordination_number", met, "1", f"mean, {told}", phase=name)
        if supply is None:
            continue
        method = f"ions from z-, electrons from z+, {told}"
        yield Quantity("ionic_contact_fraction", supply.mean["ionic"], "1", method, phase=name)
        yield Quantity("electronic_contact_fraction", supply.mean["electronic"], "1", method, phase=name)
        yield Quantity("isolated_fraction", supply.isolated_fraction, "1", method, phase=name)


def pores(sample: Sample, directions: Directions) -> Rows:
    """Local thickness: of all voids together as pores, of every other phase but the particles."""
    from pxm2mesh.quantify.pores import local_thickness, thickness_percentiles

    roles = {p.name: p.role for p in sample.volume.phases}
    voids = [name for name in sample.present if roles[name] == "void"]
    if len(sample.present) == 1:
        return
    method = "local thickness, by volume"
    if voids:
        found = thickness_percentiles(sample.once(local_thickness, *voids), (0.1, 0.5, 0.9))
        for share, value in zip((10, 50, 90), found, strict=True):
            yield Quantity(f"pore_diameter_d{share}", value, "um", method, phase=" + ".join(voids))
    for name in sample.present:
        if roles[name] not in ("void", "active"):
            (value,) = thickness_percentiles(sample.once(local_thickness, name), (0.5,))
            yield Quantity("local_thickness_d50", value, "um", method, phase=name)


def chords(sample: Sample, directions: Directions) -> Rows:
    """Mean chord length of every phase in every direction."""
    from pxm2mesh.quantify.pores import mean_chord

    for name in sample.present:
        for direction in directions:
            value = mean_chord(sample.volume, name, direction)
            yield Quantity("mean_chord", value, "um", "intercepts", phase=name, direction=direction)


def lines(sample: Sample, directions: Directions) -> Rows:
    """Triple lines."""
    from pxm2mesh.quantify.paths import triple_line_lengths

    box = sample.volume.labels.size * sample.volume.voxel_volume
    for triple, length in triple_line_lengths(sample.volume).items():
        yield Quantity("triple_line_length", length, "um", "projected voxel edges", interface=triple)
        density = length / box
        yield Quantity("triple_line_density", density, "1/um2", "projected voxel edges", interface=triple)


def paths(sample: Sample, directions: Directions) -> Rows:
    """Shortest paths and necks of every phase."""
    from pxm2mesh.quantify.paths import constrictivity, geodesic_tortuosity

    if len(sample.present) == 1:
        return
    for name in sample.present:
        for direction in directions:
            where = partial(Quantity, unit="1", phase=name, direction=direction)
            length = geodesic_tortuosity(sample.volume, name, direction)
            yield where("geodesic_tortuosity", length, method="26-neighbour shortest paths")
            value = constrictivity(sample.volume, name, direction).value
            yield where("constrictivity", value, method="intruding balls over local thickness")


def correlation(sample: Sample, directions: Directions) -> Rows:
    """Correlation length of every phase."""
    from pxm2mesh.quantify.pores import correlation_length

    for name in sample.present:
        for direction in directions:
            value = correlation_length(sample.volume, name, direction)
            method = "two-point correlation falls to 1/e"
            yield Quantity("correlation_length", value, "um", method, phase=name, direction=direction)


def layers(sample: Sample, directions: Directions) -> Rows:
    """Layers of a cell: thickness, gaps at the collector, cracks of the anode, overhang over the cathode."""
    from pxm2mesh.quantify.cracks import crack_network
    from pxm2mesh.quantify.electrode import delamination, layer_thickness, overhang

    volume = sample.volume
    roles = {name: volume.phases[name].role for name in sample.present}
    stacked = [n for n, r in roles.items() if r in ("collector", "anode", "separator")]
    if not stacked:
        return
    cathodes = [n for n in sample.present if n.lower() == "cathode"]
    for name in (*stacked, *cathodes):
        found = sample.once(layer_thickness, name)
        yield Quantity("thickness", found.mean, "um", "columns along z, mean", phase=name)
        yield Quantity(
            "thickness_spread", found.spread, "um", "columns along z, standard deviation", phase=name
        )
    collectors = [n for n in stacked if roles[n] == "collector"]
    anodes = [n for n in stacked if roles[n] == "anode"]
    has_void = "void" in roles.values()
    for collector in collectors:
        for anode in anodes if has_void else ():
            gap = sample.once(delamination, collector, anode)
            pair = f"{collector} | {anode}"
            yield Quantity("gap_area_fraction", gap.area_fraction, "1", "columns along z", interface=pair)
            yield Quantity("gap_opening", gap.mean_opening, "um", "mean over open columns", interface=pair)
    square = bool(np.isclose(volume.spacing[0], volume.spacing[1]))
    for anode in anodes if has_void and square else ():
        cracks = sample.once(crack_network, anode)
        yield Quantity("crack_area_fraction", cracks.area_fraction, "1", "open columns along z", phase=anode)
        if cracks.area_fraction > 0:
            yield Quantity("crack_width", cracks.width, "um", "median over middle lines", phase=anode)
            yield Quantity("crack_spacing", cracks.spacing, "um", "middle to middle on rows", phase=anode)
            size = cracks.polygon_diameter
            if np.isfinite(size):
                yield Quantity("polygon_diameter", size, "um", "equivalent circle, mean", phase=anode)
    for anode in anodes:
        for cathode in cathodes:
            for side, reach in overhang(volume, anode, cathode).items():
                method = f"at {side}, mean over rows"
                pair = f"{anode} | {cathode}"
                yield Quantity("overhang", reach.mean, "um", method, interface=pair, direction=side)


GROUPS: dict[str, Group] = {
    "fractions": Group(("volume_fraction", "porosity"), fractions),
    "areas": Group(("interface_area", "contact_fraction", "specific_surface_area"), areas),
    "area_estimators": Group(
        tuple(_AREA_NAMES[m] for m in ("marching-cubes", "crofton", "voxel-faces")), area_estimators
    ),
    "mesh_area": Group((_AREA_NAMES["smoothed-mesh"],), mesh_area, default=False),
    "connected": Group(("connectivity", "component_count", "percolating_fraction"), connected),
    "transport": Group(("tortuosity_factor", "effective_conductivity"), transport),
    "particles": Group(
        (
            "particle_diameter_d10",
            "particle_diameter_d50",
            "particle_diameter_d90",
            "particle_count",
            "sphericity",
            "coordination_number",
            "ionic_contact_fraction",
            "electronic_contact_fraction",
            "isolated_fraction",
        ),
        particles,
    ),
    "pores": Group(
        ("pore_diameter_d10", "pore_diameter_d50", "pore_diameter_d90", "local_thickness_d50"), pores
    ),
    "chords": Group(("mean_chord",), chords),
    "lines": Group(("triple_line_length", "triple_line_density"), lines),
    "layers": Group(
        (
            "thickness",
            "thickness_spread",
            "gap_area_fraction",
            "gap_opening",
            "crack_area_fraction",
            "crack_width",
            "crack_spacing",
            "polygon_diameter",
            "overhang",
        ),
        layers,
    ),
    "paths": Group(("geodesic_tortuosity", "constrictivity"), paths, default=False),
    "correlation": Group(("correlation_length",), correlation, default=False),
}
"""By name, in the order they are measured and listed in."""
