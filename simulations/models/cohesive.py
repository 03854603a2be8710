"""Interfaces that can break: cohesive elements on the cuts of a solid, with irreversible damage.

A `Solid` takes ``bonds={"NMC | LPSCl": CohesiveLaw(...)}`` and holds the two sides of each cut together with
them. Damage and contact live at the quadrature points of the interface elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem
from mpi4py import MPI
from petsc4py import PETSc

from pxm2mesh.errors import UsageError
from simulations.base.domain import Domain
from simulations.base.interfaces import Interface
from simulations.models.cohesive_laws import CohesiveLaw, Tractions, respond
from simulations.models.fatigue import degradation

Floats = npt.NDArray[np.float64]

BROKEN = 0.99
"""Damage from which a bond counts as broken, even while its faces touch."""
_STATE = (
    "damage", "opened", "separation", "dissipated", "viscous", "fatigue", "pace", "last_energy", "stored",
    "traction", "drag", "parted",
)  # fmt: skip


@dataclass(frozen=True)
class ContactAreas:
    """What has become of an interface, µm².

    Attributes:
        bonded: Never opened, damage below `BROKEN`.
        closed: Broken, but the faces touch.
        open: The gap is wider than the law's ``open_gap``.
        effective: ∫ of the share that transfers charge, see `CohesiveInterfaces.transfer`.
    """

    bonded: float
    closed: float
    open: float
    effective: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.bonded + self.closed + self.open


class CohesiveInterfaces:
    """The bonds of a solid: tractions, tangents, and the state that a step changes.

    Args:
        domain: Cut open at the interfaces.
        displacement: The unknown of the solid.
        laws: Interface → law.

    Attributes:
        interface: Where the points are.
        displacement: The unknown of the solid.
        step: Length of the step that is being attempted, s; used by laws with viscosity.
        damage: (n, q) D at the beginning of the step.
        opened: (n, q) 1 where the gap has once been open.
        separation: (n, q, 3) µm, at the beginning of the step.
        dissipated: (n, q) J/m², what damage has cost so far.
        stored: (n, q) J/m², what the bonds can give back, at the beginning of the step.
        viscous: (n, q) J/m², what the viscosity has taken on top.
        traction: (n, q, 3) MPa, at the beginning of the step.
        drag: (n, q, 3) MPa, the viscous part of it.
        parted: (n, q, 3) µm, the jump at the beginning of the step.
        fatigue: (n, q) J/m², accumulated ⟨Δ(1−D)½Kδ²⟩₊.
        pace: (n, q) J/m², what the last cycle has added to it.

    Raises:
        UsageError: No law, or the domain is not cut there.
    """

    def __init__(self, domain: Domain, displacement: fem.Function, laws: Mapping[str, CohesiveLaw]) -> None:
        if not laws:
            raise UsageError("no interface has a cohesive law.")
        self.domain, self.laws = domain, dict(laws)
        self.displacement = displacement
        self.interface = Interface(domain, displacement.function_space, list(laws))
        shape = self.interface.weights.shape
        self._where = [(law, self.interface.tags == domain.tag(name)) for name, law in self.laws.items()]
        self.step = float("inf")
        self.damage, self.opened, self.dissipated = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.separation, self.parted = np.zeros((*shape, 3)), np.zeros((*shape, 3))
        self.traction, self.drag = np.zeros((*shape, 3)), np.zeros((*shape, 3))
        self.viscous, self.stored = np.zeros(shape), np.zeros(shape)
        self.fatigue, self.pace, self.last_energy = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    # -- what the solver asks for ------------------------------------------------------------------

    @property
    def couplings(self) -> npt.NDArray[np.int32]:
        """Blocks of unknowns that are coupled, for the matrix."""
        return self.interface.couplings

    def constrain(self, bcs: list[Any]) -> None:
        """Leave prescribed values out of the matrix."""
        self.interface.constrain(bcs)

    def jump(self, function: fem.Function | None = None) -> Floats:
        """(n, q, 3) displacement of the minus side less that of the plus side, µm."""
        plus, minus = self.interface.values(self.displacement if function is None else function)
        return np.asarray(minus - plus)

    def weakening(self, fatigue: Floats | None = None) -> Floats:
        """(n, q) what fatigue has left of the fracture energy; for another accumulated energy if given."""
        accumulated = self.fatigue if fatigue is None else fatigue
        left = np.ones_like(self.damage)
        for law, where in self._where:
            if law.fatigue_threshold is not None:
                left[where] = degradation(accumulated[where], law.fatigue_threshold)
        return left

    def tractions(self) -> Tractions:
        """Of the displacement as it is now; the state stays."""
        jump, weak = self.jump(), self.weakening()
        shape = self.damage.shape
        scalars = ("damage", "mixture", "opening", "gap", "driving")
        parts = {name: np.zeros(shape) for name in scalars}
        parts |= {name: np.zeros((*shape, 3)) for name in ("traction", "separation", "drag")}
        parts |= {"tangent": np.zeros((*shape, 3, 3))}
        for law, where in self._where:
            found = respond(
                law, jump[where], self.interface.normals[where], self.damage[where], weak[where],
                before=self.separation[where], step=self.step,
            )  # fmt: skip
            for name, values in parts.items():
                values[where] = getattr(found, name)
        return Tractions(**parts)

    def add_residual(self, vector: PETSc.Vec) -> None:
        """Add the virtual work of the tractions."""
        traction = self.tractions().traction
        self.interface.add_to_vector(vector, -traction, traction)

    def add_action(self, vector: PETSc.Vec, direction: fem.Function) -> None:
        """Add the tangent times a direction."""
        change = np.einsum("fqab,fqb->fqa", self.tractions().tangent, self.jump(direction))
        self.interface.add_to_vector(vector, -change, change)

    def add_tangent(self, matrix: PETSc.Mat) -> None:
        """Add the tangent to a matrix whose other entries are not assembled yet."""
        sign = np.array([[1.0, -1.0], [-1.0, 1.0]])
        self.interface.add_to_matrix(
            matrix, np.einsum("fqab,st->fqsatb", self.tractions().tangent, sign, optimize=True)
        )

    # -- the state ---------------------------------------------------------------------------------

    def accept(self) -> None:
        """The end of the step is the beginning of the next one."""
        now = self.tractions()
        self.dissipated += self._cost(now)
        # by the trapezoidal rule, as the works of the loads are
        self.viscous += ((self.drag + now.drag) / 2 * (now.separation - self.separation)).sum(axis=-1)
        for law, where in self._where:
            energy = (1 - now.damage[where]) * now.driving[where]
            self.fatigue[where] += np.maximum(energy - self.last_energy[where], 0.0)
            self.last_energy[where] = energy
            self.opened[where] = np.maximum(self.opened[where], now.gap[where] > law.open_gap)
        self.damage, self.separation = now.damage, now.separation
        self.traction, self.drag, self.parted, self.stored = (
            now.traction,
            now.drag,
            self.jump(),
            self._stored(now),
        )

    def state(self) -> dict[str, Floats]:
        """Copies of all that a step changes."""
        return {f"bonds/{name}": getattr(self, name).copy() for name in _STATE}

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned."""
        for name in _STATE:
            setattr(self, name, np.array(state[f"bonds/{name}"]))

    def largest_change(self) -> float:
        """Largest share of G_c that a point spends in the step that is being attempted, on all ranks.

        Not the growth of D itself: with a stiff penalty D is .9 when a twentieth of the energy is spent.
        """
        return float(self.domain.comm.allreduce(float(self._change().max(initial=0.0)), op=MPI.MAX))

    def mean_change(self) -> float:
        """Share of G_c that all bonds together spend in the step that is being attempted."""
        return self.interface.mean(self._change())

    def work_error(self, most: float = 0.0) -> float:
        """By how much the trapezoidal rule misses the work on the bonds in this step, as a share of all that they take.

        Args:
            most: Or as a share of this energy, pJ, if it is less; of a fiftieth at least. 0 where it is not known.

        Between the ends of the step the separation grows evenly, and the traction has kinks: it rises, then falls. The
        same share is missing from the balance of energy, as the work of the loads is found by the same rule.
        """
        now = self.tractions()
        trapezoid = ((self.traction + now.traction) / 2 * (self.jump() - self.parted)).sum(axis=-1)
        viscous = ((self.drag + now.drag) / 2 * (now.separation - self.separation)).sum(axis=-1)
        missed = self.interface.integral(
            self._stored(now) - self.stored + self._cost(now) + viscous - trapezoid
        )
        whole = self.interface.integral(self._whole(now))
        return missed / (min(whole, max(most, whole / 50)) if most > 0 else whole)

    def _change(self) -> Floats:
        """(n, q) share of G_c that each point spends in this step."""
        now = self.tractions()
        return self._cost(now) / self._whole(now)

    def _whole(self, now: Tractions) -> Floats:
        """(n, q) what a bond would cost from the beginning, J/m²."""
        whole, weak = np.zeros_like(self.damage), self.weakening()
        for law, where in self._where:
            mixture = now.mixture[where]
            whole[where] = law.dissipated(np.ones_like(mixture), mixture, weak[where])
        return whole

    def _cost(self, now: Tractions) -> Floats:
        """(n, q) what the damage of this step costs, J/m².

        Where fatigue has lowered the toughness since the last step, damage grows without a further opening, and frees
        ½K δ₀·δ₁ ΔD (what the trapezoidal rule leaves of the work of such tractions); the rest follows the law.
        """
        cost, weak = np.zeros_like(self.damage), self.weakening()
        for law, where in self._where:
            grown, before, left = now.damage[where], self.damage[where], weak[where]
            jump, normals = self.parted[where], self.interface.normals[where]
            tired = np.minimum(respond(law, jump, normals, before, left).damage, grown)
            pull = np.einsum("fqc,fqc->fq", self.separation[where], now.separation[where])
            freed = 0.5 * law.tangent_stiffness * np.maximum(pull, 0.0) * (tired - before)
            at = now.mixture[where], left
            cost[where] = freed + np.maximum(law.dissipated(grown, *at) - law.dissipated(tired, *at), 0.0)
        return cost

    # -- what came of it -----------------------------------------------------------------------------

    def transfer(self) -> Floats:
        """(n, q) share of the reaction or conduction that each point still carries.

        1 − D where a damaged bond is pulled on, 0 where the gap is open. Where faces touch, the law's ``restored`` is
        the share of what damage has taken that works all the same, whether they have ever been open or not. That goes
        over evenly into 1 − D until half of ``open_gap``, and from there to 0, as what depends on it has to be found by
        iteration.
        """
        now = self.tractions()
        share = np.zeros_like(self.damage)
        for law, where in self._where:
            damage, apart = now.damage[where], 2 * np.maximum(now.gap[where], 0.0) / law.open_gap
            held = 1 - damage + law.restored * damage * np.maximum(1 - apart, 0.0)
            share[where] = held * np.clip(2 - apart, 0.0, 1.0)
        return share

    def areas(self, name: str | None = None) -> ContactAreas:
        """Areas by state of one interface, or of all of them."""
        now, shape = self.tractions(), self.damage.shape
        chosen, apart = np.zeros(shape), np.zeros(shape, bool)
        for (law, where), pair in zip(self._where, self.laws, strict=True):
            chosen[where] = 1.0 if name is None or self.domain.tag(name) == self.domain.tag(pair) else 0.0
            apart[where] = now.gap[where] > law.open_gap
        broken = (now.damage >= BROKEN) | (self.opened > 0)
        kinds = (~apart & ~broken, ~apart & broken, apart, self.transfer())
        return ContactAreas(*(self.interface.integral(chosen * kind) for kind in kinds))

    def gap_volume(self, name: str) -> float:
        """∫ of the gap over the open part of an interface, µm³."""
        gap, volume = self.tractions().gap, np.zeros_like(self.damage)
        for (law, where), pair in zip(self._where, self.laws, strict=True):
            if self.domain.tag(name) == self.domain.tag(pair):
                volume[where] = np.where(gap[where] > law.open_gap, gap[where], 0.0)
        return self.interface.integral(volume)

    def energies(self) -> dict[str, float]:
        """Stored in the bonds, dissipated by damage and by viscosity in the state that was last accepted, pJ.

        What fatigue has since taken off the toughness breaks bonds in the next step, and counts there.
        """
        integral = self.interface.integral
        return {
            "stored": integral(self.stored),
            "dissipated": integral(self.dissipated),
            "viscous": integral(self.viscous),
        }

    def _stored(self, now: Tractions) -> Floats:
        """(n, q) J/m²."""
        stored = np.zeros_like(self.damage)
        for law, where in self._where:
            held = np.maximum(1 - now.damage[where], law.residual)
            stored[where] = (
                held * now.driving[where] + 0.5 * law.stiffness * np.minimum(now.gap[where], 0) ** 2
            )
        return stored

    def averages(self) -> dict[str, Floats]:
        """(n,) means over each facet: damage, gap (µm), sliding (µm), normal traction (MPa), transfer."""
        now = self.tractions()
        weights = self.interface.weights / self.interface.weights.sum(axis=1, keepdims=True)
        normal = np.einsum("fqc,fc->fq", now.traction, self.interface.normals)
        values = {
            "damage [1]": now.damage, "gap [um]": now.gap,
            "sliding [um]": np.sqrt(np.maximum(now.mixture, 0.0)) * now.opening,
            "normal traction [MPa]": normal, "transfer [1]": self.transfer(),
        }  # fmt: skip
        return {name: np.asarray((weights * value).sum(axis=1)) for name, value in values.items()}
