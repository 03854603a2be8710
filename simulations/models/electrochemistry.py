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
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from petsc4py import PETSc

from pxm2mesh.errors import NotConvergedError
from simulations.base import compat
from simulations.base.diagnosis import Diagnosis, worst_place
from simulations.base.domain import Domain, canonical_name
from simulations.base.interfaces import Interface
from simulations.base.laws import parameter_on
from simulations.base.solvers import MUMPS, LinearSolver, Options
from simulations.base.stepping import Bdf
from simulations.models.cell import Cell as Cell
from simulations.models.cell import HalfCellOptions as HalfCellOptions
from simulations.models.cell import working_part as working_part
from simulations.models.kinetics import FARADAY
from simulations.models.stress_terms import StressTerms

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

_AMG = {
    "ksp_type": "preonly", "pc_type": "hypre", "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_strong_threshold": 0.5, "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i", "pc_hypre_boomeramg_P_max": 4,
}  # fmt: skip
SPLIT: Options = {
    "ksp_type": "fgmres", "ksp_gmres_restart": 60, "pc_type": "fieldsplit", "pc_fieldsplit_block_size": 2,
    "pc_fieldsplit_0_fields": "0", "pc_fieldsplit_1_fields": "1", "pc_fieldsplit_type": "multiplicative",
    **{f"fieldsplit_{field}_{key}": value for field in (0, 1) for key, value in _AMG.items()},
}  # fmt: skip
"""GMRES, with a multigrid cycle for lithium and then one for the potentials as preconditioner."""
_DIRECT_LIMIT = 10_000
"""Unknowns; beyond them the iterative solver is faster (tests/benchmarks/bench_charge.py --switch)."""
_LOOSE, _RESPONSE = 1e-4, 1e-6
"""Relative residuals of an iterative solve for a Newton update, and for the response to the voltage."""
_HOPELESS = 200
"""Iterations of one linear solve (a dozen is usual) beyond which a shorter step is cheaper."""
_LARGEST_JUMP = 0.25
"""V, or share of lithium, that one Newton update may change."""
_FULL, _STALLED = 5, 0.5
"""After so many updates, one that leaves more than this share of the residual has its length searched."""
_BEYOND = 1e-3
"""So far may x at the surface leave 0 … 1 (discretisation), and no further."""
_EMPTY = 0.02
"""So close to 0 or 1, x at the surface is what a failure is put down to."""
_WAYS = ("a line search", "a direct solver")
_ROUNDING = 1e-12
"""Updates below this are rounding: the residual will not fall further."""


class HalfCell:
    """The coupled half-cell; a `simulations.base.stepping.TimeProblem`.

    Args:
        domain: From `working_part`.
        cell: What it is made of.
        initial: x at the start.
        options: How it is solved.
        stress: How stress acts on lithium; None for no mechanics.

    Attributes:
        contact_factor: (facets, 1) or (facets, points) share of each facet of `interface` that passes current:
            1 − damage; change it with `set_contact`.
        conduction_factor: Constant in each cell: multiplies σ_s, κ and the binder's conductivity; 1 at first.
        state: [x, φ] on the cut mesh; φ of the electrons is relative to `reference`.
        voltage: V at the collector.
        current: pA into the collector (positive charges: lithium leaves).
        charge: pC that have passed.
        time: s.
    """

    def __init__(
        self,
        domain: Domain,
        cell: Cell,
        initial: float,
        *,
        options: HalfCellOptions | None = None,
        stress: StressTerms | None = None,
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
        self.stress = stress
        self.contact_factor = np.ones((len(self.interface.weights), 1))
        self.conduction_factor = fem.Function(domain.cellwise, name="conduction factor")
        self.conduction_factor.x.array[:] = 1.0
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
        driving = grad(x) if self.stress is None else self.stress.gradient(x)
        form = capacity * (rate * test[0] + d * ufl.inner(driving, grad(test[0]))) * dx
        conductors = [(cell.active, cell.electronic), (cell.electrolyte, cell.ionic)]
        if cell.binder is not None and cell.binder in domain.meshed:
            conductors.append((cell.binder, cell.binder_conductivity))
        for phase, sigma in conductors:
            constant = fem.Constant(domain.mesh, float(sigma))
            form += self.conduction_factor * constant * ufl.inner(grad(phi), grad(test[1])) * domain.dx(phase)
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
        self._linear = self.options.linear or (MUMPS if unknowns < _DIRECT_LIMIT else SPLIT)
        self._careful, self._way = False, self._linear
        self._solver = self._make_solver(self._way)
        self._mean = fem.form(x * domain.dx(cell.active))

    def _make_solver(self, options: Options) -> LinearSolver:
        return LinearSolver(
            self._matrix,
            options,
            what="lithium and potentials",
            rtol=_LOOSE,
            atol=1e-300,
            max_iterations=_HOPELESS,
        )

    # ------------------------------------------------------------------ control

    @property
    def active_side(self) -> int:
        """Which of the two sides of `interface` is active material: 0 for plus, 1 for minus."""
        return self._side

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

    def set_contact(self, factor: npt.ArrayLike) -> None:
        """Let only this share of each facet pass current.

        Args:
            factor: 0 … 1; a number, or (facets, 1) or (facets, points) in the order of ``interface``, whose
                ``points`` say where and whose ``index`` says which facet.
        """
        given = np.asarray(factor, float)
        self.contact_factor = np.array(
            np.broadcast_to(given, self.interface.weights.shape) if given.ndim < 2 else given
        )

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

    def attempt(self, step: float, *, again: bool = False) -> None:
        """Newton's method for the state at ``time + step``; `NotConvergedError` if it stops short.

        Args:
            step: s.
            again: The same step once more, from the state that was found (the stress has changed).
        """
        kind, target = self._set
        if not again:
            last = self.bdf.last_step
            self._attempted = step
            self.bdf.begin(step)
            old, older = self._voltages
            guess = old if last is None else old + (old - older) * step / last
            self.voltage = target if kind == "voltage" else guess
        self._set_voltage()
        iterations = self.options.newton_iterations * (4 if self._careful else 1)
        size = scale = math.nan
        jump = last_size = math.inf
        for iteration in range(iterations):
            current, magnitude, slopes = self._flow()
            missing = current - target if kind == "current" else 0.0
            size = self._residual_size() + abs(missing)
            scale = max(magnitude, abs(target) if kind == "current" else 0.0, 1e-2 * self.one_c)
            log.info("t = %.6g s, Newton %d: residual %.2e", self.time + step, iteration, size / scale)
            if not math.isfinite(size):
                break
            rounding = jump < _ROUNDING and size <= 1e3 * self.options.newton_tolerance * scale
            if iteration > 0 and (size <= self.options.newton_tolerance * scale or rounding):
                self.current = current
                self._check_lithium()
                return
            enough = 0.1 * self.options.newton_tolerance * scale / size
            self._solver.keep(iteration > 0)
            # Kinks of Ω(x) can catch full updates between two states; halving leaves the cycle.
            stalled = iteration >= _FULL and jump <= _LARGEST_JUMP and size > _STALLED * last_size
            last_size = size
            jump = self._newton(
                slopes, missing if kind == "current" else None, size, enough, search=self._careful or stalled
            )
        raise NotConvergedError(
            f"half-cell: Newton's method stopped at a residual of {size / scale:.1e} of the current;",
            reason="newton", iterations=iterations, residual=size, time=self.time,
            hint="the current asked for may be more than the cell can carry; try a lower rate.",
        )  # fmt: skip

    def _residual_size(self) -> float:
        self._assemble_residual()
        self._vector.array[self._held[self._held < self._owned]] = 0.0
        lithium = float(self._vector.array[: self._owned : 2].sum())  # what the balance would miss
        return float(self._vector.norm(PETSc.NormType.NORM_2)) + abs(
            float(self.domain.comm.allreduce(lithium))
        )

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
        shift = None
        if self.stress is not None:
            rest = self.stress.rest.x.array[self.interface.sides[:, self._side]]
            shift = self.stress.shift(am[..., 0], np.einsum("qi,fi->fq", self.interface.shape, rest))
        self.density, by_x, by_drop = self.cell.kinetics.current(am[..., 0], drop, self.contact_factor, shift)
        self.overpotential = drop - self.cell.kinetics.open_circuit(am[..., 0]) - (shift[0] if shift else 0.0)
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

    def _newton(
        self,
        slopes: tuple[Floats, Floats],
        missing: float | None,
        size: float,
        enough: float,
        *,
        search: bool,
    ) -> float:
        """One update, and how large it was; with a current asked for, the voltage is an unknown too."""
        derivatives = self._derivatives(slopes)
        self._matrix.zeroEntries()
        self.interface.add_to_matrix(self._matrix, derivatives)
        compat.assemble_matrix(self._matrix, self._jacobian, self._bcs, add=True)
        rtol = min(max(_LOOSE, enough), 1e-2)
        self.linear_iterations += self._solver.solve(self._vector, self._update, rtol=rtol).iterations
        self.iterations += 1
        change = self._array(self._update) * -1.0
        change[self._held] = 0.0  # a Krylov method moves it by its tolerance, and nothing would bring it back
        raise_by = 0.0
        if missing is not None:
            response = self._response(derivatives)
            self._lift.x.array[:] = change
            before = self._change_of_current(slopes, self._lift)
            self._lift.x.array[:] = response
            conductance = self._change_of_current(slopes, self._lift)
            if conductance == 0.0:
                raise NotConvergedError(
                    "half-cell: no contact is left for a current to pass;", reason="no contact", time=self.time,
                    hint="end the charge at a voltage, which is reached before the last contact is lost.",
                )  # fmt: skip
            raise_by = -(missing + before) / conductance
            change = change + raise_by * response
        jump = float(np.max(np.abs(change.reshape(-1, 2)), initial=0.0))
        jump = max(self.domain.comm.allgather(jump if math.isfinite(jump) else math.inf))
        damp = min(1.0, _LARGEST_JUMP / jump) if jump > 0 else 1.0
        self._move(change, raise_by, damp)
        if search:
            target = self._set[1] if missing is not None else None
            while damp > 1e-3 and not self._merit(target) < size:
                self._move(change, raise_by, -damp / 2)
                damp /= 2
        return float(jump)

    def _move(self, change: Floats, raise_by: float, share: float) -> None:
        self.state.x.array[:] += share * change
        self.voltage += share * raise_by
        self._set_voltage()

    def _merit(self, target: float | None) -> float:
        """The residual that the line search lowers."""
        current, _, _ = self._flow()
        return self._residual_size() + (0.0 if target is None else abs(current - target))

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
        self.linear_iterations += self._solver.solve(
            self._right, self._lifted, rtol=_RESPONSE, warm=True
        ).iterations
        response = self._array(self._lifted)
        response[self._held] = 0.0
        return np.asarray(response + self._lift.x.array)

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

    def ways(self) -> Sequence[str]:
        """A line search, and a direct solver with it."""
        return _WAYS

    def solve_by(self, way: str | None) -> None:
        """Attempts go this way from now on; None for the ordinary one."""
        self._careful, self._way = way is not None, MUMPS if way == _WAYS[1] else self._linear
        self._renew()

    def diagnose(self) -> Diagnosis:
        """Residuals of the last attempt, where they are largest, and what the surface says about the cause."""
        current, magnitude, _ = self._flow()
        self._residual_size()
        values = np.array(self._vector.array[: self._owned])
        scale = max(magnitude, 1e-2 * self.one_c)
        squares = self.domain.comm.allreduce(np.square(values.reshape(-1, 2)).sum(axis=0))
        blocks = dict(zip(("lithium", "charge"), (np.sqrt(squares) / scale).tolist(), strict=True))
        if self._set[0] == "current":
            blocks["current"] = abs(current - self._set[1]) / scale
        low, high = self.surface()
        cause = "the current is more than the cell can carry"
        if low < _EMPTY or high > 1 - _EMPTY:
            cause = f"x at the surface is {low if low < _EMPTY else high:.3f}: diffusion cannot carry this current"
        elif not math.isfinite(current):
            cause = "a value is not a number"
        return Diagnosis(blocks, worst_place(self.domain, self.space, values), cause)

    def forget(self) -> None:
        """Drop what the solver keeps from step to step, so that a continued run does the very same."""
        self._renew()
        self._lifted.set(0.0)

    def _renew(self) -> None:
        self._solver.close()
        self._solver = self._make_solver(self._way)

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
