"""Charge transfer at the interface of active material and electrolyte (Butler and Volmer)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.materials import FARADAY as FARADAY_C
from pxm2mesh.materials import GAS_CONSTANT, Material, Parameter

Floats = npt.NDArray[np.float64]

FARADAY = FARADAY_C * 1e-6
"""pC/amol: 1 A/m² = 1 pA/µm² carries 1/F amol/µm²/s."""
_FLOOR = 1e-4
_ROUNDS = 50


@dataclass(frozen=True)
class ButlerVolmer:
    """i = i₀(x) [exp(α F η/RT) − exp(−(1−α) F η/RT)], η = φ_s − φ_e − U(x) − ρ i; anodic (lithium leaves) positive.

    Attributes:
        open_circuit: U(x) in V.
        open_circuit_slope: dU/dx in V.
        exchange_current: i₀ at x = 1/2 in A/m²; i₀(x) = 2 i₀ √(x(1−x)), x held 10⁻⁴ away from its ends.
        transfer: α.
        temperature: K.
        resistance: ρ, the contact resistance in series, µm²/pS (1 Ω m² = 1 µm²/pS).
        constant_exchange: i₀ does not depend on x.
    """

    open_circuit: Callable[[Floats], Floats]
    open_circuit_slope: Callable[[Floats], Floats]
    exchange_current: float
    transfer: float = 0.5
    temperature: float = 298.15
    resistance: float = 0.0
    constant_exchange: bool = False

    def __post_init__(self) -> None:
        if not self.exchange_current > 0:
            raise UsageError(f"the exchange current density {self.exchange_current!r} is not positive.")

    @classmethod
    def of(
        cls, material: Material, *, temperature: float = 298.15, interface: Material | None = None
    ) -> ButlerVolmer:
        """From the kinetics of a material, or of an interface where that has them."""

        def value(name: str) -> Parameter | None:
            found = interface.get(f"kinetics.{name}") if interface is not None else None
            return found if found is not None else material.get(f"kinetics.{name}")

        ocv = material.require("kinetics.open_circuit_voltage", purpose="charge transfer")
        exchange = value("exchange_current_density") or material.require(
            "kinetics.exchange_current_density", purpose="charge transfer"
        )
        transfer, resistance = value("transfer_coefficient"), value("contact_resistance")
        return cls(
            ocv, ocv.derivative, float(exchange), 0.5 if transfer is None else float(transfer), temperature,
            0.0 if resistance is None else float(resistance),
        )  # fmt: skip

    @property
    def thermal(self) -> float:
        """F/RT in 1/V."""
        return FARADAY_C / (GAS_CONSTANT * self.temperature)

    def exchange(self, x: Floats) -> tuple[Floats, Floats]:
        """i₀ and its derivative with respect to x."""
        if self.constant_exchange:
            return np.full_like(x, self.exchange_current), np.zeros_like(x)
        inside = np.clip(x, _FLOOR, 1 - _FLOOR)
        root = np.sqrt(inside * (1 - inside))
        slope = np.where(inside == x, self.exchange_current * (1 - 2 * inside) / root, 0.0)
        return 2 * self.exchange_current * root, slope

    def current(
        self, x: Floats, drop: Floats, activity: Any = 1.0, shift: tuple[Floats, Floats] | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Current density and its derivatives.

        Args:
            x: State of lithiation at the surface.
            drop: φ_s − φ_e in V.
            activity: Share of the surface that takes part (1 − damage).
            shift: What stress adds to U(x) in V, and its derivative with respect to x.

        Returns:
            i in A/m², ∂i/∂x and ∂i/∂(φ_s − φ_e).
        """
        shift_by, shift_slope = shift if shift is not None else (0.0, 0.0)
        eta = drop - self.open_circuit(x) - shift_by
        with np.errstate(over="ignore", invalid="ignore"):
            exchange, slope = self.exchange(x)
            exchange, slope = exchange * activity, slope * activity
            i, by_eta = self._flow(exchange, eta)
            if self.resistance > 0:
                i, by_eta = self._in_series(exchange, eta)
            flow = i / np.where(exchange > 0, exchange, 1.0)
            damp = 1.0 + self.resistance * by_eta
            by_x = (slope * flow - by_eta * (self.open_circuit_slope(x) + shift_slope)) / damp
        return i, by_x, by_eta / damp

    def overpotential(self, x: Floats, density: float) -> Floats:
        """φ_s − φ_e − U at which a current density (A/m²) passes, contact resistance included, in V."""
        exchange, _ = self.exchange(x)
        eta = 2 / self.thermal * np.arcsinh(density / (2 * exchange))  # exact for α = 1/2
        for _ in range(_ROUNDS):
            i, by_eta = self._flow(exchange, eta)
            change = np.clip((i - density) / by_eta, -0.2, 0.2)
            eta = eta - change
            if np.max(np.abs(change), initial=0.0) < 1e-15:
                break
        return np.asarray(eta + self.resistance * density)

    def _flow(self, exchange: Floats, eta: Floats) -> tuple[Floats, Floats]:
        a, b = self.transfer * self.thermal, (1 - self.transfer) * self.thermal
        anodic, cathodic = np.exp(a * eta), np.exp(-b * eta)
        return exchange * (anodic - cathodic), exchange * (a * anodic + b * cathodic)

    def _in_series(self, exchange: Floats, eta: Floats) -> tuple[Floats, Floats]:
        """Newton for η' + ρ i(η') = η at each point; monotone, so it converges."""
        inner = eta.copy() / (1 + self.resistance * exchange * self.thermal)
        for _ in range(_ROUNDS):
            i, by_eta = self._flow(exchange, inner)
            change = (inner + self.resistance * i - eta) / (1 + self.resistance * by_eta)
            inner = inner - np.clip(change, -0.2, 0.2)
            if np.max(np.abs(change), initial=0.0) < 1e-15:
                break
        return self._flow(exchange, inner)
