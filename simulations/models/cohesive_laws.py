"""Traction against separation of an interface that can break: bilinear and exponential, in any mixture of modes.

Nothing here knows about meshes or solvers: arrays of points in, arrays out. Lengths in µm, stresses in MPa,
energies per area in MPa·µm = J/m².
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import StudyError
from pxm2mesh.materials import Material

Floats = npt.NDArray[np.float64]
Shape = Literal["bilinear", "exponential"]

_TINY = 1e-30
_BROKEN = 1 - 1e-9
_LOOSE = 1e-3
"""Share of the drag that a broken bond keeps: a piece that is loose on all sides cannot jump in a short step."""


@dataclass(frozen=True)
class CohesiveLaw:
    """How two faces hold together, and how they come apart.

    The traction is T = (1 − D) K δ for opening and sliding, and K⁰ δₙ in compression: faces that meet push
    back however damaged they are. D only grows. There is no friction.

    With the *bilinear* shape D starts at the strength; the mixed mode is that of Benzeggagh and Kenane, with
    onset and failure interpolated so that the dissipated energy never decreases. With the *exponential* shape
    T = (G_c/δ₀²) e^(−δ/δ₀) δ; the shear strength then follows from the shear energy.

    Attributes:
        strength: Largest tension, MPa.
        fracture_energy: Energy to part a unit area in opening, J/m².
        stiffness: Penalty K⁰, MPa/µm, in compression, and before damage of the bilinear shape.
        shape: ``"bilinear"`` or ``"exponential"``.
        shear_strength: Largest shear traction, MPa; ``strength`` if None.
        shear_energy: Energy in sliding, J/m²; ``fracture_energy`` if None.
        mode_exponent: Of Benzeggagh and Kenane.
        viscosity: ζ in s: a bond that is not yet broken also resists with ζ·strength·(rate of separation)/δ_f, which
            turns a snap into a fast but stable opening; a broken one with a thousandth of it, for pieces that have come
            loose on all sides. 0 for none.
        residual: Share of the initial stiffness that is never lost, so that a loose piece is not a singularity. The
            traction it leaves grows with the gap: 0.01 MPa per µm by default.
        open_gap: A gap wider than this is open, µm.
        restored: Share of the charge transfer lost to damage that faces have again where they touch.
        fatigue_threshold: Accumulated energy per area above which G_c falls, J/m²; None for no fatigue.

    Raises:
        StudyError: A value that makes no sense, with the numbers.

    References:
        Benzeggagh, Kenane, Compos. Sci. Technol. 56 (1996) 439. Turon et al., Mech. Mater. 38 (2006) 1072.
        Viscosity: Gao, Bower, Modelling Simul. Mater. Sci. Eng. 12 (2004) 453.
    """

    strength: float
    fracture_energy: float
    stiffness: float = 1e6
    shape: Shape = "bilinear"
    shear_strength: float | None = None
    shear_energy: float | None = None
    mode_exponent: float = 1.45
    viscosity: float = 0.0
    residual: float = 1e-8
    open_gap: float = 1e-3
    restored: float = 1.0
    fatigue_threshold: float | None = None

    def __post_init__(self) -> None:
        for name in ("strength", "fracture_energy", "stiffness", "mode_exponent"):
            if not getattr(self, name) > 0:
                raise StudyError(f"cohesive law: {name} is {getattr(self, name):g}, but must be positive.")
        if not 0 <= self.restored <= 1 or not 0 < self.residual < 0.01:
            raise StudyError(
                f"cohesive law: restored = {self.restored:g} must lie in 0 … 1, "
                f"residual = {self.residual:g} in 0 … 0.01."
            )
        if self.shape not in ("bilinear", "exponential"):
            raise StudyError(f"cohesive law: unknown shape {self.shape!r};", hint="bilinear or exponential.")
        if self.shape == "exponential" and self.shear_strength is not None:
            raise StudyError(
                "cohesive law: the exponential shape has no shear strength of its own;",
                hint="give shear_energy: the strength follows from it.",
            )
        modes = {"opening": (self.strength, self.fracture_energy), "sliding": self._shear_mode()}
        for what, (strength, energy) in modes.items():
            onset, failure = self._lengths(strength, energy)
            if not failure > onset:
                least = (strength / 2 / energy) * strength
                raise StudyError(
                    f"cohesive law: in {what}, damage would begin at {onset:.3g} µm, after failure "
                    f"at {failure:.3g} µm;",
                    hint=f"the stiffness {self.stiffness:.3g} MPa/um must exceed {least:.3g} MPa/um.",
                )

    @classmethod
    def of(cls, material: Material, **options: object) -> CohesiveLaw:
        """From the fracture part of an interface material; ``options`` are further attributes.

        Raises:
            StudyError: No strength or fracture energy.

        Example:
            >>> from pxm2mesh.materials import read_material
            >>> law = CohesiveLaw.of(read_material("NMC811-LPSCl"))
            >>> law.strength, law.fracture_energy, law.failure_gap
            (100.0, 1.0, 0.02)
        """
        purpose = "an interface that can break"
        values: dict[str, object] = {
            "strength": float(material.require("fracture.strength", purpose=purpose)),
            "fracture_energy": float(material.require("fracture.fracture_energy", purpose=purpose)),
        }
        for name, path in (
            ("stiffness", "penalty_stiffness"),
            ("mode_exponent", "mode_exponent"),
            ("shear_strength", "shear_strength"),
            ("shear_energy", "shear_fracture_energy"),
        ):
            found = material.get(f"fracture.{path}")
            if found is not None and not (name == "shear_strength" and options.get("shape") == "exponential"):
                values[name] = float(found)
        return cls(**{**values, **options})  # type: ignore[arg-type]

    @property
    def failure_gap(self) -> float:
        """Opening without traction (bilinear), or at which 1 % of the strength is left (exponential), µm."""
        return self._normal()[1] if self.shape == "bilinear" else 7.638352 * self._normal()[0]

    @property
    def slope(self) -> float:
        """Steepest fall of the traction with the opening, MPa/µm: a body less stiff than that snaps."""
        onset, failure = self._normal()
        if self.shape == "bilinear":
            return self.strength / (failure - onset)
        return self.fracture_energy / onset**2 * float(np.exp(-2.0))

    @property
    def tangent_stiffness(self) -> float:
        """K of the intact bond in tension, MPa/µm."""
        return self.stiffness if self.shape == "bilinear" else self.fracture_energy / self._normal()[0] ** 2

    @property
    def drag(self) -> float:
        """Viscous traction per rate of separation of an intact bond, MPa·s/µm."""
        return self.viscosity * self.strength / self.failure_gap

    def spent(self, damage: Floats, mixture: Floats, weakening: Floats | float = 1.0) -> Floats:
        """Share of G_c that damage ``damage`` has cost."""
        whole = self.dissipated(np.ones_like(damage), mixture, weakening)
        return np.asarray(self.dissipated(damage, mixture, weakening) / whole)

    def _normal(self) -> tuple[float, float]:
        return self._lengths(self.strength, self.fracture_energy)

    def _shear(self) -> tuple[float, float]:
        return self._lengths(*self._shear_mode())

    def _shear_mode(self) -> tuple[float, float]:
        return self.shear_strength or self.strength, self.shear_energy or self.fracture_energy

    def _lengths(self, strength: float, energy: float) -> tuple[float, float]:
        """Opening at onset and at failure; for the exponential shape δ₀ and infinity."""
        if self.shape == "bilinear":
            return strength / self.stiffness, 2 * energy / strength
        opening = self.fracture_energy / (math.e * self.strength)  # of pure opening; fixes K for all modes
        return float(opening * np.sqrt(energy / self.fracture_energy)), np.inf

    def scales(self, mixture: Floats, weakening: Floats | float = 1.0) -> tuple[Floats, Floats]:
        """δ₀ and δ_f for shares of sliding B = δ_s²/δ², µm.

        Args:
            mixture: B, in 0 … 1.
            weakening: What fatigue has left of G_c; both lengths, and so the strength, shrink by its root.
        """
        onset, failure, _, _ = self._scales(mixture)
        left = np.sqrt(weakening)
        return onset * left, failure * left

    def _scales(self, mixture: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """δ₀, δ_f and their derivatives by B, without fatigue."""
        (n0, nf), (s0, sf) = self._normal(), self._shear()
        b = np.clip(mixture, 1e-12, 1) ** self.mode_exponent
        slope = self.mode_exponent * np.clip(mixture, 1e-12, 1) ** (self.mode_exponent - 1)
        onset = np.sqrt(n0**2 + (s0**2 - n0**2) * b)
        d_onset = (s0**2 - n0**2) * slope / (2 * onset)
        if self.shape == "exponential":
            return onset, np.full_like(onset, np.inf), d_onset, np.zeros_like(onset)
        failure = (n0 * nf + (s0 * sf - n0 * nf) * b) / onset
        return onset, failure, d_onset, ((s0 * sf - n0 * nf) * slope - failure * d_onset) / onset

    def damage(self, opening: Floats, mixture: Floats, weakening: Floats | float = 1.0) -> Floats:
        """D that belongs to a separation δ that was reached monotonically."""
        onset, failure = self.scales(mixture, weakening)
        if self.shape == "exponential":
            return np.asarray(1 - np.exp(-opening / onset))
        grown = failure * (opening - onset) / (np.maximum(opening, _TINY) * (failure - onset))
        return np.asarray(np.clip(grown, 0.0, 1.0))

    def damage_slopes(
        self, opening: Floats, mixture: Floats, weakening: Floats | float
    ) -> tuple[Floats, Floats]:
        """∂D/∂δ and ∂D/∂B."""
        onset, failure, d_onset, d_failure = (v * np.sqrt(weakening) for v in self._scales(mixture))
        if self.shape == "exponential":
            left = np.exp(-opening / onset)
            return left / onset, -left * opening / onset**2 * d_onset
        delta, width = np.maximum(opening, _TINY), failure - onset
        inside = (opening > onset) & (opening < failure)
        slope = failure * onset / (delta**2 * width)
        by_failure = -onset * (delta - onset) / (delta * width**2)
        by_onset = failure * (delta - failure) / (delta * width**2)
        mixing = by_failure * d_failure + by_onset * d_onset
        return np.where(inside, slope, 0.0), np.where(inside, mixing, 0.0)

    def opening_of(self, damage: Floats, mixture: Floats, weakening: Floats | float = 1.0) -> Floats:
        """The separation δ at which the damage is ``damage``: the inverse of `damage`."""
        onset, failure = self.scales(mixture, weakening)
        if self.shape == "exponential":
            return np.asarray(-onset * np.log1p(-np.minimum(damage, _BROKEN)))
        return np.asarray(onset * failure / (failure - damage * (failure - onset)))

    def dissipated(self, damage: Floats, mixture: Floats, weakening: Floats | float = 1.0) -> Floats:
        """Energy per area that damage ``damage`` has cost, J/m²: G_c when broken."""
        onset, failure = self.scales(mixture, weakening)
        opening = self.opening_of(damage, mixture, weakening)
        stiffness = self.tangent_stiffness
        if self.shape == "exponential":
            r = opening / onset
            return np.asarray(stiffness * onset**2 * (1 - np.exp(-r) * (1 + r + r**2 / 2)))
        return np.asarray(0.5 * stiffness * onset * failure * (opening - onset) / (failure - onset))


@dataclass(frozen=True, eq=False)
class Tractions:
    """What a law gives at points.

    Attributes:
        traction: (n, q, 3) MPa on the plus side; the minus side has the opposite one.
        tangent: (n, q, 3, 3) MPa/µm, its derivative by the jump.
        damage: (n, q) D at the end of the step.
        mixture: (n, q) B, the share of sliding.
        separation: (n, q, 3) jump without the part by which faces press on each other, µm.
        opening: (n, q) δ = √(⟨δₙ⟩² + δ_s²), µm.
        gap: (n, q) δₙ, µm; negative where faces press on each other.
        driving: (n, q) ½ K δ², what damage releases, J/m².
        drag: (n, q, 3) MPa, the part of the traction that is viscous.
    """

    traction: Floats
    tangent: Floats
    damage: Floats
    mixture: Floats
    separation: Floats
    opening: Floats
    gap: Floats
    driving: Floats
    drag: Floats


def respond(
    law: CohesiveLaw,
    jump: Floats,
    normals: Floats,
    damage: Floats,
    weakening: Floats | float = 1.0,
    *,
    before: Floats | None = None,
    step: float = np.inf,
) -> Tractions:
    """Tractions for a jump of the displacement.

    Args:
        law: The law.
        jump: (n, q, 3) displacement on the minus side less that on the plus side, µm.
        normals: (n, 3) from the plus to the minus side.
        damage: (n, q) D at the beginning of the step.
        weakening: What fatigue has left of G_c.
        before: (n, q, 3) separation at the beginning of the step; needed for viscosity.
        step: Its length, s.

    Returns:
        Tractions, their derivatives, and the damage at the end of the step.
    """
    n = np.broadcast_to(normals[:, None, :], jump.shape)
    gap = np.einsum("fqc,fqc->fq", jump, n)
    sliding = jump - gap[..., None] * n
    separation = sliding + np.maximum(gap, 0.0)[..., None] * n
    opening = np.sqrt(np.einsum("fqc,fqc->fq", separation, separation))
    safe = np.maximum(opening, _TINY)
    mixture = np.einsum("fqc,fqc->fq", sliding, sliding) / safe**2
    target = law.damage(opening, mixture, weakening)
    new = np.maximum(target, damage)
    stiffness = law.tangent_stiffness
    held = stiffness * np.maximum(1 - new, law.residual)[..., None]
    closed = (gap < 0)[..., None, None]
    normal = np.einsum("fqa,fqb->fqab", n, n)
    free = np.eye(3) - normal * closed
    traction = held * separation + law.stiffness * np.minimum(gap, 0.0)[..., None] * n
    tangent = held[..., None] * free + law.stiffness * normal * closed
    by_opening, by_mixture = law.damage_slopes(opening, mixture, weakening)
    active = (target > damage) & (1 - new > law.residual)
    direction = separation / safe[..., None]
    of_mixture = 2 / safe[..., None] ** 2 * (sliding - mixture[..., None] * separation)
    gradient = by_opening[..., None] * direction + by_mixture[..., None] * of_mixture
    gradient = np.where(active[..., None], gradient, 0.0)
    tangent = tangent - stiffness * np.einsum("fqa,fqb->fqab", separation, gradient)
    drag = np.zeros_like(traction)
    if law.viscosity > 0 and before is not None and np.isfinite(step):
        left = np.maximum(1 - law.spent(damage, mixture * 0, weakening), _LOOSE)
        rate = law.drag / step * left[..., None]
        drag = rate * (separation - before)
        traction = traction + drag
        tangent = tangent + rate[..., None] * free
    driving = 0.5 * stiffness * opening**2
    return Tractions(traction, tangent, new, mixture, separation, opening, gap, driving, drag)
