"""A half-cell on the microstructure: lithium in the active material, electrons and ions, charge transfer.

In the active material ∂x/∂t = ∇·(D(x) ∇x) and ∇·(σ_s ∇φ_s) = 0, in binder the latter alone, in the electrolyte
∇·(κ ∇φ_e) = 0 (single-ion conductor). On active | electrolyte a current density i(x, φ_s − φ_e) passes; φ_e = 0 at the
separator, φ_s = V at the collector, and V is such that the current is as asked for. Both unknowns live in one space
on the cut mesh, [x, φ]. See docs/explanation/solvers.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from petsc4py import PETSc

from pxm2mesh.errors import GeometryError, NotConvergedError
from pxm2mesh.materials import Parameter
from pxm2mesh.tetmesh import TetMesh
from simulations.base import compat, cutting
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.base.interfaces import Interface
from simulations.base.laws import parameter_on
from simulations.base.solvers import MUMPS, LinearSolver, Options
from simulations.base.stepping import Bdf
from simulations.models.kinetics import FARADAY, ButlerVolmer

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

GMRES: Options = {
    "ksp_type": "gmres", "ksp_gmres_restart": 60, "pc_type": "hypre", "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_strong_threshold": 0.5, "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i", "pc_hypre_boomeramg_P_max": 4,
}  # fmt: skip
_DIRECT_LIMIT = 60_000
_LARGEST_JUMP = 0.25
"""V, or share of lithium, that one Newton update may change."""
_BEYOND = 1e-3
"""So far may x at the surface leave 0 … 1 (discretisation), and no further."""
_ROUNDING = 1e-12
"""Updates below this are rounding: the residual will not fall further."""


@dataclass(frozen=True)
class Cell:
    """What the half-cell is made of, in internal units.

    Attributes:
        active: Phase of the active material.
        electrolyte: Phase of the electrolyte.
        kinetics: Charge transfer between the two.
        diffusivity: Of lithium in the active material, µm²/s; a number or a parameter that depends on x.
        maximum_concentration: c_max, mol/m³.
        electronic: σ_s of the active material, pS/µm.
        ionic: κ of the electrolyte, pS/µm.
        binder: Phase that carries electrons only, if any.
        binder_conductivity: pS/µm.
        collector: Facet held at V.
        separator: Facet held at φ_e = 0.
        window: Interval of x between which 1C charges in an hour.
    """

    active: str
    electrolyte: str
    kinetics: ButlerVolmer
    diffusivity: float | Parameter
    maximum_concentration: float
    electronic: float
    ionic: float
    binder: str | None = None
    binder_conductivity: float = 0.0
    collector: str = "z+"
    separator: str = "z-"
    window: tuple[float, float] = (0.27, 0.91)

    @property
    def electrons(self) -> tuple[str, ...]:
        """Phases with electrons."""
        return (self.active,) if self.binder is None else (self.active, self.binder)

    def cuts(self, domain: Domain) -> tuple[str, ...]:
        """Interfaces of electrons and electrolyte, where the potential jumps."""
        names = (canonical_name(domain.phases, f"{p} | {self.electrolyte}") for p in self.electrons)
        return tuple(name for name in names if name in domain.facet_names)


@dataclass(frozen=True)
class HalfCellOptions:
    """How the equations are solved.

    Attributes:
        tolerance: Largest error of x that a step may add (root mean square over the nodes).
        newton_tolerance: Largest residual as a share of the current through the interface.
        newton_iterations: Before a step is given up.
        linear: PETSc options; MUMPS below 60,000 unknowns, else GMRES with BoomerAMG, if None.
    """

    tolerance: float = 1e-3
    newton_tolerance: float = 1e-10
    newton_iterations: int = 25
    linear: Options | None = field(default=None)


def working_part(domain: Domain, cell: Cell) -> tuple[Domain, dict[str, float]]:
    """The domain without what cannot work, cut where the potential jumps.

    Active material without an electronic path to the collector, and electrolyte without an ionic path to the
    separator, are left out.

    Args:
        domain: The sample.
        cell: Names of phases and faces.

    Returns:
        The part, and the share of each phase that works.

    Raises:
        GeometryError: No path at all.
    """

    def find() -> tuple[npt.NDArray[np.bool_], dict[str, float]]:
        assert domain.source is not None
        return _connected(domain.source, cell)

    keep, shares = on_root(domain.comm, find)
    return domain.restricted(keep=keep, cut=cell.cuts(domain)), shares


def _connected(mesh: TetMesh, cell: Cell) -> tuple[npt.NDArray[np.bool_], dict[str, float]]:
    near = cutting.adjacency(mesh.cells, len(mesh.points))
    owner, _ = cutting.cells_of_facets(mesh.cells, mesh.facets, near, len(mesh.points))
    keep = np.zeros(len(mesh.cells), dtype=bool)
    volumes, label = mesh.cell_volumes(), mesh.cell_phase()
    for phases, end, what in (
        (cell.electrons, cell.collector, "electrons"),
        ((cell.electrolyte,), cell.separator, "ions"),
    ):
        conducts = np.isin(label, [mesh.phases[p].label for p in phases])
        count, component = cutting.components(len(mesh.cells), near, conducts)
        reached = cutting.reaches(mesh, owner, component, [end])[end]
        if not reached.any():
            names = " and ".join(phases)
            raise GeometryError(f"{names} does not reach {end!r}: there is no path for {what} ({count} pieces);",
                                hint="name another face, or use a larger piece of the sample.")  # fmt: skip
        keep |= conducts & reached[component]
    shares = {}
    for phase in (*cell.electrons, cell.electrolyte):
        of = label == mesh.phases[phase].label
        shares[phase] = float(volumes[of & keep].sum() / max(volumes[of].sum(), 1e-300))
    return keep, shares


class HalfCell:
    """The coupled half-cell; a `simulations.base.stepping.TimeProblem`.

    Args:
        domain: From `working_part`.
        cell: What it is made of.
        initial: x at the start.
        options: How it is solved.

    Attributes:
        state: [x, φ] on the cut mesh; φ of the electrons is relative to `reference`.
        voltage: V at the collector.
        current: pA into the collector (positive charges: lithium leaves).
        charge: pC that have passed.
        time: s.
    """

    def __init__(
        self, domain: Domain, cell: Cell, initial: float, *, options: HalfCellOptions | None = None
    ) -> None:
        self.domain, self.cell, self.options = domain, cell, options or HalfCellOptions()
        self.time, self.charge, self.current, self._set = 0.0, 0.0, 0.0, ("current", 0.0)
        self.space = fem.functionspace(domain.mesh, ("Lagrange", 1, (2,)))
        self.state = fem.Function(self.space, name="state")
        first = np.array([initial])
        self.reference = float(cell.kinetics.open_circuit(first)[0])
        self.voltage = self.reference
        self._mark_active(initial)
        self.bdf = Bdf(self.state)
        self._charge_older, self._voltages = 0.0, (self.voltage, self.voltage)
        pair = canonical_name(domain.phases, f"{cell.active} | {cell.electrolyte}")
        self.interface = Interface(domain, self.space, [pair])
        self._side = 0 if domain.phases[cell.active].label < domain.phases[cell.electrolyte].label else 1
        self.activity: Any = 1.0
        self.area = self.interface.integral(np.ones_like(self.interface.weights))
        self.volume = domain.volume(cell.active)
        self._build()
        self._attempted, self.iterations, self.linear_iterations = 0.0, 0, 0

    def _mark_active(self, initial: float) -> None:
        """Which blocks carry x: those of active cells, on whichever rank the cells are."""
        mark = fem.Function(fem.functionspace(self.domain.mesh, ("Lagrange", 1)))
        blocks = np.asarray(mark.function_space.dofmap.list)
        mark.x.array[np.unique(blocks[self.domain.cells(self.cell.active)])] = 1.0
        compat.add_ghosts(mark.x.petsc_vec)
        mark.x.scatter_forward()
        self.active_blocks = np.flatnonzero(mark.x.array > 0.5)
        self._idle_blocks = np.flatnonzero(mark.x.array < 0.5).astype(np.int32)
        self.state.x.array.reshape(-1, 2)[self.active_blocks, 0] = initial

    def _facets(self, name: str, phases: Sequence[str]) -> npt.NDArray[np.int32]:
        """Facets on a face that belong to cells of these phases."""
        facets = self.domain.facets(name)
        cells = self.domain.mesh.topology.connectivity(2, 3)
        first = cells.array[cells.offsets[facets]]
        labels = [self.domain.phases[p].label for p in phases]
        return np.asarray(facets[np.isin(self.domain.cell_tags.values[first], labels)])

    def _build(self) -> None:
        cell, domain = self.cell, self.domain
        test = ufl.TestFunction(self.space)
        x, phi = self.state[0], self.state[1]
        a0, a1, a2 = self.bdf.coefficients
        capacity = FARADAY * cell.maximum_concentration  # pC/µm³ per unit of x
        rate = a0 * x + a1 * self.bdf.old[0] + a2 * self.bdf.older[0]
        d = (
            cell.diffusivity
            if isinstance(cell.diffusivity, float | int)
            else parameter_on(cell.diffusivity, x)
        )
        grad = ufl.grad
        dx = domain.dx(cell.active, quadrature_degree=2)  # the same for residual and derivative
        form = capacity * (rate * test[0] + d * ufl.inner(grad(x), grad(test[0]))) * dx
        conductors = [(cell.active, cell.electronic), (cell.electrolyte, cell.ionic)]
        if cell.binder is not None and cell.binder in domain.meshed:
            conductors.append((cell.binder, cell.binder_conductivity))
        for phase, sigma in conductors:
            constant = fem.Constant(domain.mesh, float(sigma))
            form += constant * ufl.inner(grad(phi), grad(test[1])) * domain.dx(phase)
        jacobian = ufl.derivative(form, self.state)
        self._lift = fem.Function(self.space)
        self._residual, self._jacobian = fem.form(form), fem.form(jacobian)
        self._action = fem.form(ufl.action(jacobian, self._lift))
        potential = self.space.sub(1)
        zero = fem.Constant(domain.mesh, 0.0)
        faces = {cell.collector: cell.electrons, cell.separator: (cell.electrolyte,)}
        ends = {
            name: fem.locate_dofs_topological(potential, 2, self._facets(name, phases))
            for name, phases in faces.items()
        }
        self._collector = ends[cell.collector]
        idle = self._idle_blocks * 2  # component 0 of a blocked space
        self._bcs = [fem.dirichletbc(zero, dofs, potential) for dofs in ends.values()]
        self._bcs.append(fem.dirichletbc(zero, idle, self.space.sub(0)))
        every = np.arange(0, len(self.state.x.array), 2, dtype=np.int32)
        self._loose = (self._bcs, np.unique(np.concatenate([*ends.values(), idle])))
        frozen = [*self._bcs, fem.dirichletbc(zero, every, self.space.sub(0))]
        self._frozen = (frozen, np.unique(np.concatenate([*ends.values(), every])))
        self._held = self._loose[1]
        self._owned = self.space.dofmap.index_map.size_local * 2
        self._matrix = self.interface.create_matrix(self._jacobian)
        self.interface.constrain(self._bcs)
        self._vector = compat.create_vector(self._residual, self.space)
        self._update, self._lifted = self._vector.duplicate(), self._vector.duplicate()
        self._right = self._vector.duplicate()
        unknowns = self.space.dofmap.index_map.size_global * 2
        linear = self.options.linear or (MUMPS if unknowns < _DIRECT_LIMIT else GMRES)
        self._solver = LinearSolver(
            self._matrix, linear, what="lithium and potentials", rtol=1e-10, atol=1e-300
        )
        self._mean = fem.form(x * domain.dx(cell.active))

    # ------------------------------------------------------------------ control

    @property
    def one_c(self) -> float:
        """PA that charge the window of x in an hour."""
        low, high = self.cell.window
        return FARADAY * self.cell.maximum_concentration * (high - low) * self.volume / 3600

    def hold_current(self, current: float) -> None:
        """Ask for this current from now on, in pA; positive charges."""
        self._set = ("current", float(current))

    def hold_voltage(self, voltage: float) -> None:
        """From now on hold the collector at this voltage, V."""
        self._set = ("voltage", float(voltage))

    def mean(self) -> float:
        """Mean x of the active material."""
        return float(self.domain.comm.allreduce(fem.assemble_scalar(self._mean))) / self.volume

    def lithium(self) -> float:
        """Charge that the lithium in the active material stands for, pC."""
        return FARADAY * self.cell.maximum_concentration * self.volume * self.mean()

    def surface(self) -> tuple[float, float]:
        """Smallest and largest x at the interface."""
        values = self.interface.values(self.state)[self._side][..., 0]
        comm = self.domain.comm
        low = min(comm.allgather(float(values.min(initial=math.inf))))
        return low, max(comm.allgather(float(values.max(initial=-math.inf))))

    def boundary_currents(self) -> dict[str, float]:
        """Current in at the collector, out at the separator (both from the balance), and at the interface."""
        self._assemble_residual()
        array, owned = self._vector.array, self._owned
        comm, result = self.domain.comm, {}
        potential = self.space.sub(1)
        for name, phases, sign in ((self.cell.collector, self.cell.electrons, 1.0),
                                   (self.cell.separator, (self.cell.electrolyte,), -1.0)):  # fmt: skip
            dofs = fem.locate_dofs_topological(potential, 2, self._facets(name, phases))
            result[name] = sign * float(comm.allreduce(float(array[dofs[dofs < owned]].sum())))
        result["interface"] = self._flow()[0]
        return result

    # ------------------------------------------------------------------ one step

    def settle(self) -> None:
        """Find the potentials for the control that is set, with x as it is."""
        self.bdf.interrupt()
        self._constrain(self._frozen)
        try:
            self.attempt(1.0)
        finally:
            self._constrain(self._loose)
        self.bdf.old.x.array[:] = self.state.x.array
        self._voltages = (self.voltage, self.voltage)

    def _constrain(self, constraints: tuple[list[Any], npt.NDArray[np.int32]]) -> None:
        self._bcs, self._held = constraints
        self.interface.constrain(self._bcs)

    def attempt(self, step: float) -> None:
        """Newton's method for the state at ``time + step``; `NotConvergedError` if it stops short."""
        last = self.bdf.last_step
        self._attempted = step
        self.bdf.begin(step)
        kind, target = self._set
        old, older = self._voltages
        guess = old if last is None else old + (old - older) * step / last
        self.voltage = target if kind == "voltage" else guess
        self._set_voltage()
        size = scale = math.nan
        jump = math.inf
        for iteration in range(self.options.newton_iterations):
            current, magnitude, slopes = self._flow()
            self._assemble_residual()
            self._vector.array[self._held[self._held < self._owned]] = 0.0
            missing = current - target if kind == "current" else 0.0
            scale = max(magnitude, abs(target) if kind == "current" else 0.0, 1e-2 * self.one_c)
            size = float(self._vector.norm(PETSc.NormType.NORM_2)) + abs(missing)
            log.info("t = %.6g s, Newton %d: residual %.2e", self.time + step, iteration, size / scale)
            if not math.isfinite(size):
                break
            rounding = jump < _ROUNDING and size <= 1e3 * self.options.newton_tolerance * scale
            if iteration > 0 and (size <= self.options.newton_tolerance * scale or rounding):
                self.current = current
                self._check_lithium()
                return
            jump = self._newton(slopes, missing if kind == "current" else None)
        raise NotConvergedError(
            f"half-cell: Newton's method stopped at a residual of {size / scale:.1e} of the current;",
            reason="newton", iterations=self.options.newton_iterations, residual=size, time=self.time,
            hint="the current asked for may be more than the cell can carry; try a lower rate.",
        )  # fmt: skip

    def _check_lithium(self) -> None:
        low, high = self.surface()
        if low < -_BEYOND or high > 1 + _BEYOND:
            raise NotConvergedError(
                f"half-cell: x at the surface would be {low if low < 0 else high:.3f}: lithium is exhausted there;",
                reason="exhausted", time=self.time, hint="diffusion cannot carry this current; lower the rate.",
            )  # fmt: skip

    def _set_voltage(self) -> None:
        self.state.x.array[self._collector] = self.voltage - self.reference

    def _flow(self) -> tuple[float, float, tuple[Floats, Floats]]:
        """Current through the interface, ∫|i|, and the derivatives; remembers i."""
        sides = self.interface.values(self.state)
        am, se = sides[self._side], sides[1 - self._side]
        drop = am[..., 1] + self.reference - se[..., 1]
        self.density, by_x, by_drop = self.cell.kinetics.current(am[..., 0], drop, self.activity)
        self.overpotential = drop - self.cell.kinetics.open_circuit(am[..., 0])
        total = self.interface.integral(self.density)
        return total, self.interface.integral(np.abs(self.density)), (by_x, by_drop)

    def _assemble_residual(self) -> None:
        compat.assemble_vector(self._vector, self._residual)
        zero = np.zeros_like(self.density)
        am, se = np.stack([self.density, self.density], -1), np.stack([zero, -self.density], -1)
        plus, minus = (am, se) if self._side == 0 else (se, am)
        self.interface.add_to_vector(self._vector, plus, minus)
        compat.add_ghosts(self._vector)

    def _derivatives(self, slopes: tuple[Floats, Floats]) -> Floats:
        """(n, q, 2, 2, 2, 2): rows side and component, columns side and component."""
        by_x, by_drop = slopes
        am, se = self._side, 1 - self._side
        result = np.zeros((*by_x.shape, 2, 2, 2, 2))
        for side, component, sign in ((am, 0, 1.0), (am, 1, 1.0), (se, 1, -1.0)):
            result[..., side, component, am, 0] = sign * by_x
            result[..., side, component, am, 1] = sign * by_drop
            result[..., side, component, se, 1] = -sign * by_drop
        return result

    def _change_of_current(self, slopes: tuple[Floats, Floats], direction: fem.Function) -> float:
        sides = self.interface.values(direction)
        am, se = sides[self._side], sides[1 - self._side]
        return self.interface.integral(slopes[0] * am[..., 0] + slopes[1] * (am[..., 1] - se[..., 1]))

    def _newton(self, slopes: tuple[Floats, Floats], missing: float | None) -> float:
        """One update, and how large it was; with a current asked for, the voltage is an unknown too."""
        derivatives = self._derivatives(slopes)
        self._matrix.zeroEntries()
        self.interface.add_to_matrix(self._matrix, derivatives)
        compat.assemble_matrix(self._matrix, self._jacobian, self._bcs, add=True)
        self.linear_iterations += self._solver.solve(self._vector, self._update).iterations
        self.iterations += 1
        change = self._array(self._update) * -1.0
        raise_by = 0.0
        if missing is not None:
            response = self._response(derivatives)
            self._lift.x.array[:] = change
            before = self._change_of_current(slopes, self._lift)
            self._lift.x.array[:] = response
            raise_by = -(missing + before) / self._change_of_current(slopes, self._lift)
            change = change + raise_by * response
        jump = float(np.max(np.abs(change.reshape(-1, 2)), initial=0.0))
        jump = max(self.domain.comm.allgather(jump if math.isfinite(jump) else math.inf))
        damp = min(1.0, _LARGEST_JUMP / jump) if jump > 0 else 1.0
        self.state.x.array[:] += damp * change
        self.voltage += damp * raise_by
        self._set_voltage()
        return float(jump)

    def _response(self, derivatives: Floats) -> Floats:
        """How the state answers to one volt more at the collector."""
        self._lift.x.array[:] = 0.0
        self._lift.x.array[self._collector] = 1.0
        compat.assemble_vector(self._right, self._action)
        sides = np.stack(self.interface.values(self._lift), axis=2)  # (n, q, side, component)
        reaction = np.einsum("fqsatb,fqtb->fqsa", derivatives, sides)
        self.interface.add_to_vector(self._right, reaction[:, :, 0], reaction[:, :, 1])
        compat.add_ghosts(self._right)
        self._right.scale(-1.0)
        self._right.array[self._held[self._held < self._owned]] = 0.0
        self.linear_iterations += self._solver.solve(self._right, self._lifted).iterations
        return np.asarray(self._array(self._lifted) + self._lift.x.array)

    @staticmethod
    def _array(vector: PETSc.Vec) -> Floats:
        with vector.localForm() as local:
            array: Floats = np.array(local.array)
        return array

    # ------------------------------------------------------------------ TimeProblem

    def error(self) -> float:
        """A sixth of what the solution adds to the linear prediction of x, over the tolerance."""
        owned = self.active_blocks[self.active_blocks < self._owned // 2]
        change = self.bdf.change().reshape(-1, 2)[owned, 0]
        comm = self.domain.comm
        total, count = comm.allreduce(float(np.sum(change**2))), comm.allreduce(len(owned))
        return float(math.sqrt(total / max(count, 1)) / 6 / self.options.tolerance)

    def commit(self) -> None:
        """Keep the step, and count the charge in the way the lithium was counted."""
        a0, a1, a2 = self.bdf.weights(self._attempted)
        charge = (self.current - a1 * self.charge - a2 * self._charge_older) / a0
        self._charge_older, self.charge = self.charge, charge
        self.bdf.commit()
        self._voltages = (self.voltage, self._voltages[0])
        self.time += self._attempted

    def restore(self) -> None:
        """Forget the step."""
        self.bdf.restore()
        self.voltage = self._voltages[0]

    def interrupt(self) -> None:
        """The next step is backward Euler."""
        self.bdf.interrupt()

    def numbers(self) -> dict[str, Any]:
        """With `bdf.old` and `bdf.older` all that decides what follows, for a checkpoint."""
        return {"time": self.time, "charge": self.charge, "charge_older": self._charge_older, "current": self.current,
                "voltages": list(self._voltages), "last_step": self.bdf.last_step}  # fmt: skip

    def resume(self, numbers: Mapping[str, Any]) -> None:
        """Go on from `numbers`; `bdf.old` and `bdf.older` have been filled."""
        self.time, self.charge, self._charge_older = (
            numbers["time"],
            numbers["charge"],
            numbers["charge_older"],
        )
        self.current, self._voltages = numbers["current"], (numbers["voltages"][0], numbers["voltages"][1])
        self.voltage, self.bdf.last_step = self._voltages[0], numbers["last_step"]
        self.bdf.restore()
