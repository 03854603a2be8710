"""What contradicts itself in a study, known from the file alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pxm2mesh.errors import Pxm2meshError, did_you_mean
from pxm2mesh.study.compaction import Compaction
from pxm2mesh.study.half_cell import state_at
from pxm2mesh.study.mechanics import Mechanics
from pxm2mesh.study.model import Study
from pxm2mesh.study.names import Path as KeyPath
from pxm2mesh.study.physics import HalfCell

if TYPE_CHECKING:
    from pxm2mesh.materials import Material

_SOLVED_ON = ("phases", "active", "electrolyte", "binder")
_HALF_CELL = {
    "active": ("transport.diffusivity", "transport.maximum_concentration", "transport.electronic_conductivity",
               "kinetics.open_circuit_voltage", "kinetics.exchange_current_density"),
    "electrolyte": ("transport.ionic_conductivity",),
    "binder": ("transport.electronic_conductivity",),
}  # fmt: skip
_ELASTIC = ("elastic.youngs_modulus", "elastic.poisson_ratio")
_SWELLING = ("swelling.volume_strain", *_ELASTIC)
_PLASTIC = ("plastic.yield_stress",)


@dataclass(frozen=True)
class Finding:
    """Something wrong, or worth a second look, at a place of the study.

    Attributes:
        path: Keys and list positions that lead there.
        message: What is wrong.
        hint: What to do about it.
        severity: A warning does not keep the study from running.
    """

    path: KeyPath
    message: str
    hint: str
    severity: Literal["error", "warning"] = "error"


def contradictions(study: Study) -> Iterator[Finding]:
    """Everything in ``study`` that cannot work whatever the data are.

    Args:
        study: Valid by itself: keys, units and names are right.

    Yields:
        Errors only.
    """
    yield from _phantom(study)
    yield from _quantities(study)
    yield from _thresholds(study)
    yield from _mesh(study)
    yield from _phases_of_physics(study)
    yield from missing_values(study, study.materials)


def _phantom(study: Study) -> Iterator[Finding]:
    source = study.volume.phantom
    if source is None:
        return
    from pxm2mesh.phantoms import PHANTOMS

    known = [key for key in inspect.signature(PHANTOMS[source.name]).parameters if key != "options"]
    for key in source.options:
        if key not in known:
            path = ("volume", "phantom", key)
            yield Finding(path, f"phantom {source.name} has no option {key!r};", did_you_mean(key, known))


def _quantities(study: Study) -> Iterator[Finding]:
    from pxm2mesh.quantify import quantity_names

    for i, name in enumerate(study.quantify.only or ()):
        if name not in quantity_names():
            hint = did_you_mean(name, quantity_names())
            yield Finding(("quantify", "only", i), f"unknown quantity {name!r};", hint)


def _thresholds(study: Study) -> Iterator[Finding]:
    section, phases = study.segment, study.volume.phase_table()
    if section is None or phases is None:
        return
    if section.order is not None and sorted(section.order) != sorted(p.name for p in phases):
        left = [p.name for p in phases if p.name not in section.order]
        told = f"leaves out {', '.join(left)};" if left else "names a phase twice;"
        yield Finding(("segment", "order"), told, "name every phase once, from dark to bright.")
    if section.thresholds is None:
        return
    found, wanted = len(section.thresholds), len(phases) - 1 - len({band.phase for band in section.bands})
    if found != wanted:
        hint = f"{wanted} part {wanted + 1} phases; leave the key out to have them found."
        yield Finding(
            ("segment", "thresholds"),
            f"{found} threshold{'s' * (found != 1)} for {len(phases)} phases;",
            hint,
        )


def _mesh(study: Study) -> Iterator[Finding]:
    mesh, phases = study.mesh, study.volume.phase_table()
    if mesh.method == "marching-cubes" and not mesh.only:
        yield Finding(
            ("mesh", "method"), "marching cubes meshes single phases;", 'say which: only = ["NMC"].'
        )
    if mesh.only and mesh.method != "marching-cubes":
        hint = 'add method = "marching-cubes", or use exclude to leave phases empty.'
        yield Finding(("mesh", "only"), "goes with the method marching-cubes only;", hint)
    if phases is not None and set(mesh.exclude) >= {p.name for p in phases}:
        yield Finding(("mesh", "exclude"), "leaves out every phase;", "keep at least one.")
    for i, zone in enumerate(study.zone):
        if zone.between[0] == zone.between[1]:
            hint = "name the phases on its two sides."
            yield Finding(("zone", i, "between"), f"names {zone.between[0]!r} twice;", hint)


def _phases_of_physics(study: Study) -> Iterator[Finding]:
    for i, physics in enumerate(study.physics):
        for key in _SOLVED_ON:
            value = getattr(physics, key, None)
            several = isinstance(value, tuple)
            for j, name in enumerate(value if isinstance(value, tuple) else (value,)):
                if name in study.mesh.exclude:
                    path: KeyPath = ("physics", i, key, j) if several else ("physics", i, key)
                    hint = f"take {name!r} out of mesh.exclude, or out of this computation."
                    yield Finding(path, f"{name!r} is solved on but gets no cells;", hint)
        if isinstance(physics, HalfCell):
            yield from _half_cell(physics, ("physics", i))


def _half_cell(cell: HalfCell, path: KeyPath) -> Iterator[Finding]:
    if cell.active == cell.electrolyte:
        hint = "name the phase that carries ions."
        yield Finding((*path, "electrolyte"), f"{cell.electrolyte!r} is the active material too;", hint)
    if cell.collector == cell.separator:
        hint = 'the separator lies opposite: collector = "z+", separator = "z-".'
        yield Finding((*path, "separator"), f"is the face of the collector, {cell.collector!r};", hint)


def missing_values(study: Study, present: Iterable[str]) -> Iterator[Finding]:
    """Materials that do not exist, or lack what a computation needs of them.

    Args:
        study: Valid by itself.
        present: Phases that are known to be there; mechanics needs elastic values of those that get cells.

    Yields:
        Errors only.
    """
    there = list(present)
    needs = [
        need
        for i, physics in enumerate(study.physics)
        for need in _needs(study, physics, there, ("physics", i))
    ]
    if not study.materials and not needs:
        return
    from pxm2mesh.materials import read_material

    broken = set()
    for phase, name in study.materials.items():
        try:
            read_material(name)
        except Pxm2meshError as error:
            broken.add(phase)
            yield Finding(("materials", phase), error.message, error.hint)
    told, made_of = set(), _made_of(study)
    for phase, role, parameters, path in needs:
        material = made_of.get(phase)
        if phase in broken or material is None:
            continue
        where: KeyPath = ("materials", phase) if phase in study.materials else path
        if material == "void":
            hint = f"leave it empty: exclude = [{phase!r}] in [mesh].".replace("'", '"')
            yield Finding(where, f"{phase!r} would have to be {role};", hint)
            continue
        try:
            found = read_material(material)
            for parameter in parameters:
                found.require(parameter, purpose=f"{phase} as {role}")
        except Pxm2meshError as error:
            if (where, error.message) not in told:
                yield Finding(where, error.message, error.hint)
            told.add((where, error.message))
            continue
        if role == "active of a half-cell" and (found_start := _start(study, path, found)) is not None:
            yield found_start


def _start(study: Study, path: KeyPath, active: Material) -> Finding | None:
    """A start of a half-cell at a voltage that its active material never has; ``path`` leads to ``active``."""
    cell = study.physics[int(path[1])]
    if not isinstance(cell, HalfCell) or cell.initial_voltage is None:
        return None
    try:
        state_at(cell.initial_voltage, active)
    except Pxm2meshError as error:
        return Finding((*path[:-1], "initial_voltage"), error.message, error.hint)
    return None


def _needs(
    study: Study, physics: object, present: Iterable[str], path: KeyPath
) -> Iterator[tuple[str, str, tuple[str, ...], KeyPath]]:
    """Phase, what it is there, parameters that its material must have for that, and the key that asks for it."""
    meshed = [phase for phase in present if phase not in study.mesh.exclude]
    if isinstance(physics, HalfCell) and physics.active != physics.electrolyte:
        for key, parameters in _HALF_CELL.items():
            phase = getattr(physics, key)
            if phase is not None:
                yield phase, f"{key} of a half-cell", parameters, (*path, key)
        if physics.mechanics is not None:
            inside: KeyPath = (*path, "mechanics")
            yield physics.active, "active of a half-cell with mechanics", _SWELLING, inside
            yield from _solids(meshed, physics.mechanics.plastic or (), inside)
    if isinstance(physics, Mechanics):
        if isinstance(physics, Compaction):  # its pores have cells, and no stiffness of their own
            made_of = _made_of(study)
            meshed = [phase for phase in meshed if made_of.get(phase) != "void"]
        yield from _solids(meshed, physics.plastic, path)


def _made_of(study: Study) -> dict[str, str]:
    """Phase → material: as the study says, or as phases of that name usually are."""
    usual = {phase.name: phase.material for phase in study.volume.phase_table() or ()}
    return {**usual, **study.materials}


def _solids(
    meshed: Iterable[str], plastic: Iterable[str], path: KeyPath
) -> Iterator[tuple[str, str, tuple[str, ...], KeyPath]]:
    for phase in meshed:
        yield phase, "a solid, as it has cells", _ELASTIC, path
    for phase in plastic:
        yield phase, "a phase that flows", _PLASTIC, (*path, "plastic")
