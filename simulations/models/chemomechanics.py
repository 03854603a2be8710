"""Lithium and stress, coupled both ways: swelling loads the solid, stress drives and shifts lithium.

∂x/∂t = ∇·(D[∇x − (Ω x(1−x)/RT) ∇σ_h]) in the phases that take lithium, x = c/c_max; the chemical strain of
`simulations.models.mechanics` in all of them; σ_h the mean normal stress, tension positive.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc

from pxm2mesh.errors import NotConvergedError, StudyError, UsageError
from pxm2mesh.materials import FARADAY, GAS_CONSTANT, Material, swelling_window
from pxm2mesh.units import parse_quantity
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.laws import parameter_on
from simulations.base.solvers import JACOBI, LinearSolver, Options
from simulations.base.stepping import Bdf
from simulations.models import stress_laws
from simulations.models.mechanics import Solid, SolidLaw
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import Support

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

MICRO = 1e-6
"""J/mol → pJ/amol."""
GMRES_ILU: Options = {"ksp_type": "gmres", "pc_type": "bjacobi", "sub_pc_type": "ilu"}


@dataclass(frozen=True)
class Flux:
    """Lithium that enters through ``face`` (amol/µm²/s = µmol/m²/s), seen from the phase that takes it."""

    face: str
    inward: float


def flux(face: str, inward: str | float) -> Flux:
    """Lithium into the active phase through an interface or box face: ``flux("NMC | LPSCl", "1e-5 mol/m2/s")``.

    Raises:
        UnitError: Not a molar flux.
    """
    return Flux(face, parse_quantity(inward, "molar_flux") if isinstance(inward, str) else float(inward))


@dataclass(frozen=True)
class CouplingOptions:
    """How lithium and stress are coupled.

    Attributes:
        temperature: K.
        stress_drives: False switches the stress off in the flux (one-way coupling).
        mixing: ``"solution"`` for RT·ln(x/(1−x)), ``"dilute"`` for RT·ln x.
        passes: Most passes diffusion → mechanics per step; more than one iterate to ``agreement``.
        agreement: Largest change of x in the last pass.
        tolerance: Error of x that a step may add (root mean square over the nodes).
        newton_tolerance: Residual of the diffusion, as a share of its storage term.
        newton_iterations: Before a step is given up.
        degree: Of the displacement; 1 makes the hydrostatic stress wrong by half.
        solid: Tolerances of the mechanics.
    """

    temperature: float = 298.15
    stress_drives: bool = True
    mixing: Literal["solution", "dilute"] = "solution"
    passes: int = 10
    agreement: float = 1e-6
    tolerance: float = 1e-3
    newton_tolerance: float = 1e-11
    newton_iterations: int = 12
    degree: int = 2
    solid: SolverOptions = field(default_factory=SolverOptions)


class StressProjection:
    """The consistent L² projection of a cell-wise rough field of some phases onto continuous P1.

    Lumping the mass, or differentiating the stress of P1 displacement, ruins ∇σ_h.

    Args:
        domain: Where.
        integrands: Phase → UFL expression.
        metadata: Quadrature of the integrands.

    Attributes:
        result: The projection; zero away from the phases.
    """

    def __init__(self, domain: Domain, integrands: Mapping[str, Any], **metadata: Any) -> None:
        space = fem.functionspace(domain.mesh, ("Lagrange", 1))
        self.result = fem.Function(space, name="hydrostatic stress [MPa]")
        trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
        mass = fem.form(trial * test * domain.dx(*integrands))
        right: Any = 0
        for phase, value in integrands.items():
            right = right + value * test * domain.dx(phase, **metadata)
        self._right = fem.form(right)
        self._bcs = away_from(domain, space, tuple(integrands))
        matrix = compat.create_matrix_with(mass, _diagonal(self._bcs), domain.comm)
        compat.assemble_matrix(matrix, mass, self._bcs)
        self._solver = LinearSolver(matrix, JACOBI, what="stress projection", rtol=1e-11, atol=1e-300)
        self._b = compat.create_vector(self._right, space)
        self._x = self._b.duplicate()

    def update(self) -> fem.Function:
        """Project the fields as they are now."""
        compat.assemble_vector(self._b, self._right)
        compat.add_ghosts(self._b)
        fem_petsc.set_bc(self._b, self._bcs)
        self._solver.solve(self._b, self._x)
        with self._x.localForm() as local:
            self.result.x.array[:] = local.array
        return self.result


def away_from(domain: Domain, space: fem.FunctionSpace, phases: tuple[str, ...]) -> list[Any]:
    """Conditions that hold at zero the unknowns of ``space`` that touch no cell of the phases."""
    touched = fem.Function(space)
    touched.x.array[np.unique(np.asarray(space.dofmap.list)[domain.cells(*phases)])] = 1.0
    compat.add_ghosts(touched.x.petsc_vec)
    compat.update_ghosts(touched.x.petsc_vec)
    dead = np.flatnonzero(touched.x.array == 0.0).astype(np.int32)
    return [fem.dirichletbc(np.float64(0.0), dead, space)]


def _diagonal(bcs: list[Any]) -> list[npt.NDArray[np.int32]]:
    """Room in the matrix for the rows that no cell of the phases touches."""
    return [np.asarray(bc.dof_indices()[0], np.int32).reshape(-1, 1) for bc in bcs]


def partial_molar_volume(material: Material, x: Any) -> Any:
    """Ω(x) = d(ΔV/V)/dx / c_max in m³/mol, from the same law as the strain.

    Args:
        material: With swelling and a maximum concentration.
        x: UFL expression.

    Raises:
        StudyError: One of them is missing.
    """
    purpose = "the coupling of stress and diffusion"
    volume = material.require("swelling.volume_strain", purpose=purpose)
    c_max = float(material.require("transport.maximum_concentration", purpose=purpose))
    at = ufl.variable(x)
    value = parameter_on(volume, at)
    return 0.0 if isinstance(value, float) else ufl.diff(value, at) / c_max


def voltage_shift(molar_volume: float, stress: npt.ArrayLike) -> Floats:
    """Ω·σ_h/F in V: what stress adds to the open-circuit voltage.

    Args:
        molar_volume: m³/mol.
        stress: Hydrostatic stress, MPa.

    Example:
        >>> round(float(voltage_shift(1.27e-6, 1000.0)) * 1e3, 1)  # mV per GPa
        13.2
    """
    return np.asarray(molar_volume * 1e6 * np.asarray(stress, float) / FARADAY)


def free_sphere_slope(material: Material) -> float:
    """S = −dσ_h/dx of a free sphere (MPa), the part of the feedback that is taken implicitly."""
    low, high = swelling_window(material)
    volume = material.require("swelling.volume_strain", purpose="chemo-mechanics")
    mean = float(np.diff(volume([low, high]))[0]) / (high - low)
    middle = (low + high) / 2
    young = float(material.require("elastic.youngs_modulus", purpose="chemo-mechanics")(middle))
    poisson = float(material.require("elastic.poisson_ratio", purpose="chemo-mechanics")(middle))
    return 2 * young * mean / (9 * (1 - poisson))


class ChemoMechanics:
    """Diffusion and stress on one mesh, staggered; a `simulations.base.stepping.TimeProblem`.

    In each pass the diffusion takes the stress response of a free sphere implicitly and the rest from the
    last mechanics: that is stable for any coupling strength and accurate in one pass (see
    docs/explanation/mechanics.md); further passes make both agree.

    Args:
        domain: All that carries load, not cut.
        materials: Material of each meshed phase.
        loads: `Flux` and mechanical supports together.
        active: The phases that take lithium; those whose material has swelling and diffusivity by default.
        initial: x at the start, in all of them.
        laws: Law of each phase that is not to be elastic.
        options: Coupling, tolerances.

    Attributes:
        x: State of lithiation; zero away from the active phases.
        solid: The mechanics.
        time: s.

    Raises:
        UsageError: No active phase, unknown faces.
        StudyError: A material lacks what is needed.
    """

    def __init__(
        self,
        domain: Domain,
        materials: Mapping[str, Material],
        loads: Iterable[Support | Flux],
        *,
        initial: float,
        active: Iterable[str] | None = None,
        laws: Mapping[str, SolidLaw] | None = None,
        options: CouplingOptions | None = None,
    ) -> None:
        self.domain, self.options, self.time = domain, options or CouplingOptions(), 0.0
        self.active = _active_phases(domain, materials, active)
        loads = list(loads)
        space = fem.functionspace(domain.mesh, ("Lagrange", 1))
        self.x = fem.Function(space, name="state of lithiation [1]")
        self._bcs = away_from(domain, space, self.active)
        live = np.ones(len(self.x.x.array), dtype=bool)
        live[self._bcs[0].dof_indices()[0]] = False
        self._live = live
        self.x.x.array[live] = initial
        self.bdf = Bdf(self.x)
        supports = [load for load in loads if not isinstance(load, Flux)]
        self.solid = Solid(
            domain,
            materials,
            supports,
            x=self.x,
            laws=laws,
            degree=self.options.degree,
            options=self.options.solid,
        )
        self._slopes = {p: free_sphere_slope(materials[p]) for p in self.active}
        self.stress = StressProjection(
            domain,
            {
                p: stress_laws.hydrostatic(self.solid.responses[p].cauchy) + s * self.x
                for p, s in self._slopes.items()
            },
            quadrature_degree=2 * self.options.degree,
        )
        self.hydrostatic = StressProjection(
            domain, {p: stress_laws.hydrostatic(self.solid.responses[p].cauchy) for p in self.active},
            quadrature_degree=2 * self.options.degree,
        )  # fmt: skip
        self.fluxes = {
            load.face: fem.Constant(domain.mesh, load.inward) for load in loads if isinstance(load, Flux)
        }
        self._compile(materials)
        self._kept = self.solid.state()
        self._step = 0.0
        self.passes = 0
        self.iterations = 0
        self.solid.solve(time=0.0)
        self.solid.accept()
        self.stress.update()
        self._kept, self._stress_kept = self.solid.state(), self.stress.result.x.array.copy()

    def _compile(self, materials: Mapping[str, Material]) -> None:
        domain, test = self.domain, ufl.TestFunction(self.x.function_space)
        a0, a1, a2 = self.bdf.coefficients
        rate = a0 * self.x + a1 * self.bdf.old + a2 * self.bdf.older
        residual: Any = 0
        amount: Any = 0
        thermal = GAS_CONSTANT * self.options.temperature * MICRO
        for phase in self.active:
            material = materials[phase]
            c_max = float(material.require("transport.maximum_concentration", purpose="diffusion"))
            diffusivity = parameter_on(material.require("transport.diffusivity", purpose="diffusion"), self.x)
            gradient = ufl.grad(self.x)
            if self.options.stress_drives:
                crowding = self.x * (1 - self.x) if self.options.mixing == "solution" else self.x
                pull = partial_molar_volume(material, self.x) * crowding / thermal
                slope = self._slopes[phase]
                gradient = (1 + pull * slope) * gradient - pull * ufl.grad(self.stress.result)
            terms = rate * test + diffusivity * ufl.inner(gradient, ufl.grad(test))
            residual = residual + c_max * terms * domain.dx(phase)
            amount = amount + c_max * self.x * domain.dx(phase)
        for face, inward in self.fluxes.items():
            residual = residual - inward * test * domain.ds(face) - inward * ufl.avg(test) * domain.dS(face)
        self._amount = fem.form(amount)
        self._residual, self._jacobian = fem.form(residual), fem.form(ufl.derivative(residual, self.x))
        self._matrix = compat.create_matrix_with(self._jacobian, _diagonal(self._bcs), domain.comm)
        self._b = compat.create_vector(self._residual, self.x.function_space)
        self._update = self._b.duplicate()
        self._solver = LinearSolver(self._matrix, GMRES_ILU, what="concentration", rtol=1e-12, atol=1e-300)
        self._capacity = sum(
            domain.volume(p) * float(materials[p].require("transport.maximum_concentration"))
            for p in self.active
        )

    def amount(self) -> float:
        """Lithium in the active phases, amol."""
        return float(self.domain.comm.allreduce(fem.assemble_scalar(self._amount)))

    def mean(self) -> float:
        """Mean state of lithiation of the active phases, weighted with c_max."""
        return self.amount() / self._capacity

    def attempt(self, step: float) -> None:
        """Solve for the state at ``time + step``; passes until lithium and stress agree."""
        self._step = step
        self.bdf.begin(step)
        self.x.x.array[~self._live] = 0.0
        for number in range(self.options.passes):
            before = self.x.x.array.copy()
            self._diffuse(step)
            self.solid.solve(time=self.time + step)
            self.stress.update()
            self.passes += 1
            change = float(np.abs(self.x.x.array - before).max(initial=0.0))
            change = max(self.domain.comm.allgather(change))
            log.debug("t = %.6g s, pass %d: x changes by %.2e", self.time + step, number, change)
            if number > 0 and change <= self.options.agreement:
                return
        if self.options.passes > 1 and self.options.stress_drives:
            raise NotConvergedError(
                f"lithium and stress disagree by {change:.2e} after {self.options.passes} passes;",
                reason="staggered passes",
                iterations=self.options.passes,
                residual=change,
                time=self.time + step,
                hint="take a smaller step, or allow more passes.",
            )

    def _diffuse(self, step: float) -> None:
        scale = self._capacity / step
        size = math.nan
        for iteration in range(self.options.newton_iterations + 1):
            compat.assemble_vector(self._b, self._residual)
            compat.add_ghosts(self._b)
            self._b.array[~self._live[: len(self._b.array)]] = 0.0
            size = float(self._b.norm(1))
            if not math.isfinite(size) or iteration == self.options.newton_iterations:
                break
            if size <= self.options.newton_tolerance * scale:
                return
            compat.assemble_matrix(self._matrix, self._jacobian, self._bcs)
            self._solver.solve(self._b, self._update)
            self.iterations += 1
            with self._update.localForm() as local:
                self.x.x.array[:] -= local.array
        raise NotConvergedError(
            f"diffusion under stress: Newton's method stopped at a residual of {size / scale:.1e};",
            reason="newton",
            iterations=self.options.newton_iterations,
            residual=size / scale,
            time=self.time + step,
            hint="take a smaller step.",
        )

    def error(self) -> float:
        """A sixth of what the solution adds to the linear prediction, over the tolerance."""
        space = self.x.function_space
        owned = space.dofmap.index_map.size_local
        live = self._live[:owned]
        sums = self.domain.comm.allreduce(
            np.array([np.sum(self.bdf.change()[:owned][live] ** 2), np.sum(live)], dtype=float)
        )
        return math.sqrt(sums[0] / max(sums[1], 1.0)) / 6 / self.options.tolerance

    def commit(self) -> None:
        """Keep the step."""
        self.bdf.commit()
        self.solid.accept()
        self._kept, self._stress_kept = self.solid.state(), self.stress.result.x.array.copy()
        self.time += self._step

    def restore(self) -> None:
        """Forget the step: lithium, displacement, plates and history are as before."""
        self.bdf.restore()
        self.solid.restore(self._kept)
        self.stress.result.x.array[:] = self._stress_kept

    def interrupt(self) -> None:
        """Loads jump here: the next step is backward Euler."""
        self.bdf.interrupt()

    def row(self) -> dict[str, float]:
        """The numbers of this state for ``scalars.csv``: name with unit → value."""
        row = {"time [s]": self.time, "lithium [amol]": self.amount(), "mean x [1]": self.mean()}
        stress = self.hydrostatic.update().x.array[self._live]
        gathered = self.domain.comm.allgather((stress.min(initial=math.inf), stress.max(initial=-math.inf)))
        row["min hydrostatic stress [MPa]"] = float(min(low for low, _ in gathered))
        row["max hydrostatic stress [MPa]"] = float(max(high for _, high in gathered))
        x = self.domain.comm.allgather(
            (self.x.x.array[self._live].min(initial=1), self.x.x.array.max(initial=0))
        )
        row["min x [1]"], row["max x [1]"] = float(min(a for a, _ in x)), float(max(b for _, b in x))
        return row


def _active_phases(
    domain: Domain, materials: Mapping[str, Material], given: Iterable[str] | None
) -> tuple[str, ...]:
    if given is not None:
        chosen = tuple(domain.phases[p].name for p in given)
    else:
        chosen = tuple(
            p
            for p in domain.meshed
            if p in materials
            and materials[p].get("swelling.volume_strain") is not None
            and materials[p].get("transport.diffusivity") is not None
        )
    if not chosen:
        raise UsageError(
            "no phase takes lithium;", hint="name the active phases, or give one swelling and diffusivity."
        )
    for phase in chosen:
        if phase not in materials:
            raise StudyError(f"active phase {phase!r} has no material.")
    return chosen
