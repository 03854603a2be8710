"""What a run says about an electrode, as parameters of homogenised battery models (BPX, read by PyBaMM)."""

from __future__ import annotations

import json
import logging
import math
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pxm2mesh.errors import DataError, StudyError, UsageError
from pxm2mesh.files import write_json
from pxm2mesh.materials import Material, Parameter, read_material
from pxm2mesh.report.contents import RunContents

logger = logging.getLogger(__name__)

BPX_VERSION = "1.0.0"
FARADAY = 96485.33212  # C/mol
_SAMPLES = 41
Side = Literal["positive", "negative"]


@dataclass(frozen=True)
class Electrode:
    """What homogenised models need of a microstructure; SI units.

    Attributes:
        active: Phase of the active material.
        electrolyte: Phase that carries ions.
        thickness: m, along the direction of transport.
        electrolyte_fraction: Volume fraction of the electrolyte ("porosity" of these models).
        active_fraction: Volume fraction of the active material.
        transport_efficiency: Effective over bulk conductivity of the electrolyte.
        electronic_efficiency: Effective over bulk conductivity of the active material.
        surface_area: m²/m³, of active material against electrolyte.
        particle_radius: m, half of the median diameter by volume; where no particle lies wholly inside the sample,
            that of balls with the same volume per surface.
    """

    active: str
    electrolyte: str
    thickness: float
    electrolyte_fraction: float
    active_fraction: float
    transport_efficiency: float
    electronic_efficiency: float
    surface_area: float
    particle_radius: float

    @property
    def bruggeman_exponent(self) -> float:
        """B in efficiency = fraction^b, of the electrolyte."""
        return math.log(self.transport_efficiency) / math.log(self.electrolyte_fraction)


def electrode_of(folder: str | os.PathLike[str], *, along: str = "z") -> Electrode:
    """The electrode that was measured in a run.

    Args:
        folder: A run folder.
        along: Axis from the separator to the collector.

    Returns:
        Its parameters. Transport is that of the mesh where it was computed, else that of the voxels.

    Raises:
        DataError: A number that is needed was not measured, or the electrolyte leads nowhere.
        UsageError: No axis of that name.
    """
    if along not in ("x", "y", "z"):
        raise UsageError(f"there is no axis {along!r};", hint='use "x", "y" or "z".')
    run = RunContents(Path(folder))
    active, electrolyte = _phase(run, ("active", "anode")), _phase(run, ("electrolyte",))
    volume = math.prod(n * a for n, a in zip(run.shape, run.spacing, strict=True))  # µm³
    efficiency = _relative_conductivity(run, electrolyte, along)
    if efficiency <= 0:
        raise DataError(
            f"{electrolyte} does not connect the faces across {along};", hint="choose another axis."
        )
    return Electrode(
        active=active,
        electrolyte=electrolyte,
        thickness=1e-6 * run.shape["xyz".index(along)] * run.spacing["xyz".index(along)],
        electrolyte_fraction=_measured(run, "volume_fraction", phase=electrolyte),
        active_fraction=_measured(run, "volume_fraction", phase=active),
        transport_efficiency=efficiency,
        electronic_efficiency=_relative_conductivity(run, active, along),
        surface_area=1e6 * _shared_area(run, active, electrolyte) / volume,
        particle_radius=1e-6 * _particle_radius(run, active),
    )


def bpx_document(
    folder: str | os.PathLike[str],
    *,
    side: Side = "positive",
    along: str = "z",
    base: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """The electrode of a run in the Battery Parameter eXchange format.

    Args:
        folder: A run folder.
        side: Which electrode of the cell it is.
        along: Axis from the separator to the collector.
        base: A BPX file of a whole cell, in which the geometry of this electrode is replaced; without it the
            document is partial: one electrode, its material from the library.

    Returns:
        What stands in the file.

    Raises:
        DataError: Something was not measured, or ``base`` is no BPX file.
        StudyError: The material lacks what an electrode needs.

    References:
        BPX, the Battery Parameter eXchange standard 1.0 of the Faraday Institution.
    """
    electrode = electrode_of(folder, along=along)
    section = f"{side.capitalize()} electrode"
    geometry = {
        "Thickness [m]": electrode.thickness,
        "Porosity": electrode.electrolyte_fraction,
        "Transport efficiency": electrode.transport_efficiency,
        "Particle radius [m]": electrode.particle_radius,
        "Surface area per unit volume [m-1]": electrode.surface_area,
    }
    document: dict[str, Any]
    if base is not None:
        document = _read(base)
        known = document["Parameterisation"].get(section)
        if not isinstance(known, dict) or "Particle" in known:
            raise DataError(f"{base} has no {section!r} of a single material;", hint="give another cell.")
        document["Parameterisation"][section] = {**known, **geometry}
    else:
        if electrode.electronic_efficiency <= 0:
            hint = "choose another axis, or give a whole cell with --base."
            raise DataError(f"{electrode.active} does not connect the faces across {along};", hint=hint)
        material = _material(Path(folder), electrode.active)
        title = f"{electrode.active} in {electrode.electrolyte}"
        document = {
            "Header": {"BPX": BPX_VERSION, "Title": title, "Model": "Partial"},
            "Parameterisation": {
                section: {**geometry, **_chemistry(material, electrode.electronic_efficiency)}
            },
        }
    document["Header"]["Description"] = (
        f"Geometry of the {side} electrode measured on a tomogram along {along} with pxm2mesh."
    )
    document["Parameterisation"].setdefault("User-defined", {}).update(
        {
            f"{section} Bruggeman exponent of the electrolyte": electrode.bruggeman_exponent,
            f"{section} active material volume fraction": electrode.active_fraction,
        }
    )
    return document


def write_bpx(folder: str | os.PathLike[str], path: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    """Write `bpx_document` as JSON; options and errors as there. Returns what was written."""
    document = bpx_document(folder, **options)
    write_json(path, document)
    return document


def _chemistry(material: Material, electronic_efficiency: float) -> dict[str, Any]:
    """What the library knows of the active material; functions of lithiation become tables."""
    purpose = {"purpose": "a battery model"}
    voltage = material.require("kinetics.open_circuit_voltage", **purpose)
    exchange = material.require("kinetics.exchange_current_density", **purpose)
    low, high = voltage.valid
    conductivity = (
        float(material.require("transport.electronic_conductivity", **purpose)) * 1e-6
    )  # pS/µm → S/m
    return {
        "Conductivity [S.m-1]": conductivity * electronic_efficiency,
        "Minimum stoichiometry": low,
        "Maximum stoichiometry": high,
        "Maximum concentration [mol.m-3]": float(
            material.require("transport.maximum_concentration", **purpose)
        ),
        "Diffusivity [m2.s-1]": _law(material.require("transport.diffusivity", **purpose), 1e-12),
        "OCP [V]": _table(voltage, 1.0),
        # of i = F K sqrt(c_e/c_e0 · x · (1 − x)), at x = 1/2
        "Reaction rate constant [mol.m-2.s-1]": float(exchange(0.5)) / (FARADAY * 0.5),
    }


def _law(parameter: Parameter, factor: float) -> float | dict[str, list[float]]:
    return factor * float(parameter) if parameter.constant else _table(parameter, factor)


def _table(parameter: Parameter, factor: float) -> dict[str, list[float]]:
    x = np.linspace(*parameter.valid, _SAMPLES)
    return {"x": [round(float(v), 6) for v in x], "y": [float(f"{factor * v:.8g}") for v in parameter(x)]}


def _material(folder: Path, phase: str) -> Material:
    study = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    table = RunContents(folder).phases
    assert table is not None
    name = study.get("materials", {}).get(phase, table[phase].material)
    try:
        return read_material(name)
    except UsageError as error:
        hint = f'write [materials] {phase} = "NMC811" in the study, or give a whole cell with --base.'
        raise StudyError(f"phase {phase!r}: {error.message}", hint=hint) from error


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        document["Header"], document["Parameterisation"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} is not a BPX file: {error};", hint="give the JSON file of a cell."
        ) from error
    return dict(document)


def _phase(run: RunContents, roles: tuple[str, ...]) -> str:
    found = [phase.name for phase in run.phases or () if phase.role in roles]
    if len(found) != 1:
        told = f"{len(found)} phases" if found else "no phase"
        hint = f'one has to: phases = {{ NMC = {{ label = 1, role = "{roles[0]}" }} }}.'
        raise DataError(f"{told} of this run {'have' if found else 'has'} the role {roles[0]};", hint=hint)
    return found[0]


def _measured(run: RunContents, name: str, **where: str) -> float:
    found = list(run.quantities.select(name, **where))
    if not found:
        told = " ".join(where.values())
        raise DataError(
            f"{name} of {told} was not measured in {run.folder};", hint="take it up in [quantify]."
        )
    return found[0].value


def _particle_radius(run: RunContents, active: str) -> float:
    """µm."""
    median = list(run.quantities.select("particle_diameter_d50", phase=active))
    if median:
        return 0.5 * median[0].value
    surface = _measured(run, "specific_surface_area", phase=active)
    radius = 3 * _measured(run, "volume_fraction", phase=active) / surface
    logger.warning(
        "no particle of %s lies wholly inside the sample: its radius %.3g µm is that of balls with the same volume "
        "per surface.", active, radius,
    )  # fmt: skip
    return radius


def _relative_conductivity(run: RunContents, phase: str, along: str) -> float:
    rows = [
        q
        for q in run.quantities.select("effective_conductivity", phase=phase, direction=along)
        if q.unit == "1"
    ]
    if not rows:
        hint = 'take "transport" up in [quantify].'
        raise DataError(f"what {phase} conducts along {along} was not measured in {run.folder};", hint=hint)
    solved = [q for q in rows if q.method.startswith("finite elements")]
    return (solved or rows)[0].value


def _shared_area(run: RunContents, one: str, other: str) -> float:
    pairs = (f"{one} | {other}", f"{other} | {one}")
    areas: Iterator[float] = (
        q.value for q in run.quantities.select("interface_area") if q.interface in pairs
    )
    area = next(areas, None)
    if area is None:
        raise DataError(
            f"the area of {pairs[0]} was not measured in {run.folder};", hint="take it up in [quantify]."
        )
    return area
