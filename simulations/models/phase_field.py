"""Cracks as a phase field: AT1 and AT2, in two and three dimensions, by alternate minimisation.

The energy ∫ g(d) ψ⁺ + ψ⁻ + G_c/c_w (w(d)/ℓ + ℓ|∇d|²) is minimised over the displacement and, between what it was
and 1, over the damage d. ψ is that of the elastic strain alone: neither chemical nor plastic strain drives a crack.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from pxm2mesh.errors import GeometryError, NotConvergedError, StudyError
from simulations.base import compat
from simulations.models.fatigue import degradation
from simulations.models.mixing import Mixing
from simulations.models.phase_field_solver import BoundedSolver, DisplacementSolver
from simulations.models.phase_field_splits import SPLITS, Split, split_energy, strain3
from simulations.models.stress_laws import Moduli

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Model = Literal["AT1", "AT2"]

C_W: Mapping[str, float] = {"AT1": 8 / 3, "AT2": 2.0}
"""4 ∫₀¹ √w: what makes the surface energy of a crack its area times G_c."""


@dataclass(frozen=True)
class PhaseFieldOptions:
    """How cracks are represented and found.

    Attributes:
        length: ℓ, µm. With AT1 it sets the strength, see `strength_length`.
        model: ``"AT1"`` (elastic until the strength is reached) or ``"AT2"``.
        split: Which part of the energy drives cracks.
        star: γ* of the star-convex split.
        cells_per_length: Cells that ℓ must hold; a coarser mesh is refused.
        refined: The mesh is fine only where cracks are expected: refuse a crack that leaves it, not the mesh.
        residual: Stiffness that a crack keeps.
        transition: Strain between open and closed, in units of the critical one √(G_c/(K ℓ)).
        acceleration: Alternations that Anderson's method looks back at, 0 for plain alternation; what it proposes is
            dropped where it raises the energy.
        tolerance: Largest change of d at which alternations stop …
        energy_tolerance: … and relative change of the energy.
        alternations: Before a step is given up.
        fatigue_threshold: α_T in MPa, see `simulations.models.fatigue`; None for no fatigue.
        method: Of PETSc for the bounded problem.
    """

    length: float
    model: Model = "AT1"
    split: Split = "volumetric-deviatoric"
    star: float = 5.0
    cells_per_length: float = 4.0
    refined: bool = False
    residual: float = 1e-6
    transition: float = 0.02
    acceleration: int = 5
    tolerance: float = 1e-4
    energy_tolerance: float = 1e-6
    alternations: int = 500
    fatigue_threshold: float | None = None
    method: Literal["vinewtonrsls", "vinewtonssls"] = "vinewtonrsls"

    def __post_init__(self) -> None:
        if self.model not in C_W or self.split not in SPLITS:
            raise StudyError(
                f"fracture: model {self.model!r} with split {self.split!r} is not known;",
                hint=f"models: {', '.join(C_W)}; splits: {', '.join(SPLITS)}.",
            )
        if not self.length > 0 or self.acceleration < 0:
            raise StudyError(
                f"fracture: length {self.length:g} must be positive, acceleration {self.acceleration} not negative."
            )


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the body with one material.

    Attributes:
        measure: Where, such as ``domain.dx("NMC")``.
        moduli: Elasticity.
        fracture_energy: G_c, J/m²; None for a part that does not break.
        eigenstrain: 3 × 3 UFL, chemical and plastic strain; None for none.
        cells: Local cells of it, to look at their size; all cells if None.
    """

    measure: Any
    moduli: Moduli
    fracture_energy: float | None
    eigenstrain: Any = None
    cells: npt.NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Alternations:
    """What one balance took: alternations, Newton iterations of the displacement, proposals dropped."""

    count: int
    newton: int
    dropped: int
    change: float


def strength_length(young: float, fracture_energy: float, strength: float) -> float:
    """ℓ of AT1 at which a bar breaks at ``strength``: 3 E G_c/(8 σ²), µm.

    Args:
        young: MPa.
        fracture_energy: J/m².
        strength: MPa.

    Example:
        >>> strength_length(140e3, 1.0, 100.0)
        5.25
    """
    return 3 * young * fracture_energy / (8 * strength**2)


class PhaseField:
    """A solid that can crack.

    Args:
        mesh: Of triangles (plane strain) or tetrahedra, µm.
        parts: What it is made of.
        conditions: Prescribed displacements in ``self.space`` are made by this function of the space.
        options: The model.

    Attributes:
        displacement: u, µm.
        damage: d, 0 intact … 1 crack.
        lower: Smallest d allowed: what it was. Set it to 1 where a crack is from the beginning.
        upper: Largest d allowed: 0 where nothing may break.
        fatigue: ᾱ in each cell, MPa.
        pace: What the last cycle has added to it, MPa.
        last_driving: g(d) ψ⁺ of each cell when damage was last accepted, MPa.
        toughness_left: Share of G_c that fatigue has left in each cell.

    Raises:
        GeometryError: The mesh is too coarse for ℓ; says which size is needed.

    Example:
        >>> from pxm2mesh.materials import read_materials
        >>> from simulations import Domain, fixed, gap
        >>> from simulations.models.phase_field_solids import phase_field_of
        >>> from simulations.shapes import layers
        >>> domain = Domain.from_mesh(layers({"NMC": 1.0}, cells=(4, 4, 4)))
        >>> body = phase_field_of(domain, read_materials({"NMC": "NMC811"}), [fixed("x-"), gap("x+", -1e-4)],
        ...                       PhaseFieldOptions(length=1.0))
        >>> body.solve().count > 0, float(body.damage.x.array.max())
        (True, 0.0)
    """

    def __init__(
        self,
        mesh: dmesh.Mesh,
        parts: Sequence[Part],
        conditions: Any,
        options: PhaseFieldOptions,
    ) -> None:
        self.mesh, self.parts, self.options = mesh, tuple(parts), options
        dim = mesh.geometry.dim
        self.space = fem.functionspace(mesh, ("Lagrange", 1, (dim,)))
        self.displacement = fem.Function(self.space, name="displacement [um]")
        scalar, cellwise = fem.functionspace(mesh, ("Lagrange", 1)), fem.functionspace(mesh, ("DG", 0))
        self.damage = fem.Function(scalar, name="damage [1]")
        self.lower, self.upper = fem.Function(scalar), fem.Function(scalar)
        self.upper.x.array[:] = 1.0
        self.fatigue = fem.Function(cellwise, name="accumulated energy [MPa]")
        self.pace = fem.Function(cellwise)
        self.toughness_left = fem.Function(cellwise)
        self.toughness_left.x.array[:] = 1.0
        self.last_driving = fem.Function(cellwise)
        if not options.refined:
            self._check_size()
        self.bcs = list(conditions(self.space))
        self._build(cellwise)

    def _check_size(self, damaged: npt.NDArray[np.bool_] | None = None) -> None:
        """Refuse cells that cannot represent ℓ: all that can break, or those that are damaged."""
        need = self.options.length / self.options.cells_per_length
        sizes = [np.zeros(0)]
        for part in self.parts:
            if part.fracture_energy is not None:
                cells = np.arange(len(self.toughness_left.x.array)) if part.cells is None else part.cells
                sizes.append(cell_sizes(self.mesh, cells if damaged is None else cells[damaged[cells]]))
        gathered = np.concatenate(self.mesh.comm.allgather(np.concatenate(sizes)))
        typical = float(np.percentile(gathered, 90)) if len(gathered) else 0.0
        if typical > need * (1 + 1e-9):
            raise GeometryError(
                f"the mesh is too coarse for cracks{'' if damaged is None else ' where they go'}: the largest tenth of "
                f"the cells is above {typical:.3g} µm, but ℓ = {self.options.length:.3g} µm needs {need:.3g} µm "
                f"({self.options.cells_per_length:g} cells in ℓ);",
                hint=f"mesh with cells of {need:.3g} um, or take a larger ℓ (and a lower strength).",
            )

    def _build(self, cellwise: fem.FunctionSpace) -> None:
        u, d, options = self.displacement, self.damage, self.options
        weight = d if options.model == "AT1" else d**2
        left = self.stiffness_left(d)
        test = ufl.TestFunction(cellwise)
        elastic: Any = 0
        surface: Any = 0
        intact: Any = 0
        driving: Any = 0
        size: Any = 0
        for part in self.parts:
            strain = strain3(u)
            if part.eigenstrain is not None:
                strain = strain - part.eigenstrain
            plus, minus = self.densities(part, strain)
            if part.fracture_energy is None:
                elastic = elastic + (plus + minus) * part.measure
                continue
            elastic = elastic + (left * plus + minus) * part.measure
            density = weight / options.length + options.length * ufl.dot(ufl.grad(d), ufl.grad(d))
            toughness = part.fracture_energy * self.toughness_left / C_W[options.model]
            surface = surface + toughness * density * part.measure
            intact = intact + density / C_W[options.model] * part.measure
            driving = driving + left * plus * test / ufl.CellVolume(self.mesh) * part.measure
            size = size + toughness / options.length * ufl.TestFunction(d.function_space) * part.measure
        self._protect()
        self._elastic, self._surface, self._area = fem.form(elastic), fem.form(surface), fem.form(intact)
        self._driving = fem.form(driving)
        self._driving_vector = compat.create_vector(self._driving, cellwise)
        scale = compat.create_vector(fem.form(size), d.function_space)
        compat.assemble_vector(scale, fem.form(size))
        compat.add_ghosts(scale)
        self._balance = DisplacementSolver(elastic, u, self.bcs)
        self._bounded = BoundedSolver(
            elastic + surface,
            d,
            self.lower,
            self.upper,
            atol=1e-8 * float(scale.norm()),
            method=options.method,
        )

    def stiffness_left(self, damage: Any) -> Any:
        """g(d) = (1 − d)², and what a crack keeps; 1 where nothing is damaged."""
        kept = self.options.residual
        return (1 - kept) * (1 - damage) ** 2 + kept

    def densities(self, part: Part, strain: Any) -> tuple[Any, Any]:
        """ψ⁺, which damage takes away, and ψ⁻ of a part, MPa.

        Args:
            part: Which.
            strain: Elastic strain, 3 × 3 UFL.
        """
        options, plane = self.options, self.mesh.geometry.dim == 2
        if part.fracture_energy is None:
            return split_energy(strain, part.moduli, "none", plane=plane)
        width = options.transition * ufl.sqrt(part.fracture_energy / options.length / part.moduli.bulk)
        return split_energy(strain, part.moduli, options.split, plane=plane, star=options.star, width=width)

    def _protect(self) -> None:
        """No damage at nodes that no breakable part touches."""
        free = [part for part in self.parts if part.fracture_energy is not None]
        if len(free) == len(self.parts):
            return
        table = np.asarray(self.damage.function_space.dofmap.list)
        self.upper.x.array[:] = 0.0
        for part in free:
            assert part.cells is not None, "parts that do not break need the cells of those that do"
            self.upper.x.array[np.unique(table[part.cells])] = 1.0
        # the breakable cells of a node may all be on ranks that do not own it
        compat.add_ghosts(self.upper.x.petsc_vec)
        self.upper.x.scatter_forward()
        self.upper.x.array[:] = np.minimum(self.upper.x.array, 1.0)

    def _integral(self, form: Any) -> float:
        return float(self.mesh.comm.allreduce(fem.assemble_scalar(form)))

    def solve(self) -> Alternations:
        """Find displacement and damage for the prescribed values as they are now.

        Raises:
            NotConvergedError: Too many alternations; displacement and damage are as before.
        """
        kept = self.displacement.x.array.copy(), self.damage.x.array.copy()
        try:
            return self._alternate()
        except NotConvergedError:
            self.displacement.x.array[:], self.damage.x.array[:] = kept
            raise

    def _alternate(self) -> Alternations:
        options, d = self.options, self.damage
        newton, dropped, change = self._balance.solve(), 0, 1.0
        energy = self.total_energy()
        owned = d.function_space.dofmap.index_map.size_local
        mixing = Mixing(self.mesh.comm, owned, depth=options.acceleration)
        for count in range(1, options.alternations + 1):
            before = d.x.array.copy()
            self._bounded.solve()
            change = self._largest(np.abs(d.x.array - before))
            minimiser = d.x.array.copy()
            proposed = mixing.next(before, minimiser) if change > options.tolerance else minimiser
            d.x.array[:] = np.clip(proposed, self.lower.x.array, self.upper.x.array)
            newton += self._balance.solve()
            new = self.total_energy()
            if proposed is not minimiser and new > energy * (1 + 1e-12):
                d.x.array[:] = minimiser
                newton += self._balance.solve()
                new, dropped = self.total_energy(), dropped + 1
                mixing.forget()
            settled = abs(new - energy) <= options.energy_tolerance * max(abs(new), 1e-300)
            energy = new
            log.debug("alternation %d: d changes by %.2e, energy %.8g", count, change, energy)
            if change <= options.tolerance and settled:
                return Alternations(count, newton, dropped, change)
        raise NotConvergedError(
            f"displacement and damage still change by {change:.1e} after {options.alternations} alternations;",
            reason="alternations", iterations=options.alternations, residual=change,
            hint="take smaller load steps: an unstable crack takes many alternations in one.",
        )  # fmt: skip

    def _largest(self, values: Floats) -> float:
        return float(self.mesh.comm.allreduce(float(values.max(initial=0.0)), op=MPI.MAX))

    # -- the state ---------------------------------------------------------------------------------

    def accept(self) -> None:
        """Damage cannot fall below what it is now; fatigue is counted.

        Raises:
            GeometryError: A crack has left the refined part of the mesh.
        """
        if self.options.refined:
            table = np.asarray(self.damage.function_space.dofmap.list)
            self._check_size(self.damage.x.array[table].min(axis=1) > 0.5)
        self.lower.x.array[:] = np.maximum(self.lower.x.array, self.damage.x.array)
        threshold = self.options.fatigue_threshold
        if threshold is None:
            return
        driving = np.maximum(self.driving(), 0.0)  # star-convex: below zero under pressure
        self.fatigue.x.array[:] += np.maximum(driving - self.last_driving.x.array, 0.0)
        self.last_driving.x.array[:] = driving
        self.weaken()

    def weaken(self) -> None:
        """Take the toughness from the accumulated energy."""
        threshold = self.options.fatigue_threshold
        if threshold is not None:
            self.toughness_left.x.array[:] = degradation(self.fatigue.x.array, threshold)

    def driving(self) -> Floats:
        """(cells,) g(d) ψ⁺ averaged over each cell, MPa."""
        vector = self._driving_vector
        compat.assemble_vector(vector, self._driving)
        compat.add_ghosts(vector)
        compat.update_ghosts(vector)
        with vector.localForm() as local:
            return np.array(local.array)

    @property
    def scales(self) -> Floats:
        """What small residuals of the displacement are small against; part of what a checkpoint keeps."""
        return self._balance.scales

    def state(self) -> dict[str, Floats]:
        """Copies of all that a step changes."""
        return {
            "displacement": self.displacement.x.array.copy(), "damage": self.damage.x.array.copy(),
            "lower": self.lower.x.array.copy(), "fatigue": self.fatigue.x.array.copy(),
            "driving": self.last_driving.x.array.copy(), "pace": self.pace.x.array.copy(),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned."""
        self.displacement.x.array[:], self.damage.x.array[:] = state["displacement"], state["damage"]
        self.lower.x.array[:], self.fatigue.x.array[:] = state["lower"], state["fatigue"]
        self.last_driving.x.array[:], self.pace.x.array[:] = state["driving"], state["pace"]
        self.weaken()

    # -- what came of it -----------------------------------------------------------------------------

    def elastic_energy(self) -> float:
        """Stored, pJ (per µm of depth in two dimensions)."""
        return self._integral(self._elastic)

    def surface_energy(self) -> float:
        """What cracks have cost, pJ."""
        return self._integral(self._surface)

    def total_energy(self) -> float:
        """Stored and spent, pJ."""
        return self.elastic_energy() + self.surface_energy()

    def crack_area(self) -> float:
        """∫ (w/ℓ + ℓ|∇d|²)/c_w, µm² (µm in two dimensions)."""
        return self._integral(self._area)

    def forces(self) -> Floats:
        """(owned unknowns of the displacement,) forces of the supports; zero where nothing is prescribed, µN."""
        return self._balance.forces()

    def reaction(self, dofs: npt.NDArray[np.int32], component: int) -> float:
        """Force of the support on these blocks of unknowns along an axis, µN.

        Args:
            dofs: Local blocks of ``space``.
            component: 0, 1, 2 for x, y, z.
        """
        forces = self._balance.forces().reshape(-1, self.mesh.geometry.dim)
        owned = np.asarray(dofs)[np.asarray(dofs) < len(forces)]
        return float(self.mesh.comm.allreduce(forces[owned, component].sum()))


def cell_sizes(mesh: dmesh.Mesh, cells: npt.NDArray[Any] | None = None) -> Floats:
    """(cells,) edge of the square or cube whose half or sixth has the size of the cell, µm.

    Args:
        mesh: Triangles or tetrahedra.
        cells: Which local ones; all that this rank owns if None.
    """
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    chosen = np.arange(owned) if cells is None else np.asarray(cells)[np.asarray(cells) < owned]
    corners = mesh.geometry.x[compat.cell_nodes(mesh)[chosen]]
    edges = corners[:, 1:] - corners[:, :1]
    if mesh.topology.dim == 2:
        return np.asarray(np.sqrt(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)))
    return np.asarray(np.abs(np.linalg.det(edges)) ** (1 / 3))
