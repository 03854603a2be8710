"""Steady conduction: potential, effective conductivity and tortuosity factor.

∇·(σ_k ∇φ) = 0 in each phase k; ∫ Σ σ_k ∇φ·∇v + ∫_Γ h [φ][v] = 0 with a contact conductance h where one is
given. Only what percolates is solved for. See docs/explanation/solvers.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc
from petsc4py import PETSc

from pxm2mesh.errors import UsageError
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantities import Quantities, Quantity
from simulations.base import compat, cutting
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.base.interfaces import Interface, jump_derivatives
from simulations.base.percolation import find_clusters
from simulations.base.solvers import HYPRE, LinearSolver, Options, SolveRecord

log = logging.getLogger(__name__)
T = TypeVar("T")

_S_PER_M = 1e6
"""1 S/m in the internal unit of conductivity, pS/µm."""


@dataclass(frozen=True, eq=False)
class Potential:
    """A solved potential.

    Attributes:
        function: φ in V on the cut mesh.
        energy: ∫ σ |∇φ|² + ∫_Γ h [φ]² in pW (pS·V²): what is dissipated, and the most accurate measure
            of the current.
        currents: Current in pA that enters through each held facet, from the discrete balance; they sum
            to zero.
        face_currents: The same from the gradient on the facet, which converges more slowly: a check.
        record: What the solve took.
    """

    function: fem.Function
    energy: float
    currents: Mapping[str, float]
    face_currents: Mapping[str, float]
    record: SolveRecord


def conduct(
    domain: Domain,
    conductivity: Mapping[str, float],
    held: Mapping[str, float | fem.Function],
    *,
    contact_conductance: Mapping[str, float | npt.NDArray[np.float64]] | None = None,
    order: int = 1,
    idle: npt.NDArray[np.int32] | None = None,
    solver: Options = HYPRE,
    tolerance: float = 1e-10,
    max_iterations: int = 1000,
) -> Potential:
    """Solve for the potential.

    Args:
        domain: The conductors, cut where there is a contact conductance.
        conductivity: Phase → pS/µm (1 S/m = 1e6 pS/µm), or any unit of your own.
        held: Box face or interface → potential in V, a number or a function of the same degree. All other
            boundaries insulate.
        contact_conductance: Cut interface → pS/µm² (1 S/m² = 1 pS/µm²), a number or one for each cut facet of the
            domain by its `CutFacets.index`; a cut without one insulates.
        order: 1 or 2, the degree of the potential.
        idle: Local cells that are not connected to anything held; their potential is set to 0.
        solver: PETSc options.
        tolerance: Relative residual.
        max_iterations: Before it is given up.

    Returns:
        The potential, its energy and its currents.

    Raises:
        NotConvergedError: The linear solver stopped short.
        UsageError: An unknown name, or nothing held.

    Example:
        >>> from simulations.shapes import layers
        >>> domain = Domain.from_mesh(layers({"A": 1.0}, cells=(2, 1, 1)))
        >>> round(conduct(domain, {"A": 3.0}, {"x-": 0.0, "x+": 1.0}).energy, 9)
        3.0
    """
    if not held:
        raise UsageError("no potential is held anywhere;", hint='write for example {"z-": 0.0, "z+": 1.0}.')
    space = fem.functionspace(domain.mesh, ("Lagrange", order))
    sigma = domain.by_phase(conductivity, name="conductivity")
    trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
    potential = fem.Function(space, name="potential")
    form = fem.form(sigma * ufl.inner(ufl.grad(trial), ufl.grad(test)) * ufl.dx)
    balance = fem.form(sigma * ufl.inner(ufl.grad(potential), ufl.grad(test)) * ufl.dx)
    held_dofs = {name: domain.dofs_on(space, name) for name in held}
    bcs = [_hold(value, held_dofs[name], space) for name, value in held.items()]
    if idle is not None and len(idle):
        bcs.append(fem.dirichletbc(0.0, np.unique(np.asarray(space.dofmap.list)[idle]), space))
    interface, stiffness = _contacts(domain, space, contact_conductance or {})
    matrix = interface.create_matrix(form) if interface else fem_petsc.create_matrix(form)
    if interface:
        interface.constrain(bcs)
        interface.add_to_matrix(matrix, jump_derivatives(stiffness))
    compat.assemble_matrix(matrix, form, bcs, add=True)
    vector = compat.create_vector(balance, space)
    change = vector.duplicate()

    def add_jumps(sign: float) -> None:
        if interface:
            jump = sign * (stiffness * _jump(interface, potential))[..., None]
            interface.add_to_vector(vector, jump, -jump)

    fem_petsc.set_bc(potential.x.petsc_vec, bcs)  # from there on with what is missing, zero where it is held
    potential.x.scatter_forward()
    vector.set(0.0)
    fem_petsc.apply_lifting(vector, [form], [bcs])
    add_jumps(-1.0)
    compat.add_ghosts(vector)
    for bc in bcs:
        held_here, owned = bc.dof_indices()
        vector.array[held_here[:owned]] = 0.0
    linear = LinearSolver(matrix, solver, what="potential", rtol=tolerance, max_iterations=max_iterations)
    record = linear.solve(vector, change)
    linear.close()
    with change.localForm() as local:
        potential.x.array[:] += local.array
    compat.assemble_vector(vector, balance)
    add_jumps(1.0)
    compat.add_ghosts(vector)
    energy = float(vector.dot(potential.x.petsc_vec))  # ∫ σ|∇φ|² + ∫ h[φ]² of these functions
    currents = {name: _sum(domain, vector, dofs) for name, dofs in held_dofs.items()}
    for used in (matrix, vector, change):
        used.destroy()
    return Potential(potential, energy, currents, _through_faces(domain, potential, sigma, held), record)


def _sum(domain: Domain, vector: PETSc.Vec, dofs: npt.NDArray[np.int32]) -> float:
    mine = dofs[dofs < vector.getLocalSize()]
    return float(domain.comm.allreduce(float(vector.array[mine].sum())))


def _hold(value: float | fem.Function, dofs: npt.NDArray[np.int32], space: fem.FunctionSpace) -> Any:
    if not isinstance(value, fem.Function):
        return fem.dirichletbc(float(value), dofs, space)
    copy = fem.Function(space)
    copy.interpolate(value)
    return fem.dirichletbc(copy, dofs)


def _contacts(
    domain: Domain, space: fem.FunctionSpace, conductance: Mapping[str, float | npt.NDArray[np.float64]]
) -> tuple[Interface | None, npt.NDArray[np.float64]]:
    if not conductance:
        return None, np.zeros((0, 0))
    interface = Interface(domain, space, tuple(conductance))
    stiffness = np.zeros_like(interface.weights)
    for name, h in conductance.items():
        where = interface.tags == domain.tag(name)
        stiffness[where] = h if np.ndim(h) == 0 else np.asarray(h)[interface.index[where], None]
    return interface, stiffness


def _jump(interface: Interface, potential: fem.Function) -> npt.NDArray[np.float64]:
    plus, minus = interface.values(potential)
    return np.asarray((plus - minus)[..., 0])


def _through_faces(
    domain: Domain, potential: fem.Function, sigma: fem.Function, names: Iterable[str]
) -> dict[str, float]:
    """∫ σ ∇φ·n over each face, from inside: exact with the gradient in the middle of each facet, for degree 1 and 2."""
    space, sides = potential.function_space, domain.sides
    corners = np.vstack([np.zeros(3), np.eye(3)])
    middles = corners[cutting.FACES].mean(axis=1)
    slopes = space.ufl_element().tabulate(1, middles)[1:]  # (3, 4 faces, unknowns of a cell)
    owned = domain.mesh.topology.index_map(3).size_local
    cells = np.asarray(space.dofmap.list)
    result = {}
    for name in names:
        here = np.flatnonzero((sides.tags == domain.tag(name)) & sides.outer & (sides.cells < owned))
        cell, face = sides.cells[here], sides.faces[here]
        x = domain.mesh.geometry.x[compat.cell_nodes(domain.mesh)[cell]]
        by_reference = np.einsum("dfi,fi->fd", slopes[:, face], potential.x.array[cells[cell]])
        gradient = np.linalg.solve(x[:, 1:] - x[:, :1], by_reference[..., None])[..., 0]
        a, b, c = np.moveaxis(np.take_along_axis(x, cutting.FACES[face][..., None], axis=1), 1, 0)
        area = np.cross(b - a, c - a) / 2
        area *= np.sign(np.einsum("fd,fd->f", area, a - x.mean(axis=1)))[:, None]
        current = float(np.sum(sigma.x.array[cell] * np.einsum("fd,fd->f", gradient, area)))
        result[name] = float(domain.comm.allreduce(current))
    return result


@dataclass(frozen=True, eq=False)
class EffectiveConductivity:
    """What `effective_conductivity` found.

    Attributes:
        quantities: ``effective_conductivity``, ``tortuosity_factor``, ``percolating_fraction`` per direction.
        rows: One mapping per direction for ``scalars.csv``.
        domain: What percolates, in any direction; None if nothing does.
        potentials: Direction → potential, from 0 to 1 V; directions that do not percolate are absent.
        conductivity: The coefficient on ``domain``, pS/µm, or 1 where none was given.
    """

    quantities: Quantities
    rows: Sequence[Mapping[str, Any]]
    domain: Domain | None
    potentials: Mapping[str, Potential]
    conductivity: fem.Function | None = field(repr=False, default=None)


COLUMNS = (
    "direction",
    "effective conductivity",
    "tortuosity factor [1]",
    "percolating fraction [1]",
    "conductivity from lower face",
    "conductivity from upper face",
    "current imbalance [1]",
    "iterations",
    "relative residual [1]",
    "unknowns",
    "wall time [s]",
)


def effective_conductivity(
    domain: Domain,
    phases: Sequence[str],
    *,
    conductivity: Mapping[str, float] | None = None,
    contact_conductance: Mapping[str, float] | None = None,
    directions: Sequence[str] = ("x", "y", "z"),
    order: int = 1,
    solver: Options = HYPRE,
    tolerance: float = 1e-10,
    max_iterations: int = 1000,
    progress: Progress = SILENT,
) -> EffectiveConductivity:
    """Effective conductivity and tortuosity factor of phases, along box axes.

    σ_eff = L/(A ΔV²) (∫ σ|∇φ|² + ∫_Γ h[φ]²) with the potential held on two opposite box faces and the
    other faces insulating; τ = Σ ε_k σ_k / σ_eff, for one phase ε σ₀/σ_eff. Only components that are
    connected through faces from one box face to the opposite one carry current; where none is, σ_eff = 0
    and τ = inf.

    Args:
        domain: The sample; need not be restricted to the conductors.
        phases: Which conduct.
        conductivity: Phase → pS/µm; 1 for all, results relative to bulk, if None.
        contact_conductance: Interface between two of the phases → pS/µm²; perfect contact where none is
            given.
        directions: Of ``"x"``, ``"y"``, ``"z"``.
        order: 1 or 2, degree of the potential.
        solver: PETSc options.
        tolerance: Relative residual of the linear solves.
        max_iterations: Of a linear solve.
        progress: Where to show what is going on.

    Returns:
        The quantities, the potentials and where they live.

    Raises:
        UsageError: Unknown phases or interfaces, or a phase without conductivity.
        NotConvergedError: A linear solve stopped short.

    Example:
        >>> from simulations.shapes import layers
        >>> domain = Domain.from_mesh(layers({"A": 1.0, "void": 1.0}, axis="y", cells=(2, 2, 1)))
        >>> found = effective_conductivity(domain, ["A"], directions=["x", "y"])
        >>> round(found.quantities.value("tortuosity_factor", direction="x"), 9)
        1.0
        >>> found.quantities.value("tortuosity_factor", direction="y")
        inf

    References:
        B. Tjaden et al., Curr. Opin. Chem. Eng. 12, 44 (2016), for the tortuosity factor.
    """
    sigma = _conductivities(domain, phases, conductivity)
    contacts = _contact_names(domain, phases, contact_conductance or {})
    cut = tuple(dict.fromkeys((*contacts, *(n for n in domain.cut_names if _inside(domain, n, phases)))))
    cluster = on_root(
        domain.comm,
        lambda: find_clusters(
            _need(domain.source), _need(domain.links), phases, directions, cut, tuple(contacts)
        ),
    )
    spanning = [axis for axis in directions if cluster.spans[axis].any()]
    part = coefficient = None
    if spanning:
        whole = cluster.keep.all() and set(cut) == set(domain.cut_names)
        fields = {"component": cluster.component}
        part = domain if whole else domain.restricted(keep=cluster.keep, cut=cut, cell_fields=fields)
        coefficient = part.by_phase(sigma, name="conductivity")
        contacts = {name: h for name, h in contacts.items() if name in part.cut_names}
    bound = sum(sigma[name] * volume for name, volume in cluster.volumes.items()) / domain.box_volume
    potentials: dict[str, Potential] = {}
    rows: list[Mapping[str, Any]] = []
    with progress.task("conduction", total=len(directions)) as task:
        for axis in directions:
            if part is not None and axis in spanning:
                component = (
                    cluster.component[part.cell_index] if part is domain else part.cell_fields["component"]
                )
                idle = np.flatnonzero(~cluster.spans[axis][component.astype(np.int64)])
                potentials[axis] = conduct(
                    part, sigma, {f"{axis}-": 0.0, f"{axis}+": 1.0}, contact_conductance=contacts,
                    order=order, idle=idle.astype(np.int32), solver=solver, tolerance=tolerance,
                    max_iterations=max_iterations,
                )  # fmt: skip
            rows.append(_row(domain, axis, potentials.get(axis), bound, cluster.fractions[axis]))
            _tell(rows[-1], phases)
            task.advance(
                note=f"{axis}: {potentials[axis].record.iterations} iterations"
                if axis in potentials
                else axis
            )
    _check_bound(domain, phases, rows, bound, conductivity is None)
    quantities = _quantities(phases, rows, order, relative=conductivity is None)
    return EffectiveConductivity(quantities, rows, part, potentials, coefficient)


def _need(held: T | None) -> T:
    assert held is not None
    return held


def _conductivities(
    domain: Domain, phases: Sequence[str], given: Mapping[str, float] | None
) -> dict[str, float]:
    names = [domain.phases[name].name for name in phases]
    if not names:
        raise UsageError("no phase conducts;", hint='write for example phases = ["LPSCl"].')
    if given is None:
        return dict.fromkeys(names, 1.0)
    for name in names:
        if not (name in given and math.isfinite(given[name]) and given[name] > 0):
            raise UsageError(f"phase {name!r} has no positive conductivity (given: {dict(given)});",
                             hint="give one for each phase that conducts.")  # fmt: skip
    return {name: float(given[name]) for name in names}


def _inside(domain: Domain, interface: str, phases: Sequence[str]) -> bool:
    return all(part.strip() in phases for part in interface.split("|"))


def _contact_names(domain: Domain, phases: Sequence[str], given: Mapping[str, float]) -> dict[str, float]:
    contacts = {}
    for name, value in given.items():
        wanted = canonical_name(domain.phases, name)
        if not _inside(domain, wanted, phases):
            raise UsageError(f"interface {name!r} has a contact conductance, but one side does not conduct;",
                             hint=f"conducting are {', '.join(phases)}.")  # fmt: skip
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"the contact conductance {value:g} of {name!r} is not positive;",
                             hint="leave it out for a perfect contact.")  # fmt: skip
        if wanted in domain.facet_names:
            contacts[wanted] = float(value)
        else:
            log.warning(
                "interface %s has a contact conductance, but its phases do not touch in this mesh", wanted
            )
    return contacts


def _row(
    domain: Domain, axis: str, potential: Potential | None, bound: float, fraction: float
) -> dict[str, Any]:
    size = domain.upper - domain.lower
    along = "xyz".index(axis)
    scale = float(size[along] ** 2 / np.prod(size))  # L/A
    row: dict[str, Any] = dict.fromkeys(COLUMNS, 0.0)
    row.update({"direction": axis, "tortuosity factor [1]": math.inf, "percolating fraction [1]": fraction,
                "iterations": 0, "unknowns": 0})  # fmt: skip
    if potential is None:
        return row
    effective = scale * potential.energy
    lower, upper = potential.currents[f"{axis}-"], potential.currents[f"{axis}+"]
    row.update({
        "effective conductivity": effective,
        "tortuosity factor [1]": bound / effective,
        "conductivity from lower face": -scale * potential.face_currents[f"{axis}-"],
        "conductivity from upper face": scale * potential.face_currents[f"{axis}+"],
        "current imbalance [1]": abs(lower + upper) / abs(upper),
        "iterations": potential.record.iterations,
        "relative residual [1]": potential.record.residual,
        "unknowns": potential.record.unknowns,
        "wall time [s]": round(potential.record.seconds, 3),
    })  # fmt: skip
    return row


def _tell(row: Mapping[str, Any], phases: Sequence[str]) -> None:
    names = " + ".join(phases)
    if not row["effective conductivity"]:
        log.warning(
            "%s does not percolate along %s: its tortuosity factor there is inf", names, row["direction"]
        )
        return
    log.info("%s along %s: tortuosity factor %.5g, %d iterations, current imbalance %.1e", names,
             row["direction"], row["tortuosity factor [1]"], row["iterations"],
             row["current imbalance [1]"])  # fmt: skip


def _check_bound(
    domain: Domain, phases: Sequence[str], rows: Sequence[Mapping[str, Any]], bound: float, relative: bool
) -> None:
    """Hashin and Shtrikman: the mean over three directions conducts no better than this; say if it does."""
    if len(phases) != 1 or not relative or len(rows) != 3:
        return
    mean = sum(row["effective conductivity"] for row in rows) / 3
    best = bound * 2 / (3 - bound)
    if mean > best * 1.001:
        log.warning("%s conducts %.4g of bulk on average over x, y, z, above the bound %.4g of Hashin and "
                    "Shtrikman for %.4g of the volume: the mesh is too coarse, or the sample too small",
                    phases[0], mean, best, bound)  # fmt: skip


def _quantities(
    phases: Sequence[str], rows: Sequence[Mapping[str, Any]], order: int, *, relative: bool
) -> Quantities:
    name = " + ".join(phases)
    method = f"finite elements, degree {order}"
    found = []
    for row in rows:
        scale, unit = (1.0, "1") if relative else (_S_PER_M, "S/m")
        values = (
            ("effective_conductivity", row["effective conductivity"] / scale, unit),
            ("tortuosity_factor", row["tortuosity factor [1]"], "1"),
            ("percolating_fraction", row["percolating fraction [1]"], "1"),
        )
        found += [
            Quantity(n, float(v), u, method, phase=name, direction=row["direction"]) for n, v, u in values
        ]
    return Quantities(found)
