"""What the bonds of a solid leave of the current: of the reaction, and of conduction from phase to phase."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from simulations.base.domain import canonical_name
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.electrochemistry import HalfCell
from simulations.models.node_transfer import CELL, FacetTransfer

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
_INSULATES = 1e-6
"""Share of the conductivity that is left in cells behind an open contact, so that potentials stay defined."""


class Contact:
    """Hands `CohesiveInterfaces.transfer` from a solid to a half-cell; each lives on a part of one mesh of its own.

    Where active material and electrolyte part, the share scales the reaction, facet by facet. Where two conductors
    of electrons part (active material and binder, or a meshed collector given as the binder), the half-cell is not cut:
    there the share scales the conductivity of the binder's cells along the interface. Lithium and electrons
    pass bonds between grains of one phase unhindered.

    Args:
        cohesion: The bonds.
        half: Its ``contact_factor`` and ``conduction_factor`` are set.

    Attributes:
        kept: Share of each facet of ``half.interface`` in the last accepted state.
        found: The same for the displacement as it was when `find` was called last.
    """

    def __init__(self, cohesion: CohesiveInterfaces, half: HalfCell) -> None:
        self.cohesion, self.half = cohesion, half
        self._facets = FacetTransfer(cohesion.interface, half.interface)
        reaction = canonical_name(half.domain.phases, f"{half.cell.active} | {half.cell.electrolyte}")
        electrons = (
            [canonical_name(half.domain.phases, f"{half.cell.active} | {half.cell.binder}")]
            if half.cell.binder
            else []
        )
        for name in cohesion.laws:
            if name not in (reaction, *electrons):
                log.warning("bonds of %s: their damage is mechanical only, currents pass as before", name)
        self._wires = [cohesion.domain.tag(name) for name in electrons if name in cohesion.laws]
        self.find()
        self.keep()
        self.restore()

    def find(self) -> None:
        """Evaluate the bonds for the displacement as it is now."""
        interface = self.cohesion.interface
        share = (interface.weights * self.cohesion.transfer()).sum(axis=1) / interface.weights.sum(axis=1)
        self.found = self._facets.apply(share)
        self._conducts = self._conduction(share) if self._wires else None

    def _conduction(self, share: Floats) -> Floats:
        """Factor of each local cell of the half-cell, from the share of the facets of its own that are wires."""
        half, interface = self.half, self.cohesion.interface
        body = self.cohesion.domain
        chosen = np.isin(interface.tags, self._wires)
        label = body.phases[half.cell.binder or ""].label
        side = np.argmax(body.cell_tags.values[interface.cells[chosen]] == label, axis=1)
        cells = np.take_along_axis(interface.cells[chosen], side[:, None], axis=1)[:, 0]
        mine = (
            body.cell_fields[CELL][cells].astype(np.int64),
            interface.weights[chosen].sum(axis=1),
            share[chosen],
        )
        number, area, left = (np.concatenate(v) for v in zip(*body.comm.allgather(mine), strict=True))
        total = int(max(number.max(initial=0), half.domain.cell_fields[CELL].max(initial=0))) + 1
        areas, held = np.bincount(number, area, total), np.bincount(number, area * left, total)
        factor = np.where(areas > 0, np.maximum(held / np.where(areas > 0, areas, 1.0), _INSULATES), 1.0)
        cells = half.domain.cell_fields[CELL].astype(np.int64)
        self._wired = areas[cells] > 0
        return np.asarray(factor[cells])

    @property
    def used(self) -> Floats:
        """(n,) share of each facet that the half-cell is solved with."""
        return self.half.contact_factor[:, 0]

    def disagreement(self) -> float:
        """How much of what the half-cell was solved with was found otherwise, as a share of what is left."""
        areas, comm = self.half.interface.weights.sum(axis=1), self.half.domain.comm
        change, left = float(areas @ np.abs(self.found - self.used)), float(areas @ self.found)
        apart = float(comm.allreduce(change)) / max(float(comm.allreduce(left)), 1e-6 * self.half.area)
        if self._conducts is None or self._used_conducts is None:
            return apart
        change = float(np.abs(self._conducts - self._used_conducts)[self._wired].sum())
        left = float(self._conducts[self._wired].sum())
        return max(apart, float(comm.allreduce(change)) / max(float(comm.allreduce(left)), _INSULATES))

    def use(self, share: Floats) -> None:
        """Solve the half-cell with these shares, and the conductors as they were found."""
        self._set(np.clip(share, 0.0, 1.0), self._conducts)

    def keep(self) -> None:
        """What was found belongs to the accepted state, whose currents are still those it was solved with."""
        self.kept, self._kept_conducts = self.found, self._conducts

    def restore(self) -> None:
        """Solve with the contact of the accepted state."""
        self._set(self.kept, self._kept_conducts)

    def _set(self, share: Floats, conducts: Floats | None) -> None:
        self.half.set_contact(share[:, None])
        self._used_conducts = conducts
        if conducts is not None:
            factor = self.half.conduction_factor
            factor.x.array[np.asarray(factor.function_space.dofmap.list)[:, 0]] = conducts
