"""The half-cell and the solid it is in, coupled: lithium swells and shrinks the grains, stress acts back on lithium.

Staggered: in each pass the half-cell is solved with the stress of the last mechanics (and the answer of a free sphere
implicitly, `simulations.models.stress_terms`), then the mechanics with the new lithium, until the stress no longer
changes what lithium does. With bonds, what is left of the contact is passed likewise. A step is accepted or forgotten
by both together. See docs/explanation/coupling.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import NotConvergedError, StudyError
from pxm2mesh.materials import Material
from pxm2mesh.materials.laws import Constant
from pxm2mesh.materials.parameter import Parameter
from simulations.base.diagnosis import Diagnosis
from simulations.base.domain import Domain
from simulations.models import stress_laws
from simulations.models.cell import Cell, HalfCellOptions, working_part
from simulations.models.chemomechanics import StressProjection
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.contact import Contact
from simulations.models.electrochemistry import HalfCell
from simulations.models.islands import without_islands
from simulations.models.mechanics import Solid
from simulations.models.mixing import Mixing
from simulations.models.node_transfer import NodeTransfer
from simulations.models.plasticity import plastic_laws
from simulations.models.solid_solver import SolverOptions
from simulations.models.stress_terms import StressTerms
from simulations.models.supports import Gap, Plate, Support

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

_WORK_ERROR = 1e-3
"""Share of the fracture energy of all bonds that the trapezoidal rule for their work may miss in a step."""
_WAYS = ("a line search", "a direct solver and damped passes")


@dataclass(frozen=True)
class StressOptions:
    """How lithium and stress are coupled.

    Attributes:
        in_flux: The gradient of stress drives lithium.
        in_potential: Stress shifts the open-circuit voltage, by 13 mV for 1 GPa.
        plastic: Phases that flow; None for all whose material has a yield stress.
        stress_free: State of lithiation without chemical strain; that of the start if None.
        hold_gap: Once they have pressed, rigid plates stay where they are.
        degree: Of the displacement: 2, or 1 at a tenth of the cost (see docs/explanation/coupling.md).
        agreement: Passes end when lithium would answer to what is left of a change of stress by less than this.
        passes: Most passes in a step.
        solid: How the displacement is found.
        contact_agreement: With bonds: passes end when less than this share of the contact that is left has changed.
        spent: With bonds: share of the fracture energy of all of them that a step may spend.
    """

    in_flux: bool = True
    in_potential: bool = True
    plastic: tuple[str, ...] | None = None
    stress_free: float | None = None
    hold_gap: bool = False
    degree: int = 2
    agreement: float = 1e-3
    passes: int = 12
    solid: SolverOptions = field(
        default_factory=lambda: SolverOptions(rtol=1e-7, linear_rtol=1e-3, lazy=True)
    )
    contact_agreement: float = 3e-3
    spent: float = 0.02


class CoupledHalfCell:
    """A half-cell in a solid; a `simulations.base.stepping.TimeProblem`.

    Args:
        whole: All that is meshed, from a mesh that is `simulations.models.node_transfer.numbered`.
        cell: What the half-cell is made of.
        materials: Material of each meshed phase.
        supports: How the solid is held.
        initial: State of lithiation at the start.
        cell_options: How the half-cell is solved.
        options: The coupling.
        bonds: Interface → law, where the solid can come apart; elsewhere it is one piece.

    Attributes:
        half: The half-cell, on the part that works, cut where the potential jumps.
        solid: The mechanics, on all that is held, cut at the bonds only.
        contact: What the bonds leave of the currents; None without bonds.
        shares: Phase → share of it that works.
        x: State of lithiation as the solid sees it.
        pressed: Face of a plate → MPa, where `press` has changed it.
        passes: Passes so far.
        mechanics_iterations: Krylov iterations of the mechanics so far.

    Raises:
        StudyError: A material lacks what is needed.
        GeometryError: No path for electrons or ions, or nothing holds the solid.
    """

    def __init__(
        self,
        whole: Domain,
        cell: Cell,
        materials: Mapping[str, Material],
        supports: Iterable[Support],
        initial: float,
        *,
        cell_options: HalfCellOptions | None = None,
        options: StressOptions | None = None,
        bonds: Mapping[str, CohesiveLaw] | None = None,
    ) -> None:
        self.bonds = dict(bonds or {})
        self.options, supports = options or StressOptions(), list(supports)
        self.whole = whole
        free = initial if self.options.stress_free is None else self.options.stress_free
        materials = {p: _strain_free_at(m, free) for p, m in materials.items() if p in whole.meshed}
        _require_swelling(materials[cell.active])
        domain, self.shares = working_part(whole, cell)
        terms = StressTerms.of(
            materials[cell.active], fem.functionspace(domain.mesh, ("Lagrange", 1)),
            in_flux=self.options.in_flux, in_potential=self.options.in_potential,
            temperature=cell.kinetics.temperature,
        )  # fmt: skip
        terms.rest.x.array[:] = terms.implicit(np.array([initial]))
        self.terms = terms
        self.half = HalfCell(domain, cell, initial, options=cell_options, stress=terms)
        body = without_islands(whole.restricted(cut=tuple(self.bonds)), supports)
        self._make_solid(body, materials, supports, initial)
        self._to_body = NodeTransfer(domain, body, [cell.active])
        self._to_cell = NodeTransfer(body, domain, [cell.active])
        self.time, self.passes, self.mechanics_iterations, self.mechanics_newtons = 0.0, 0, 0, 0
        self.pressed: dict[str, float] = {}
        self._failed: NotConvergedError | None = None
        self._tried: tuple[float, Floats, dict[str, Floats]] | None = None
        self._relax = 1.0
        self._stress = fem.Function(terms.rest.function_space)
        self._stress.x.array[:] = terms.rest.x.array
        self.contact: Contact | None = None
        self._balance(0.0)
        self.solid.accept()
        if self.solid.cohesion is not None:
            self.contact = Contact(self.solid.cohesion, self.half)
        self._spent_anyway = 0.0
        self._fatigue = any(law.fatigue_threshold is not None for law in self.bonds.values())
        self.kept = self.solid.state()
        self.kept_before = self.kept
        self.rest, self.rest_before = (fem.Function(terms.rest.function_space) for _ in range(2))
        for rest in (self.rest, self.rest_before):
            rest.x.array[:] = self._stress.x.array
        terms.rest.x.array[:] = self._stress.x.array

    def _make_solid(
        self, body: Domain, materials: Mapping[str, Material], supports: Sequence[Support], initial: float
    ) -> None:
        options, active = self.options, self.half.cell.active
        self._nodal = fem.Function(
            fem.functionspace(body.mesh, ("Lagrange", 1)), name="state of lithiation [1]"
        )
        self._nodal.x.array[:] = initial
        # With P1 the strain is constant in a cell, so the chemical strain has to be: else the stress is wrong by half.
        space = body.cellwise if options.degree == 1 else self._nodal.function_space
        self.x = fem.Function(space, name="state of lithiation [1]")
        self.x.x.array[:] = initial
        solver = options.solid
        if self.bonds:
            solver = solver.not_symmetric(body.point_total, options.degree)
        how: dict[str, Any] = {
            "x": self.x, "laws": plastic_laws(materials, options.plastic), "bonds": self.bonds,
            "degree": options.degree, "options": solver,
        }  # fmt: skip
        if options.hold_gap:
            pressed = Solid(body, materials, supports, **how)
            pressed.solve(time=0.0)
            supports = [_gap_after(pressed, s) if isinstance(s, Plate) else s for s in supports]
        self.solid = Solid(body, materials, supports, **how)
        hydrostatic = stress_laws.hydrostatic(self.solid.responses[active].cauchy)
        self._projection = StressProjection(
            body, {active: hydrostatic + self.terms.implicit(self.x)}, quadrature_degree=2 * options.degree
        )

    # ------------------------------------------------------------------ one pass

    def hand_over(self) -> None:
        """Let the solid see lithium as it is."""
        self._to_body.apply(self.half.state, self._nodal)
        if self.options.degree == 1:
            corners = np.asarray(self._nodal.function_space.dofmap.list)
            self.x.x.array[np.asarray(self.x.function_space.dofmap.list)[:, 0]] = self._nodal.x.array[
                corners
            ].mean(1)
        else:
            self.x.x.array[:] = self._nodal.x.array

    def _balance(self, time: float) -> None:
        """The mechanics with lithium as it is, and what it means for lithium, into ``_stress``."""
        self.hand_over()
        record = self.solid.solve(self.pressed, time=time)
        self.mechanics_newtons += record.iterations
        self.mechanics_iterations += record.linear_iterations
        self._to_cell.apply(self._projection.update(), self._stress)
        self.passes += 1

    def _disagreement(self) -> float:
        """How much lithium would answer to what the stress has changed since it was solved for."""
        blocks = self.half.active_blocks
        x = self.half.state.x.array.reshape(-1, 2)[blocks, 0]
        change = (self._stress.x.array - self.terms.rest.x.array)[blocks]
        return float(max(self.half.domain.comm.allgather(self.terms.influence(x, change))))

    def _contact_disagreement(self) -> float:
        """What share of the contact that is left has changed since it was solved for."""
        if self.contact is None:
            return 0.0
        self.contact.find()
        return self.contact.disagreement()

    def settle(self) -> None:
        """Find the potentials for the control that is set, with lithium and stress as they are."""
        self.terms.rest.x.array[:] = self.rest.x.array
        if self.contact is not None:
            self.contact.restore()
        self.half.settle()

    # ------------------------------------------------------------------ TimeProblem

    def attempt(self, step: float) -> None:
        """Solve both for the state at ``time + step``; `NotConvergedError` if one fails or they disagree."""
        self._failed = None
        try:
            self._attempt(step)
        except NotConvergedError as error:
            self._failed = error
            raise

    def _attempt(self, step: float) -> None:
        self._predict(step)
        if self.contact is not None:
            self.contact.cohesion.step = step
            self.contact.restore()
        owned = self.terms.rest.function_space.dofmap.index_map.size_local
        mixing = Mixing(self.half.domain.comm, owned, share=self._relax)
        contacts = Mixing(self.half.domain.comm, len(self.half.interface.weights), share=self._relax)
        for number in range(self.options.passes):
            self.half.attempt(step, again=number > 0)
            self._balance(self.time + step)
            left, apart = self._disagreement(), self._contact_disagreement()
            log.info(
                "t = %.6g s, pass %d: lithium and stress disagree by %.2e", self.time + step, number, left
            )
            if left <= self.options.agreement and apart <= self.options.contact_agreement:
                self._tried = (step, self._stress.x.array.copy(), self.solid.state())
                return
            rest = self.terms.rest.x.array
            rest[:] = mixing.next(rest, self._stress.x.array)
            if self.contact is not None:
                self.contact.use(contacts.next(self.contact.used, self.contact.found))
        also = f", on {apart:.1%} of the contact" if self.contact is not None else ""
        raise NotConvergedError(
            f"lithium and stress still disagree by {left:.1e}{also} after {self.options.passes} passes;",
            reason="passes", iterations=self.options.passes, residual=left, time=self.time + step,
            hint="take shorter steps (largest_step), or allow a larger disagreement.",
        )  # fmt: skip

    def _predict(self, step: float) -> None:
        """Carry stress and displacement on as they have been going, or as a step of another length has found."""
        last = self.half.bdf.last_step
        kept, rest = self.kept, self.rest.x.array
        if self._tried is not None:
            length, far_rest, far = self._tried
            share = step / length
            guess = {k: kept[k] + share * (far[k] - kept[k]) for k in ("displacement", "plates")}
            self.terms.rest.x.array[:] = rest + share * (far_rest - rest)
        else:
            share = 0.0 if last is None else step / last
            guess = {k: kept[k] + share * (kept[k] - self.kept_before[k]) for k in ("displacement", "plates")}
            self.terms.rest.x.array[:] = rest + share * (rest - self.rest_before.x.array)
        self.solid.restore({**kept, **guess})

    def error(self) -> float:
        """That of lithium; with bonds at least the squares of energy spent and of work missed, by their limits."""
        error = self.half.error()
        if self.contact is not None:
            bonds = self.contact.cohesion
            share = max(bonds.mean_change() - self._spent_anyway, 0.0) / self.options.spent
            share = max(share, abs(bonds.work_error()) / _WORK_ERROR)
            error = max(error, share**2)
        return error

    def commit(self) -> None:
        """Keep the step in both."""
        self._tried = None
        self.half.commit()
        self.time = self.half.time
        self._accept()
        self.rest_before.x.array[:] = self.rest.x.array
        self.rest.x.array[:] = self._stress.x.array

    def _accept(self) -> None:
        """What the solid is now is what the next step starts from."""
        self.solid.accept()
        self._look_at_bonds()
        self.kept_before, self.kept = self.kept, self.solid.state()

    def press(self, face: str, pressure: float, parts: int = 5) -> None:
        """Another pressure on a plate, in equal parts and with lithium as it is.

        Args:
            face: Of the plate.
            pressure: MPa.
            parts: In so many balances.

        Raises:
            NotConvergedError: No balance was found.
        """
        before = self.solid.pressure_on(face)
        if self.contact is not None:
            self.contact.cohesion.step = math.inf
        for part in range(1, parts + 1):
            self.pressed[face] = before + (pressure - before) * part / parts
            self.solid.solve(self.pressed, time=self.time)
            self._accept()
        self._to_cell.apply(self._projection.update(), self._stress)
        self.rest.x.array[:] = self._stress.x.array
        self.interrupt()
        self.restore()

    def changed(self) -> None:
        """Damage has been changed from outside: the next step starts from what it is now."""
        self._look_at_bonds()
        self.kept = self.solid.state()
        self._tried = None

    def snapshot(self) -> dict[str, Any]:
        """Copies of all that decides what follows, for `rollback`."""
        fields = {name: f.x.array.copy() for name, f in self.node_fields().items()}
        return {"fields": fields, "numbers": self.half.numbers(), "pressed": dict(self.pressed),
                "kept": self.kept, "before": self.kept_before}  # fmt: skip

    def rollback(self, snapshot: Mapping[str, Any]) -> None:
        """Go back to a `snapshot`."""
        for name, function in self.node_fields().items():
            function.x.array[:] = snapshot["fields"][name]
        self.half.resume(snapshot["numbers"])
        self.pressed = dict(snapshot["pressed"])
        self.time = self.half.time
        self.kept, self.kept_before, self._tried = snapshot["kept"], snapshot["before"], None
        self.restore()
        self._resumed()

    def _resumed(self) -> None:
        self.hand_over()
        self._look_at_bonds()
        if self.contact is not None:
            self.contact.restore()

    def _look_at_bonds(self) -> None:
        """The contact of the state the next step starts from, and what fatigue makes it spend however short it is."""
        if self.contact is None:
            return
        self.contact.find()
        self._spent_anyway = self.contact.cohesion.mean_change() if self._fatigue else 0.0
        self.contact.keep()

    def restore(self) -> None:
        """Forget the step in both."""
        self.half.restore()
        self.solid.restore(self.kept)
        self.terms.rest.x.array[:] = self.rest.x.array
        if self.contact is not None:
            self.contact.restore()

    def interrupt(self) -> None:
        """The next step is backward Euler."""
        self._tried = None
        self.half.interrupt()

    def ways(self) -> Sequence[str]:
        """A line search; with it direct solvers and passes that take half of each change."""
        return _WAYS

    def solve_by(self, way: str | None) -> None:
        """Attempts go this way from now on; None for the ordinary one."""
        self.half.solve_by(None if way is None else self.half.ways()[_WAYS.index(way)])
        self.solid.solve_directly(way == _WAYS[1])
        self._relax = 0.5 if way == _WAYS[1] else 1.0

    def diagnose(self) -> Diagnosis:
        """Of the part that failed."""
        failed = self._failed
        if failed is None or failed.reason in ("newton", "exhausted"):
            return self.half.diagnose()
        if failed.reason == "passes":
            return Diagnosis({"stress": failed.residual or 0.0}, None, "stress and lithium drive each other")
        cause = "the solid cannot carry the strain of its grains: look for thin necks and cells of bad shape"
        return Diagnosis({"displacement": failed.residual or 0.0}, self.solid.worst_place(), cause)

    # ------------------------------------------------------------------ checkpoints

    def node_fields(self) -> dict[str, fem.Function]:
        """Name → function on the half-cell's domain: part of all that decides what follows."""
        bdf = self.half.bdf
        return {"old": bdf.old, "older": bdf.older, "rest": self.rest, "rest before": self.rest_before}

    def body_fields(self) -> dict[str, fem.Function]:
        """The same on the solid's domain; fill them, then call `resume`."""
        before = fem.Function(self.solid.space)
        before.x.array[:] = self.kept_before["displacement"]
        return {
            "displacement": self.solid.displacement,
            "displacement before": before,
            **self.solid.history(),
        }

    def numbers(self) -> dict[str, Any]:
        """The rest of it."""
        plates = {k: self.kept[k].tolist() for k in ("plates", "walls", "forces")}
        counts = {
            "passes": self.passes,
            "newtons": self.mechanics_newtons,
            "iterations": self.mechanics_iterations,
        }
        return {
            **self.half.numbers(),
            **plates,
            "plates before": self.kept_before["plates"].tolist(),
            "pressed": self.pressed,
            **counts,
        }

    def resume(self, numbers: Mapping[str, Any], body_fields: Mapping[str, fem.Function]) -> None:
        """Go on from `numbers`; the functions of `node_fields` and ``body_fields`` have been filled."""
        self.half.resume(numbers)
        self.time = self.half.time
        self.passes, self.mechanics_newtons = numbers["passes"], numbers["newtons"]
        self.mechanics_iterations = numbers["iterations"]
        self.pressed = dict(numbers["pressed"])
        found = {k: np.array(numbers[k]) for k in ("plates", "walls", "forces")}
        state = self.solid.state()
        self.kept = {**state, **found}
        self.kept_before = {
            **self.kept,
            "displacement": body_fields["displacement before"].x.array.copy(),
            "plates": np.array(numbers["plates before"]),
        }
        self.restore()
        self._resumed()

    def forget(self) -> None:
        """Drop what solvers keep from step to step, so that a continued run does the very same."""
        self._tried = None
        self.half.forget()
        self.solid.forget()


def _strain_free_at(material: Material, x: float) -> Material:
    if material.swelling is None:
        return material
    reference = Parameter("swelling.reference", Constant(x), "dimensionless", "1", source="state at assembly")
    return replace(material, swelling=replace(material.swelling, reference=reference))


def _require_swelling(material: Material) -> None:
    for name in ("swelling.volume_strain", "elastic.youngs_modulus", "elastic.poisson_ratio"):
        if material.get(name) is None:
            raise StudyError(
                f"material {material.name!r} has no {name}, which a half-cell with mechanics needs;",
                hint="give it in a material file of your own, or leave [physics.mechanics] out.",
            )


def _gap_after(pressed: Solid, plate: Plate) -> Gap:
    """A wall where the plate has come to rest."""
    moved = pressed.plate_displacement(plate.face)
    return Gap(plate.face, -moved if plate.face[1] == "+" else moved)
