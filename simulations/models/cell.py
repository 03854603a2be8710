"""What a half-cell is made of, how it is solved, and which part of the sample can work at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from pxm2mesh.materials import Parameter
from pxm2mesh.tetmesh import TetMesh
from simulations.base import cutting
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.base.solvers import Options
from simulations.models.kinetics import ButlerVolmer

log = logging.getLogger(__name__)


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
        linear: PETSc options; MUMPS for small problems, else `SPLIT`, if None.
    """

    tolerance: float = 1e-3
    newton_tolerance: float = 1e-11
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
        assert domain.source is not None and domain.links is not None
        return _connected(domain.source, domain.links, cell)

    keep, shares = on_root(domain.comm, find)
    return domain.restricted(keep=keep, cut=cell.cuts(domain)), shares


def _connected(
    mesh: TetMesh, links: cutting.Links, cell: Cell
) -> tuple[npt.NDArray[np.bool_], dict[str, float]]:
    keep = np.zeros(len(mesh.cells), dtype=bool)
    volumes, label = mesh.cell_volumes(), mesh.cell_phase()
    for phases, end, what in (
        (cell.electrons, cell.collector, "electrons"),
        ((cell.electrolyte,), cell.separator, "ions"),
    ):
        conducts = np.isin(label, [mesh.phases[p].label for p in phases])
        count, component = cutting.components(len(mesh.cells), links.near, conducts)
        reached = cutting.reaches(mesh, links.owner, component, [end])[end]
        names = " and ".join(phases)
        if not reached.any():
            raise GeometryError(f"{names} does not reach {end!r}: there is no path for {what} ({count} pieces);",
                                hint="name another face, or use a larger piece of the sample.")  # fmt: skip
        linked = conducts & reached[component]
        _name_dead_ends(
            mesh, component, conducts & ~linked, volumes, f"{names} without a path for {what} to {end!r}"
        )
        keep |= linked
    shares = {}
    for phase in (*cell.electrons, cell.electrolyte):
        of = label == mesh.phases[phase].label
        shares[phase] = float(volumes[of & keep].sum() / max(volumes[of].sum(), 1e-300))
    return keep, shares


def _name_dead_ends(
    mesh: TetMesh,
    component: cutting.Ints,
    dead: npt.NDArray[np.bool_],
    volumes: npt.NDArray[np.float64],
    what: str,
) -> None:
    """Log what does not take part, with where the largest piece of it is."""
    if not dead.any():
        return
    pieces, place = np.unique(component[dead], return_inverse=True)
    sizes = np.bincount(place, volumes[dead])
    largest = np.flatnonzero(dead)[place == np.argmax(sizes)]
    centre = np.round(mesh.points[mesh.cells[largest]].mean(axis=(0, 1)), 2).tolist()
    regions = ", ".join(map(str, np.unique(mesh.cell_region[largest])[:5].tolist()))
    log.warning("%d piece(s) of %s stay idle: %.4g um3 in all, the largest %.4g um3 near %s um (region %s)",
                len(pieces), what, sizes.sum(), sizes.max(), centre, regions)  # fmt: skip
