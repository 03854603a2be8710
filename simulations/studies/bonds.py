"""Bonds of a study: their laws, and their state in a file of its own beside each checkpoint."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, Pxm2meshError, StudyError
from pxm2mesh.files import replacing
from pxm2mesh.materials import Material, read_material
from pxm2mesh.study.bonds import Bonds
from pxm2mesh.study.damage import Fatigue
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.studies.task import Task

Floats = npt.NDArray[np.float64]


def bond_laws(
    task: Task, domain: Domain, section: Bonds, *, viscosity: float, fatigue: Fatigue | None = None
) -> dict[str, CohesiveLaw]:
    """The law of each interface: from the library's interface, overridden by what the study gives.

    Args:
        task: Knows what the phases are made of.
        domain: The sample.
        section: What the study says of bonds.
        viscosity: In the time of the study: s, or loads.
        fatigue: What cycles leave of the toughness; None for all of it.

    Raises:
        StudyError: Neither the library nor the study has a strength and a fracture energy.
    """
    options: dict[str, Any] = {"shape": section.law, "viscosity": viscosity, "restored": section.restored}
    for key in ("strength", "fracture_energy"):
        given = getattr(section, key)
        if given is not None:
            options[key] = given.value
    laws = {}
    for name in section.bonds:
        pair = canonical_name(domain.phases, name)
        material = _interface_material(task, domain, pair)
        if material is not None:
            law = CohesiveLaw.of(material, **options)
        elif "strength" in options and "fracture_energy" in options:
            law = CohesiveLaw(**options)
        else:
            raise StudyError(
                f"the library has no interface for {pair!r};", hint="give strength and fracture_energy."
            )
        if fatigue is not None:
            law = replace(law, fatigue_threshold=fatigue.per_area(law.fracture_energy))
        laws[pair] = law
    return laws


def _interface_material(task: Task, domain: Domain, pair: str) -> Material | None:
    names = [task.material_name(domain, phase.strip()) for phase in pair.split("|")]
    for first, second in (names, names[::-1]):
        try:
            return read_material(f"{first}-{second}")
        except Pxm2meshError:
            continue
    return None


def save_bonds(path: Path, cohesion: CohesiveInterfaces) -> None:
    """Write the state of the bonds by the number of the facet: readable on any number of ranks.

    Args:
        path: An ``.npz`` file.
        cohesion: The bonds.
    """
    state = _gather(cohesion, cohesion.state())

    def write() -> None:
        with replacing(path) as part, part.open("wb") as stream:
            np.savez(stream, **state)  # type: ignore[arg-type]

    on_root(cohesion.domain.comm, write)


def load_bonds(path: Path, cohesion: CohesiveInterfaces) -> None:
    """Go on from what `save_bonds` wrote; all ranks must call.

    Raises:
        DataError: The file is missing, damaged or of other bonds.
    """
    wanted, total = set(cohesion.state()), cohesion.domain.cuts.total

    def read() -> dict[str, Floats]:
        hint = "start again with --restart."
        try:
            with np.load(path) as file:
                found = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be read ({error});", hint=hint) from error
        if set(found) != wanted or any(len(values) != total for values in found.values()):
            raise DataError(f"{path} holds the state of other bonds;", hint=hint)
        return found

    index = cohesion.interface.index
    cohesion.restore({name: values[index] for name, values in on_root(cohesion.domain.comm, read).items()})


def _gather(cohesion: CohesiveInterfaces, state: Mapping[str, Floats]) -> dict[str, Floats]:
    """Arrays of facets by the number of the facet, on rank 0; empty elsewhere."""
    total = cohesion.domain.cuts.total
    parts = cohesion.domain.comm.gather((cohesion.interface.index, state))
    if parts is None:
        return {}
    whole = {name: np.zeros((total, *values.shape[1:])) for name, values in state.items()}
    for index, mine in parts:
        for name, values in mine.items():
            whole[name][index] = values
    return whole
