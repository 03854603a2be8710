"""Transition zones between two phases: graded on the mesh, or a layer of its own in the voxels.

*Graded*: an indicator ψ = ½(1 + tanh(d/ξ)) on nodes and cells, d the signed distance to the interface, positive in
the first phase; the thickness of the zone is the width over which ψ goes from 0.1 to 0.9, 2.197 ξ. *Layer*: an
interphase of its own phase around the first phase, inside of the second. *Split* interfaces are in
`pxm2mesh.meshing.splitting`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError, UsageError, did_you_mean
from pxm2mesh.meshing import distances
from pxm2mesh.meshing.splitting import merge_split, split_interfaces
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.units import parse_quantity
from pxm2mesh.volume import LabelVolume

__all__ = [
    "KINDS", "RULES", "Room", "TransitionZone", "add_graded", "add_layers", "gradient", "merge_split", "mix", "refined",
    "room_for", "split_interfaces",
]  # fmt: skip

logger = logging.getLogger(__name__)

Kind = Literal["graded", "layer"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Rule = Literal["arithmetic", "harmonic", "tensor"]
RULES: tuple[Rule, ...] = get_args(Rule)
_WIDTH = 2 * float(np.arctanh(0.8))  # from ψ = 0.1 to 0.9, in ξ
_REFINE_ROUNDS = 8
_CROWDED = 0.25  # share of the interface that may be closer to another one than the zone needs


@dataclass(frozen=True)
class TransitionZone:
    """A zone between two phases.

    Attributes:
        between: Their names. A layer grows around the first, into the second.
        thickness: ``"0.8 um"`` or µm: of the layer, or of the graded zone from ψ = 0.1 to 0.9.
        kind: ``"graded"`` or ``"layer"``.
        mixing: How properties are mixed in a graded zone, see `mix`.
        name: Of the layer's phase; empty is ``"NMC-LPSCl layer"``.
    """

    between: tuple[str, str]
    thickness: float | str
    kind: Kind = "graded"
    mixing: Rule = "arithmetic"
    name: str = ""

    def __post_init__(self) -> None:
        pair = tuple(self.between)
        if len(pair) != 2 or pair[0] == pair[1]:
            raise UsageError(f"a zone lies between two different phases, not {list(pair)}.")
        length = parse_quantity(self.thickness, "length", where="thickness") if isinstance(self.thickness, str) else (
            float(self.thickness))  # fmt: skip
        if not (np.isfinite(length) and length > 0):
            raise UsageError(f"zone thickness {self.thickness!r} must be positive;", hint='write "0.8 um".')
        for value, known, what in ((self.kind, KINDS, "kind"), (self.mixing, RULES, "mixing rule")):
            if value not in known:
                raise UsageError(f"unknown {what} {value!r};", hint=did_you_mean(str(value), known))
        object.__setattr__(self, "between", pair)
        object.__setattr__(self, "thickness", length)

    @property
    def length(self) -> float:
        """Thickness in µm."""
        return float(self.thickness)

    @property
    def pair_name(self) -> str:
        """``"NMC | LPSCl"``, as it was given."""
        return " | ".join(self.between)

    @classmethod
    def parse(cls, text: str) -> TransitionZone:
        """Read the command line's form ``"NMC|void:1.2 um"`` or ``"NMC|LPSCl:0.4 um:layer"``.

        Raises:
            UsageError: The text has another form.
        """
        parts = [part.strip() for part in text.split(":")]
        pair = [name.strip() for name in parts[0].split("|")]
        if len(parts) not in (2, 3) or len(pair) != 2 or not all(pair):
            raise UsageError(
                f"zone {text!r} is not understood;",
                hint='write "NMC|void:1.2 um" or "NMC|LPSCl:0.4 um:layer".',
            )
        return cls((pair[0], pair[1]), parts[1], parts[2] if len(parts) == 3 else "graded")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Room:
    """How much room an interface has.

    Attributes:
        neck: µm: 5th percentile, by area, of the first phase's thickness behind the interface.
        gap: µm: the same of the second phase.
        crowded: Share of the interface that has less than twice the zone's thickness on some side.
        where: (x, y, z) µm of the tightest place.
    """

    neck: float
    gap: float
    crowded: float
    where: tuple[float, float, float]


def room_for(mesh: TetMesh, zone: TransitionZone) -> Room:
    """Measure the room for a zone by balls that touch the interface and fit in between.

    Raises:
        GeometryError: The two phases have no interface.

    References:
        J. Ma, S. W. Bae, S. Choi, 3D medial axis point approximation using nearest neighbors and the normal field,
        The Visual Computer 28 (2012) 7–19 (the shrinking ball).
    """
    facets, toward = _interface(mesh, zone)
    behind, front = distances.local_thickness(mesh, facets, toward)
    area = mesh.facet_areas()[facets]
    tightest = np.minimum(behind, front)
    at = mesh.points[mesh.facets[facets[int(np.argmin(tightest))]]].mean(axis=0)
    crowded = float(area[tightest < 2 * zone.length].sum() / area.sum())
    x, y, z = at.round(4).tolist()
    return Room(_low(behind, area), _low(front, area), crowded, (x, y, z))


def _low(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][int(np.searchsorted(share, 0.05))])


def _interface(mesh: TetMesh, zone: TransitionZone) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Facets between the two phases, and +1 where their normal points into the second."""
    first, second = (mesh.phases[name].label for name in zone.between)
    labels = mesh.region_phase[mesh.facet_sides]
    forward = (labels[:, 0] == first) & (labels[:, 1] == second)
    backward = (labels[:, 0] == second) & (labels[:, 1] == first)
    doubled = np.zeros(len(labels), np.bool_)
    doubled[mesh.facet_pairs[:, 1]] = True
    facets = np.flatnonzero((forward | backward) & ~doubled)
    if len(facets) == 0:
        raise GeometryError(
            f'there is no interface "{zone.pair_name}" in this mesh;', hint="check the names."
        )
    return facets, np.where(forward[facets], 1.0, -1.0)


def add_graded(
    mesh: TetMesh,
    zone: TransitionZone,
    *,
    spacing: npt.NDArray[np.float64] | None = None,
    force: bool = False,
) -> TetMesh:
    """Give a mesh the indicator of a graded zone.

    The level of ψ is shifted so that the integral of ψ over the two phases is the volume of the first.

    Args:
        mesh: The mesh.
        zone: A zone of kind graded.
        spacing: (3,) µm voxel edges, if known: a zone below one voxel pretends to know what the scan does not.
        force: Go on with a warning where the checks below say no.

    Returns:
        The mesh with ``point_fields["indicator NMC | void [1]"]``, ``cell_fields`` of the same name, and
        ``record["zones"]``: ξ, the shift, the width in cells, room, and how far the diffuse area is off.

    Raises:
        UsageError: The zone is of another kind, or a phase is unknown.
        GeometryError: No such interface; thinner than a voxel; or thicker than half the gap or neck over more than
            a quarter of the interface: the message says where.
    """
    if zone.kind != "graded":
        raise UsageError(f"zone {zone.pair_name} is of kind {zone.kind!r}, not graded.")
    facets, _ = _interface(mesh, zone)
    room = room_for(mesh, zone)
    _check_width(mesh, zone, room, facets, spacing, force)
    width = zone.length / _WIDTH
    signed = distances.signed_distance(mesh, facets, zone.between)
    shift, psi = _conserving(mesh, zone, signed, width)
    cells = psi[mesh.cells].mean(axis=1)
    name = f"indicator {zone.pair_name} [1]"
    sharp = float(mesh.facet_areas()[facets].sum())
    diffuse = float(
        (np.linalg.norm(gradient(mesh, psi), axis=1) * mesh.cell_volumes())[_in_pair(mesh, zone)].sum()
    )
    facts = {
        "between": list(zone.between), "kind": "graded", "thickness_um": zone.length, "xi_um": width,
        "mixing": zone.mixing, "level_shift_um": shift, "cells_across": zone.length / _edge(mesh, facets),
        "neck_um": room.neck, "gap_um": room.gap, "crowded_share": room.crowded, "tightest_um": list(room.where),
        "diffuse_area_error": diffuse / sharp - 1,
    }  # fmt: skip
    return replace(
        mesh, point_fields={**mesh.point_fields, name: psi}, cell_fields={**mesh.cell_fields, name: cells},
        record={**mesh.record, "zones": [*mesh.record.get("zones", []), facts]},
    )  # fmt: skip


def _in_pair(mesh: TetMesh, zone: TransitionZone) -> npt.NDArray[np.bool_]:
    labels = [mesh.phases[name].label for name in zone.between]
    return np.asarray(np.isin(mesh.cell_phase(), labels))


def _edge(mesh: TetMesh, facets: npt.NDArray[np.int64]) -> float:
    """Typical edge of the cells at an interface, µm: of equilateral triangles of the mean area."""
    return float(np.sqrt(4 / np.sqrt(3) * mesh.facet_areas()[facets].mean()))


def _check_width(
    mesh: TetMesh, zone: TransitionZone, room: Room, facets: npt.NDArray[np.int64],
    spacing: npt.NDArray[np.float64] | None, force: bool,
) -> None:  # fmt: skip
    x, y, z = room.where
    problems = []
    if spacing is not None and zone.length < float(np.max(spacing)) * (1 - 1e-9):
        voxel = float(np.max(spacing))
        problems.append((
            f"the zone {zone.pair_name} of {zone.length:g} µm is thinner than a voxel ({voxel:g} µm);",
            f"make it at least {2 * voxel:g} µm, or keep the interface sharp.",
        ))  # fmt: skip
    percent = f"{100 * room.crowded:.0f} %"
    if room.crowded > _CROWDED:
        problems.append((
            f"the zone {zone.pair_name} of {zone.length:g} µm is too thick: {percent} of the interface "
            f"is within twice that of another one (necks {room.neck:.3g} µm, gaps {room.gap:.3g} µm; tightest near "
            f"({x:g}, {y:g}, {z:g}) µm);", f"make it at most {0.5 * min(room.neck, room.gap):.3g} µm.",
        ))  # fmt: skip
    for message, hint in problems:
        if not force:
            raise GeometryError(message, hint=hint)
        logger.warning("%s %s", message, hint)
    across = zone.length / _edge(mesh, facets)
    if across < 3:
        logger.warning("the zone %s has %.1f cells across, three are wanted: use cells of %.3g µm.",
                       zone.pair_name, across, zone.length / 3)  # fmt: skip


def _conserving(
    mesh: TetMesh, zone: TransitionZone, signed: npt.NDArray[np.float64], width: float
) -> tuple[float, npt.NDArray[np.float64]]:
    """The shift of the level at which ∫ψ over both phases is the volume of the first; and ψ."""
    from scipy.optimize import brentq

    inside = _in_pair(mesh, zone)
    volumes = mesh.cell_volumes()[inside]
    corners = mesh.cells[inside]
    first = mesh.cell_phase()[inside] == mesh.phases[zone.between[0]].label
    wanted = float(volumes[first].sum())

    def excess(shift: float) -> float:
        psi = 0.5 * (1 + np.tanh((signed + shift) / width))
        return float((volumes * psi[corners].mean(axis=1)).sum() / wanted - 1)

    reach = width
    while excess(-reach) > 0 or excess(reach) < 0:
        reach *= 2
        if reach > 100 * width:
            raise GeometryError(
                f"no level of the zone {zone.pair_name} keeps the volume;", hint="make it thinner."
            )
    shift = float(brentq(excess, -reach, reach, xtol=1e-9 * width, rtol=1e-12))
    return shift, 0.5 * (1 + np.tanh((signed + shift) / width))


def gradient(mesh: TetMesh, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(k, 3) gradient per µm of a field of the nodes, constant in each cell."""
    p = mesh.points[mesh.cells]
    edges = p[:, 1:] - p[:, :1]
    rise = values[mesh.cells[:, 1:]] - values[mesh.cells[:, :1]]
    return np.asarray(np.linalg.solve(edges, rise[:, :, None])[:, :, 0])


def mix(
    first: float, second: float, psi: npt.NDArray[np.float64], rule: Rule = "arithmetic", *,
    normal: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """A property inside a graded zone.

    ``"arithmetic"`` is right where one side is void or a poor conductor inside of a good one (≤ 0.4 % off at ξ = 1
    voxel), and up to 262 % off for good conductors in a poor matrix. ``"harmonic"`` is its opposite. ``"tensor"``,
    harmonic across the interface and arithmetic along it, is the choice for contrasts up to 10. Contrasts of 100
    and narrow gaps ask for a sharp mesh.

    Args:
        first: Value in the first phase.
        second: Value in the second.
        psi: (k,) indicator of the first phase.
        rule: One of `RULES`.
        normal: (k, 3) direction across the interface (∇ψ), for ``"tensor"``; any length, zero is isotropic.

    Returns:
        (k,) values, or (k, 3, 3) tensors.

    Raises:
        UsageError: Unknown rule, no normal, or a harmonic mean of a value that is not positive.

    References:
        O. Wiener, Die Theorie des Mischkörpers für das Feld der stationären Strömung (1912): the arithmetic and the
        harmonic mean bound every mixture; a laminate has the one along and the other across.
    """
    if rule not in RULES:
        raise UsageError(f"unknown mixing rule {rule!r};", hint=did_you_mean(str(rule), RULES))
    parallel = psi * first + (1 - psi) * second
    if rule == "arithmetic":
        return np.asarray(parallel)
    if not (first > 0 and second > 0):
        raise UsageError(
            f"the {rule} rule needs values > 0, got {first:g} and {second:g};", hint="use arithmetic."
        )
    series = 1 / (psi / first + (1 - psi) / second)
    if rule == "harmonic":
        return np.asarray(series)
    if normal is None:
        raise UsageError(
            "the tensor rule needs the direction across;", hint="pass normal=gradient(mesh, psi)."
        )
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    n = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    across = (series - parallel)[:, None, None] * (n[:, :, None] * n[:, None, :])
    return np.asarray(parallel[:, None, None] * np.eye(3) + across)


def add_layers(volume: LabelVolume, zones: Sequence[TransitionZone], *, cells: float = 2.0) -> LabelVolume:
    """Put interphases of their own phase between phases, in the voxels, so that the mesh conforms to them.

    Where a layer is thinner than ``cells`` voxels the whole volume is resampled to finer voxels first; the
    phases keep their shape through their indicators. The layer takes the voxels of the second phase that
    lie within the thickness of the first, measured from the sub-voxel interface.

    Args:
        volume: The sample.
        zones: Those of kind layer are added, one after the other; others are passed over.
        cells: Voxels that the thinnest layer must have.

    Returns:
        The volume with the new phases (role interphase, next free labels).

    Raises:
        UsageError: Unknown phase, or a name that is taken.
        GeometryError: The phases do not touch, or the layer would need voxels finer than an eighth.
    """
    layers = [zone for zone in zones if zone.kind == "layer"]
    if not layers:
        return volume
    thinnest = min(zone.length for zone in layers)
    factors = np.maximum(1, np.ceil(cells * volume.spacing / thinnest - 1e-9)).astype(int)
    if factors.max() > 8:
        raise GeometryError(
            f"a layer of {thinnest:g} µm in voxels of {volume.spacing.max():g} µm needs each to be cut into "
            f"{factors.max()} along an axis;", hint=f"make it at least {cells * volume.spacing.max() / 8:.3g} µm.",
        )  # fmt: skip
    if factors.max() > 1:
        logger.info(
            "cutting every voxel into %s for a layer of %g µm.", "×".join(map(str, factors)), thinnest
        )
        volume = refined(volume, (int(factors[0]), int(factors[1]), int(factors[2])))
    for zone in layers:
        volume = _with_layer(volume, zone)
    return volume


def with_layer_phase(phases: PhaseTable, zone: TransitionZone) -> tuple[PhaseTable, int]:
    """The phases with that of a layer (role interphase, next free label), and its label.

    Args:
        phases: Those of the sample.
        zone: The layer.

    Raises:
        UsageError: Unknown phase, or a name that is taken.
    """
    first, second = (phases[name] for name in zone.between)
    name = zone.name or f"{first.name}-{second.name} layer"
    if name in phases:
        raise UsageError(
            f"zone {zone.pair_name}: there is a phase {name!r} already;", hint="give it another name."
        )
    label = max(phases.labels) + 1
    return PhaseTable([*phases, Phase(label, name, "interphase")]), label


def _with_layer(volume: LabelVolume, zone: TransitionZone) -> LabelVolume:
    first, second = (volume.require(name) for name in zone.between)
    table, label = with_layer_phase(volume.phases, zone)
    distance = distances.outside_distance(volume.labels == first.label, volume.spacing, zone.length)
    taken = (volume.labels == second.label) & (distance < zone.length)
    if not taken.any():
        raise GeometryError(
            f'there is no interface "{zone.pair_name}" to lay a layer on;', hint="check the phases."
        )
    labels = volume.labels.astype(np.uint32)
    labels[taken] = label
    particles = volume.particles
    if particles is not None:
        particles = np.where(taken, 0, particles).astype(np.int32)
    return LabelVolume(labels, table, volume.spacing, volume.origin, particles)


def refined(volume: LabelVolume, factors: tuple[int, int, int]) -> LabelVolume:
    """The volume in finer voxels: each takes the phase whose indicator is largest at its centre.

    Offsets on the indicators keep the volume of every phase (of every group of particles) to about 1e-3.

    Args:
        volume: The sample.
        factors: Fine voxels per voxel along x, y, z.

    Returns:
        A volume of the same box.
    """
    from pxm2mesh.surfacing.indicators import find_bodies, indicator_fields
    from pxm2mesh.surfacing.refine_kernels import refine_labels

    fields = indicator_fields(volume)
    groups = len(fields.values)
    wanted = np.bincount(fields.group[find_bodies(volume)[0].ravel()], minlength=groups) * float(
        np.prod(factors)
    )
    offset, band = np.zeros(groups), 0.2
    for _ in range(_REFINE_ROUNDS):
        best, close = refine_labels(fields.values, offset, *factors, band)
        error = wanted - np.bincount(best.ravel(), minlength=groups)
        if np.all(np.abs(error) <= 5e-4 * wanted):
            break
        offset += np.clip(0.5 * error * 2 * band / np.maximum(close.sum(axis=0), 1), -0.1, 0.1)
    fine = tuple(n * f for n, f in zip(volume.shape, factors, strict=True))
    ids = _bodies_of_groups(volume, fields.group, best, factors)
    labels = fields.body_phase[ids].astype(volume.labels.dtype)
    assert labels.shape == fine
    particles = None if volume.particles is None else fields.body_particle[ids]
    return LabelVolume(labels, volume.phases, volume.spacing / np.array(factors), volume.origin, particles)


def _bodies_of_groups(
    volume: LabelVolume,
    group: npt.NDArray[np.int32],
    best: npt.NDArray[np.int32],
    factors: tuple[int, int, int],
) -> npt.NDArray[np.int32]:
    """Which body of a field a fine voxel belongs to: the nearest, found among the voxels around."""
    if len(np.unique(group)) == len(group):
        body = np.empty(len(group), np.int32)
        body[group] = np.arange(len(group), dtype=np.int32)
        return body[best]
    from pxm2mesh.surfacing.indicators import find_bodies
    from pxm2mesh.surfacing.refine_kernels import nearest_body

    ids = find_bodies(volume)[0]
    return np.asarray(nearest_body(ids, group, best, *factors), np.int32)
