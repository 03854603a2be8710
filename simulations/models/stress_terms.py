"""What stress does to lithium in a half-cell: it drives the flux and shifts the open-circuit voltage.

The hydrostatic stress is split as σ_h = r − k·v(x), v = ΔV/V. With k = 2E/(9(1−ν)) the second part is the answer of a
free sphere to a profile of lithium, and is taken implicitly; the rest r comes from the mechanics. Feeding all of σ_h
back from the last mechanics diverges (docs/explanation/mechanics.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem

from pxm2mesh.materials import FARADAY, GAS_CONSTANT, Material, Parameter
from simulations.base.laws import parameter_on
from simulations.models.chemomechanics import MICRO, partial_molar_volume

Floats = npt.NDArray[np.float64]
_STEP = 1e-4
"""Of the difference quotient of Ω(x)."""


@dataclass(frozen=True, eq=False)
class StressTerms:
    """The two ways in which stress acts on lithium.

    Attributes:
        material: The active material, with swelling and elasticity.
        rest: r in MPa, at the nodes of the half-cell; whoever knows the mechanics fills it.
        stiffness: k in MPa.
        in_flux: J = −D[∇x − (Ω x(1−x)/RT) ∇σ_h].
        in_potential: U(x) + Ω(x)·σ_h/F.
        temperature: K.
    """

    material: Material
    rest: fem.Function
    stiffness: float
    in_flux: bool = True
    in_potential: bool = True
    temperature: float = 298.15

    @classmethod
    def of(cls, material: Material, space: fem.FunctionSpace, **options: Any) -> StressTerms:
        """With a rest of zero.

        Args:
            material: The active material.
            space: Continuous, of degree 1, on the half-cell's domain.
            options: The other attributes.

        Raises:
            StudyError: The material lacks what is needed.
        """
        rest = fem.Function(space, name="stress rest [MPa]")
        return cls(material, rest, free_sphere_stiffness(material), **options)

    @property
    def _strain(self) -> Parameter:
        return self.material.require("swelling.volume_strain", purpose="the coupling of stress and diffusion")

    def implicit(self, x: Any) -> Any:
        """k·v(x) in MPa, as UFL, or in numpy for an array."""
        if isinstance(x, np.ndarray):
            return self.stiffness * self._strain(x)
        return self.stiffness * parameter_on(self._strain, x)

    def gradient(self, x: Any) -> Any:
        """What takes the place of ∇x in the flux, as UFL."""
        if not self.in_flux:
            return ufl.grad(x)
        thermal = GAS_CONSTANT * self.temperature * MICRO
        volume = partial_molar_volume(self.material, x)
        pull = volume * x * (1 - x) / thermal
        c_max = float(self.material.require("transport.maximum_concentration"))
        return (1 + pull * self.stiffness * volume * c_max) * ufl.grad(x) - pull * ufl.grad(self.rest)

    def shift(self, x: Floats, rest: Floats) -> tuple[Floats, Floats] | None:
        """Ωσ_h/F in V and its derivative with respect to x; None where the potential is left alone.

        Args:
            x: State of lithiation at the surface.
            rest: r there, MPa.
        """
        if not self.in_potential:
            return None
        stress, volume = rest - self.implicit(x), self.molar_volume(x)
        slope = self.stiffness * self._strain.derivative(x)
        bend = (self.molar_volume(x + _STEP) - self.molar_volume(x - _STEP)) / (2 * _STEP)
        scale = 1e6 / FARADAY
        return volume * stress * scale, (bend * stress - volume * slope) * scale

    def molar_volume(self, x: Floats) -> Floats:
        """Ω(x) in m³/mol."""
        c_max = float(self.material.require("transport.maximum_concentration"))
        return np.asarray(self._strain.derivative(x) / c_max)

    def influence(self, x: Floats, change: Floats) -> float:
        """Largest Ω x(1−x) Δσ/RT: how much x could answer to a change of stress (MPa), dimensionless."""
        inside = np.clip(x, 0.0, 1.0)
        effect = self.molar_volume(inside) * inside * (1 - inside) * 1e6 * np.abs(change)
        return float(effect.max(initial=0.0)) / (GAS_CONSTANT * self.temperature)


def free_sphere_stiffness(material: Material) -> float:
    """The answer −dσ_h/dv = 2E/(9(1−ν)) of a free sphere, MPa, in the middle of the range of x."""
    purpose = "the coupling of stress and diffusion"
    young = float(material.require("elastic.youngs_modulus", purpose=purpose)(0.5))
    poisson = float(material.require("elastic.poisson_ratio", purpose=purpose)(0.5))
    return 2 * young / (9 * (1 - poisson))
