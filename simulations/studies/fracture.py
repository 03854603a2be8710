"""Particles that crack while they are charged or discharged: diffusion, stress and a phase field."""

from __future__ import annotations

import logging
import time as clock
from typing import Any

import numpy as np
from dolfinx import fem

from pxm2mesh.errors import StudyError
from pxm2mesh.materials import Material
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.damage import Cracking as CrackingSection
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_nodes, node_blocks
from simulations.base.output import ResultSeries, ScalarTable
from simulations.base.stepping import StepOptions, run_until
from simulations.models.diffusion import Diffusion
from simulations.models.mechanics import chemical_strain, moduli_of
from simulations.models.phase_field import Part, PhaseField, PhaseFieldOptions
from simulations.studies.mechanics import unstrained_at
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)

COLUMNS = (
    "step", "time [s]", "mean lithiation [1]", "lowest lithiation [1]", "highest lithiation [1]", "largest damage [1]",
    "crack area [um2]", "broken volume fraction [1]", "elastic energy [pJ]", "surface energy [pJ]", "alternations",
    "wall time [s]",
)  # fmt: skip
BROKEN = 0.9
"""Damage from which a place counts as cracked."""


def crack(task: Task) -> Answer:
    """Charge or discharge the particles of a ``model = "cracking"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Crack area, its energy, and when cracks began.
    """
    physics: CrackingSection = task.physics
    domain = task.domain(phases=[physics.phase], cut=())
    material = _material(task, domain)
    purpose = {"purpose": "cracks in particles"}
    c_max = float(material.require("transport.maximum_concentration", **purpose))
    volume = domain.volume()
    faces = [name for name in domain.facet_names]
    area = sum(domain.area(name) for name in faces)
    flux = physics.rate * c_max * volume / area / 3600
    diffusion = Diffusion(
        domain, material.require("transport.diffusivity", **purpose), c_max, physics.initial,
        flux=dict.fromkeys(faces, flux),
    )  # fmt: skip
    body = cracking_body(domain, material, physics, diffusion.x)
    rows = _advance(task, domain, diffusion, body, volume)
    last = rows[-1]
    began = next(
        (row["mean lithiation [1]"] for row in rows if row["largest damage [1]"] > 0.5), float("nan")
    )
    method = f"phase field {physics.crack_model}, length {physics.length.value:g} um"
    quantities = [
        Quantity("crack_area", last["crack area [um2]"], "um2", method, phase=physics.phase),
        Quantity("crack_energy", last["surface energy [pJ]"], "pJ", method, phase=physics.phase),
    ]
    if began == began:
        quantities.append(Quantity("lithiation_at_first_crack", began, "1", method, phase=physics.phase))
    else:
        log.info("no crack formed")
    return Answer(
        Quantities(quantities),
        {"steps": len(rows) - 1, "alternations": sum(int(row["alternations"]) for row in rows),
         "unknowns": 4 * domain.point_total},
    )  # fmt: skip


def _material(task: Task, domain: Domain) -> Material:
    """Of the particles, free of strain at the initial state."""
    physics: CrackingSection = task.physics
    found = task.materials(domain, [physics.phase])[physics.phase]
    if found.swelling is None or found.swelling.volume_strain is None:
        raise StudyError(f"material {found.name!r} does not swell;", hint="give it a swelling.volume_strain.")
    return unstrained_at(found, physics.initial)


def cracking_body(
    domain: Domain, material: Material, physics: CrackingSection, x: fem.Function
) -> PhaseField:
    """A free body that can crack, held at three points so that it does not float away."""
    energy = float(material.require("fracture.fracture_energy", purpose="cracks"))
    options = PhaseFieldOptions(
        physics.length.value, physics.crack_model, physics.split, cells_per_length=physics.cells_per_length
    )
    young = float(material.require("elastic.youngs_modulus", purpose="cracks")(physics.initial))
    if physics.crack_model == "AT1":
        strength = (3 * young * energy / (8 * options.length)) ** 0.5
        log.info("ℓ = %.3g um stands for a strength of %.0f MPa", options.length, strength)
    part = Part(domain.dx(), moduli_of(material, x), energy, chemical_strain(material, x))
    return PhaseField(domain.mesh, [part], lambda space: three_points(domain, space), options)


def three_points(domain: Domain, space: fem.FunctionSpace) -> list[Any]:
    """Conditions that stop the six rigid motions of a free body and nothing else.

    One node is held, a second may move along the line between them, a third in their plane.
    """

    def choose() -> tuple[list[int], list[int]]:
        assert domain.source is not None and domain.parent is not None
        points = domain.source.points[domain.parent]
        first = int(np.argmin(points[:, 0]))
        second = int(np.argmax(points[:, 0]))
        along = (points[second] - points[first]) / np.linalg.norm(points[second] - points[first])
        offset = points - points[first]
        offset = offset - (offset @ along)[:, None] * along
        third = int(np.argmax(np.abs(offset[:, 1])))
        return [first, second, third], [0b111, 0b110, 0b100]

    chosen, masks = on_root(domain.comm, choose)
    blocks = node_blocks(domain, space)
    conditions = []
    for node, mask in zip(chosen, masks, strict=True):
        here = blocks[np.flatnonzero(domain.point_index == node)]
        for axis in range(3):
            if mask >> axis & 1:
                dofs = (3 * here + axis).astype(np.int32)
                conditions.append(fem.dirichletbc(np.float64(0.0), dofs, space.sub(axis)))
    return conditions


def _advance(
    task: Task, domain: Domain, diffusion: Diffusion, body: PhaseField, volume: float
) -> list[dict[str, float]]:
    """Step from the initial to the last mean state of lithiation; one row per step."""
    physics: CrackingSection = task.physics
    end = (physics.initial - physics.until) / physics.rate * 3600
    table = ScalarTable(task.path("scalars.csv"), COLUMNS, domain)
    series = ResultSeries(task.path("results.pvd"), domain)
    start, rows, alternations = clock.perf_counter(), [], 0
    broken = fem.form(_indicator(body) * domain.dx())
    with task.progress.task("cracking", total=physics.steps) as shown:
        for step in range(physics.steps + 1):
            if step:
                run_until(diffusion, end * step / physics.steps, StepOptions(first=end / physics.steps / 4))
                diffusion.time = end * step / physics.steps
                alternations = body.solve().count
                body.accept()
                shown.advance(1, f"mean x = {diffusion.mean():.3f}, crack area {body.crack_area():.3g} um2")
            row = _row(domain, diffusion, body, fem.assemble_scalar(broken) / volume)
            row |= {"step": step, "alternations": alternations}
            row["wall time [s]"] = round(clock.perf_counter() - start, 2)
            rows.append(row)
            table.append(row)
            if step % physics.write_every == 0 or step == physics.steps:
                fields = {"displacement [um]": body.displacement, "damage [1]": body.damage,
                          "lithiation [1]": diffusion.x}  # fmt: skip
                series.write(diffusion.time, fields)
    return rows


def _indicator(body: PhaseField) -> Any:
    import ufl

    return ufl.conditional(ufl.gt(body.damage, BROKEN), 1.0, 0.0)


def _row(domain: Domain, diffusion: Diffusion, body: PhaseField, broken: float) -> dict[str, float]:
    lithiation, damage = gather_nodes(domain, diffusion.x), gather_nodes(domain, body.damage)

    def extremes() -> tuple[float, float, float]:
        assert lithiation is not None and damage is not None
        return float(lithiation.min()), float(lithiation.max()), float(damage.max())

    low, high, largest = on_root(domain.comm, extremes)
    return {
        "time [s]": diffusion.time, "mean lithiation [1]": diffusion.mean(), "lowest lithiation [1]": low,
        "highest lithiation [1]": high, "largest damage [1]": largest, "crack area [um2]": body.crack_area(),
        "broken volume fraction [1]": float(domain.comm.allreduce(broken)),
        "elastic energy [pJ]": body.elastic_energy(), "surface energy [pJ]": body.surface_energy(),
    }  # fmt: skip
