"""Work on a solid in which lithium moves, and what has become of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simulations.models.energy import energies
from simulations.models.mechanics import Solid, box_face_area, face_axis

Floats = npt.NDArray[np.float64]


class Work:
    """Work of the plate and of lithium, by the trapezoidal rule from one accepted state to the next.

    It is counted from the first state on, whose energy is taken as it is.

    Args:
        solid: At small strain, with elastic constants that do not depend on x.
        active: Phase that swells.
        face: Box face of the plate.

    Attributes:
        external: Of the plate, pJ.
        chemical: Of lithium, −∫σ_h dv, pJ.
        largest: The largest energy so far, pJ.
        imbalance: What is missing between the work done and what has become of it, as a share of the largest energy.
    """

    def __init__(self, solid: Solid, active: str, face: str) -> None:
        self.solid, self.active, self.face = solid, active, face
        domain = solid.domain
        cells = domain.cells(active)
        self._cells = cells[cells < domain.mesh.topology.index_map(3).size_local]
        self._dofs = np.asarray(domain.cellwise.dofmap.list)[self._cells, 0]
        self._volumes = domain.cell_volumes[self._cells]
        self._strain = solid.laws[active].material.require("swelling.volume_strain")  # type: ignore[attr-defined]
        self._area = box_face_area(domain, face)
        self.external = self.chemical = self.imbalance = 0.0
        self.start = self.largest = self.stored()
        self.look()

    def look(self) -> None:
        """Where the next step starts from."""
        self._last = self._measure()

    def take(self, energy: float) -> None:
        """Count what the plate did at once, such as a press: too long a step for the rule, so it is taken as found.

        Args:
            energy: By which the solid has more now, pJ.
        """
        self.external += energy
        self.look()

    def add(self) -> None:
        """Count what the step that was just accepted has done."""
        (force, inward, stress, swelling), now = self._last, self._measure()
        self.external += (force + now[0]) / 2 * (now[1] - inward)
        mine = float(self._volumes @ ((stress + now[2]) / 2 * (now[3] - swelling)))
        self.chemical -= float(self.solid.domain.comm.allreduce(mine))
        self._last = now
        held = self.stored()
        self.largest = max(self.largest, held)
        missing = self.external + self.chemical - (held - self.start)
        self.imbalance = abs(missing) / max(self.largest, 1e-300)

    def stored(self) -> float:
        """Stored and dissipated so far, pJ: in the body, in plastic flow, in the bonds."""
        held = energies(self.solid).total
        return held + (0.0 if self.solid.cohesion is None else sum(self.solid.cohesion.energies().values()))

    def _measure(self) -> tuple[float, float, Floats, Floats]:
        """Force (µN), way of the plate inwards (µm), and hydrostatic stress and ΔV/V of each active cell."""
        solid, x = self.solid, self.solid.x
        assert x is not None
        state = solid.state()
        moved = [*state["plates"], *state["walls"]]
        inward = -face_axis(self.face)[1] * float(moved[0]) if moved else 0.0
        stress = solid.average("hydrostatic").x.array[self._dofs]
        corners = x.x.array[np.asarray(x.function_space.dofmap.list)[self._cells]]
        return solid.pressure_on(self.face) * self._area, inward, stress, self._strain(corners).mean(axis=1)

    def numbers(self) -> dict[str, Any]:
        """All but where the next step starts from, for a checkpoint."""
        return {
            name: getattr(self, name) for name in ("external", "chemical", "start", "largest", "imbalance")
        }

    def resume(self, numbers: dict[str, Any]) -> None:
        """Go on from `numbers`; the solid has been restored."""
        for name, value in numbers.items():
            setattr(self, name, value)
        self.look()
