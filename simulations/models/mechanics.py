"""Solids at rest: displacement, stress and reactions under supports, pressure and chemical strain."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from mpi4py import MPI

from pxm2mesh.errors import UsageError
from pxm2mesh.materials import Material, reference_x
from simulations.base import compat
from simulations.base.diagnosis import Place
from simulations.base.domain import Domain, canonical_name
from simulations.base.laws import parameter_on
from simulations.models import stress_laws as laws
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.solid_solver import SolidSolver, SolveRecord, SolverOptions
from simulations.models.supports import Pressure, Support

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]


class SolidLaw(Protocol):
    """How one phase answers to deformation; the models of plasticity and finite strain are others."""

    @property
    def linear(self) -> bool:
        """Whether the stress is linear in the displacement and the moduli do not change."""

    @property
    def history(self) -> bool:
        """Whether it needs the history of the point."""

    @property
    def finite(self) -> bool:
        """Whether it is a law of finite strain, whose history starts at the identity."""

    def respond(self, displacement: Any, x: Any, tensor: Any, accumulated: Any) -> laws.Response:
        """Stress and new history.

        Args:
            displacement: The unknown, µm.
            x: State of lithiation, or None where the phase does not swell.
            tensor: Tensor-valued history.
            accumulated: Accumulated plastic strain.
        """


@dataclass(frozen=True, eq=False)
class ElasticLaw:
    """Small-strain elasticity with chemical strain; moduli may depend on x.

    Attributes:
        material: With an elastic part.
        axis: Unit vector of the c axis (a function, constant in each grain): the strain of the lattice
            parameters is used instead of the isotropic one.
    """

    material: Material
    axis: Any = None

    @property
    def linear(self) -> bool:
        """True unless the moduli depend on x."""
        return not moduli_vary(self.material)

    @property
    def history(self) -> bool:
        """False."""
        return False

    @property
    def finite(self) -> bool:
        """False."""
        return False

    def respond(self, displacement: Any, x: Any, tensor: Any, accumulated: Any) -> laws.Response:
        """Hooke's law of the strain that is not chemical."""
        stress = laws.elastic(
            laws.strain(displacement) - chemical_strain(self.material, x, self.axis),
            moduli_of(self.material, x),
        )
        return laws.Response(stress, tensor, accumulated, stress)


def moduli_vary(material: Material) -> bool:
    """Whether an elastic constant depends on x."""
    return not all(material.require(f"elastic.{k}").constant for k in ("youngs_modulus", "poisson_ratio"))


def moduli_of(material: Material, x: Any) -> laws.Moduli:
    """Elastic moduli at x.

    Args:
        material: With an elastic part.
        x: State of lithiation; None stands for the state of zero chemical strain.

    Raises:
        StudyError: No elastic part.
    """
    at = reference_x(material) if x is None else x
    young = parameter_on(material.require("elastic.youngs_modulus", purpose="mechanics"), at)
    return laws.Moduli.from_young(
        young, parameter_on(material.require("elastic.poisson_ratio", purpose="mechanics"), at)
    )


def chemical_strain(material: Material, x: Any, axis: Any = None) -> Any:
    """Small chemical strain at x, relative to the material's reference state.

    Args:
        material: Zero strain results where it has no swelling part.
        x: State of lithiation; None for no chemical strain.
        axis: c axis of the grain; None for the isotropic third of ΔV/V.
    """
    zero = 0.0 * ufl.Identity(3)
    if x is None or material.swelling is None:
        return zero
    reference = reference_x(material)
    if axis is not None:
        strains = []
        for name in ("swelling.lattice_a", "swelling.lattice_c"):
            length = material.require(name, purpose="anisotropic chemical strain")
            strains.append(parameter_on(length, x) / float(length(reference)) - 1)
        return laws.lattice_strain(strains[0], strains[1], axis)
    volume = material.require("swelling.volume_strain", purpose="chemical strain")
    return laws.isotropic_strain(parameter_on(volume, x) - float(volume(reference)))


def grain_axes(domain: Domain, axes: npt.ArrayLike) -> fem.Function:
    """A direction for each region (grain), as a function that is constant in each cell.

    Args:
        domain: Where.
        axes: (regions + 1, 3) direction of the c axis of each region; row 0 is not used.

    Raises:
        UsageError: Not one row for each region, or a zero vector.
    """
    table = np.asarray(axes, float)
    top = int(domain.comm.allreduce(int(domain.cell_region.max(initial=0)), op=MPI.MAX))
    if table.ndim != 2 or table.shape[1] != 3 or len(table) <= top:
        raise UsageError(
            f"axes have the shape {table.shape}, but need ({top + 1}, 3), one row for each region."
        )
    length = np.linalg.norm(table[1:], axis=1)
    if np.any(length == 0):
        raise UsageError(f"the axis of region {int(np.argmin(length)) + 1} is zero.")
    table = np.concatenate([[[0.0, 0.0, 1.0]], table[1:] / length[:, None]])
    function = fem.Function(fem.functionspace(domain.mesh, ("DG", 0, (3,))), name="c axis")
    dofs = np.asarray(function.function_space.dofmap.list)[:, 0]
    function.x.array.reshape(-1, 3)[dofs] = table[domain.cell_region]
    return function


class Solid:
    """A body of several phases whose displacement is sought.

    Args:
        domain: Where; without floating pieces, see `simulations.models.islands.without_islands`.
        materials: Material of each meshed phase.
        supports: How it is held and loaded.
        x: State of lithiation, on which chemical strain and moduli depend; None for no chemistry.
        laws: Law of each phase that is not to be elastic (`simulations.models.plasticity.plastic_laws`).
        bonds: Interface → law with which the two sides of a cut hold together; every cut needs one.
        degree: Of the displacement: 2 where hydrostatic stress or plastic flow matter, 1 for speed.
        options: Tolerances and solvers.

    Raises:
        UsageError: A phase without a material, an unknown face, contradicting supports.
        StudyError: A material lacks what is needed.

    Example:
        >>> from pxm2mesh.materials import read_materials
        >>> from simulations.shapes import layers
        >>> from simulations.models.supports import plate, symmetry
        >>> domain = Domain.from_mesh(layers({"NMC": 1.0}, cells=(2, 2, 2)))
        >>> body = Solid(domain, read_materials({"NMC": "NMC811"}), [*symmetry("x-", "y-", "z-"), plate("z+", "5 MPa")])
        >>> record = body.solve()
        >>> round(body.plate_displacement("z+") * 1e6, 3)  # 5 MPa / 140 GPa · 1 µm, in pm
        -35.714
    """

    def __init__(
        self,
        domain: Domain,
        materials: Mapping[str, Material],
        supports: Iterable[Support],
        *,
        x: fem.Function | None = None,
        laws: Mapping[str, SolidLaw] | None = None,
        bonds: Mapping[str, CohesiveLaw] | None = None,
        degree: int = 2,
        options: SolverOptions | None = None,
    ) -> None:
        self.domain = domain
        self.supports = tuple(supports)
        self.x = x
        self.laws = MappingProxyType(_laws_of(domain, materials, laws or {}))
        self.space = fem.functionspace(domain.mesh, ("Lagrange", degree, (3,)))
        self.displacement = fem.Function(self.space, name="displacement [um]")
        self._metadata = {"quadrature_degree": self._quadrature_degree(degree)}
        self._tensor, self._accumulated = self._make_history()
        self.responses = {
            phase: law.respond(self.displacement, x, self._tensor, self._accumulated)
            for phase, law in self.laws.items()
        }
        self.cohesion = _cohesion(domain, self.displacement, bonds or {})
        self.pressures = {s.face: fem.Constant(domain.mesh, float(s.pressure)) for s in self._of(Pressure)}
        self._solver = SolidSolver(
            domain,
            self.displacement,
            self._residual(),
            self.supports,
            linear=all(law.linear for law in self.laws.values()),
            options=options
            or SolverOptions(symmetric=not bonds and not any(law.finite for law in self.laws.values())),
            coupling=self.cohesion,
        )
        self._updates = self._history_updates()

    def _of(self, kind: type[Any]) -> list[Any]:
        return [s for s in self.supports if isinstance(s, kind)]

    def _quadrature_degree(self, degree: int) -> int:
        """Enough for the law; history lives at these points."""
        if any(law.finite for law in self.laws.values()):
            return 2 * degree
        if any(law.history for law in self.laws.values()):
            return max(2 * (degree - 1), 1)
        return max(2 * degree, 2) if self.x is not None else max(2 * (degree - 1), 1)

    def _make_history(self) -> tuple[Any, Any]:
        if not any(law.history for law in self.laws.values()):
            return None, None
        mesh, degree = self.domain.mesh, self._metadata["quadrature_degree"]
        cell = mesh.basix_cell()
        tensors = fem.functionspace(
            mesh, basix.ufl.quadrature_element(cell, value_shape=(3, 3), degree=degree)
        )
        scalars = fem.functionspace(mesh, basix.ufl.quadrature_element(cell, degree=degree))
        tensor, accumulated = (
            fem.Function(tensors, name="history"),
            fem.Function(scalars, name="plastic strain"),
        )
        for phase, law in self.laws.items():
            if law.finite:
                dofs = np.asarray(tensors.dofmap.list)[self.domain.cells(phase)].ravel()
                tensor.x.array.reshape(-1, 9)[dofs] = np.eye(3).ravel()
        return tensor, accumulated

    def _residual(self) -> Any:
        test = ufl.TestFunction(self.space)
        form: Any = 0
        for phase, response in self.responses.items():
            form = form + ufl.inner(response.stress, ufl.grad(test)) * self.domain.dx(phase, **self._metadata)
        normal = ufl.FacetNormal(self.domain.mesh)
        for face, value in self.pressures.items():
            form = form + value * ufl.inner(normal, test) * self.domain.ds(face)
        return form

    def _history_updates(self) -> list[tuple[fem.Function, fem.Expression, npt.NDArray[np.int32]]]:
        updates = []
        for phase, law in self.laws.items():
            if law.history:
                response, cells = self.responses[phase], self.domain.cells(phase)
                for target, new in (
                    (self._tensor, response.tensor),
                    (self._accumulated, response.accumulated),
                ):
                    points = compat.interpolation_points(target.function_space)
                    updates.append((target, fem.Expression(new, points), cells))
        return updates

    def solve(self, loads: Mapping[str, float] | None = None, *, time: float | None = None) -> SolveRecord:
        """Find the displacement that balances the loads; the history stays as it is until `accept`.

        Args:
            loads: New values for faces: pressure of a `Pressure` or `Plate` (MPa), closing of a `Gap` (µm).
            time: Simulated time, for messages (s).

        Returns:
            Iterations and residuals.

        Raises:
            UsageError: A face without such a load.
            NotConvergedError: No balance was found; displacement and history are as before.
        """
        values = dict(loads or {})
        for face in list(values):
            if face in self.pressures:
                self.pressures[face].value = values.pop(face)
        return self._solver.solve(values, time=time)

    def accept(self) -> None:
        """Make the state at the end of the step the beginning of the next one."""
        fresh = []
        for target, expression, cells in self._updates:
            new = fem.Function(target.function_space)
            new.interpolate(expression, cells)
            fresh.append((target, new, cells))
        for target, new, cells in fresh:  # only now: the expressions read the old history
            dofs = np.asarray(target.function_space.dofmap.list)[cells].ravel()
            size = target.function_space.dofmap.index_map_bs
            target.x.array.reshape(-1, size)[dofs] = new.x.array.reshape(-1, size)[dofs]
        if self.cohesion is not None:
            self.cohesion.accept()

    def state(self) -> dict[str, Floats]:
        """Copies of everything that a step changes, for `restore`."""
        kept = {"displacement": self.displacement.x.array.copy(), **self._solver.state()}
        if self._tensor is not None:
            kept |= {"tensor": self._tensor.x.array.copy(), "accumulated": self._accumulated.x.array.copy()}
        if self.cohesion is not None:
            kept |= self.cohesion.state()
        return kept

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned."""
        self.displacement.x.array[:] = state["displacement"]
        self._solver.restore(state)
        if self._tensor is not None:
            self._tensor.x.array[:], self._accumulated.x.array[:] = state["tensor"], state["accumulated"]
        if self.cohesion is not None:
            self.cohesion.restore(state)

    def history(self) -> dict[str, fem.Function]:
        """What the points remember, by name; empty where nothing does."""
        return {} if self._tensor is None else {"tensor": self._tensor, "accumulated": self._accumulated}

    def forget(self) -> None:
        """Drop what solvers keep from step to step, so that a continued run does the very same."""
        self._solver.forget()

    def solve_directly(self, on: bool) -> None:
        """Factorise from now on, however the options said, or do as they said again."""
        self._solver.solve_directly(on)

    def worst_place(self) -> Place | None:
        """Where the residual was largest when the last `solve` failed."""
        return self._solver.worst

    @property
    def quadrature(self) -> Mapping[str, int]:
        """Metadata of the measures with which stress and history are integrated."""
        return MappingProxyType(self._metadata)

    @property
    def accumulated_plastic_strain(self) -> fem.Function | None:
        """Accumulated plastic strain at the quadrature points; None without plastic phases."""
        return self._accumulated

    def plate_displacement(self, face: str) -> float:
        """Displacement of a `Plate` along the outer axis of its face, µm (+ is the direction of the axis)."""
        return self._solver.plate_displacement(face)

    def reaction(self, face: str) -> Floats:
        """(3,) µN: force that the support on ``face`` exerts on the body."""
        return self._solver.reaction(face)

    def pressure_on(self, face: str) -> float:
        """Mean pressure (MPa) on a box face that is held: the force over the whole face of the box."""
        axis, sign = face_axis(face)
        return float(-sign * self.reaction(face)[axis] / box_face_area(self.domain, face))

    def average(self, of: str = "stress") -> fem.Function:
        """A quantity averaged over each cell.

        Args:
            of: ``"stress"`` ((3, 3), MPa), ``"von Mises"``, ``"hydrostatic"`` (MPa), or ``"plastic strain"``.

        Returns:
            A function constant in each cell.

        Raises:
            UsageError: Another quantity.
        """
        if of not in CELL_QUANTITIES or (of == "plastic strain" and self._accumulated is None):
            raise UsageError(f"cannot average {of!r};", hint="known: " + ", ".join(CELL_QUANTITIES) + ".")
        shape: tuple[Any, ...] = ("DG", 0, (3, 3)) if of == "stress" else ("DG", 0)
        result = fem.Function(fem.functionspace(self.domain.mesh, shape), name=CELL_QUANTITIES[of])
        test = ufl.TestFunction(result.function_space)
        volume = ufl.CellVolume(self.domain.mesh)
        form: Any = 0
        for phase, response in self.responses.items():
            value = _quantity(of, response)
            if value is not None:
                form = form + ufl.inner(value, test) / volume * self.domain.dx(phase, **self._metadata)
        vector = compat.create_vector(compiled := fem.form(form), result.function_space)
        compat.assemble_vector(vector, compiled)
        compat.add_ghosts(vector)
        compat.update_ghosts(vector)
        with vector.localForm() as local:
            result.x.array[:] = local.array
        vector.destroy()
        return result


CELL_QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "stress": "stress [MPa]",
        "von Mises": "von Mises stress [MPa]",
        "hydrostatic": "hydrostatic stress [MPa]",
        "plastic strain": "accumulated plastic strain [1]",
    }
)
"""What `Solid.average` knows → name of the field."""


def _quantity(of: str, response: laws.Response) -> Any:
    if of == "stress":
        return response.cauchy
    if of == "von Mises":
        return laws.von_mises(response.cauchy)
    return laws.hydrostatic(response.cauchy) if of == "hydrostatic" else response.accumulated


def _cohesion(
    domain: Domain, displacement: fem.Function, bonds: Mapping[str, CohesiveLaw]
) -> CohesiveInterfaces | None:
    loose = [
        name for name in domain.cut_names if name not in {canonical_name(domain.phases, b) for b in bonds}
    ]
    if loose and bonds:
        raise UsageError(
            f"the mesh is cut at {loose[0]!r}, which has no cohesive law;",
            hint="give it one in bonds, or do not cut there.",
        )
    return CohesiveInterfaces(domain, displacement, bonds) if bonds else None


def _laws_of(
    domain: Domain, materials: Mapping[str, Material], given: Mapping[str, SolidLaw]
) -> dict[str, SolidLaw]:
    result: dict[str, SolidLaw] = {}
    for phase in given:
        domain.phases[phase]
    for phase in domain.meshed:
        if phase not in given and phase not in materials:
            raise UsageError(
                f"phase {phase!r} has no material;", hint=f"give one for each of {domain.meshed}."
            )
        result[phase] = given[phase] if phase in given else ElasticLaw(materials[phase])
    return result


def face_axis(face: str) -> tuple[int, int]:
    """(0, 1, 2 for x, y, z) and the sign of the outer normal of a box face."""
    return "xyz".index(face[0]), 1 if face[1] == "+" else -1


def opposite_face(face: str) -> str:
    """``"z+"`` → ``"z-"``."""
    return face[0] + {"-": "+", "+": "-"}[face[1]]


def box_face_area(domain: Domain, face: str) -> float:
    """µm² of a whole face of the sample's box, pores included."""
    axis, _ = face_axis(face)
    return float(np.prod(np.delete(domain.upper - domain.lower, axis)))
