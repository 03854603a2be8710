"""`Material`: the parts a physics may need, each parameter with unit, range, source and tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

import numpy as np

from pxm2mesh.errors import StudyError, did_you_mean
from pxm2mesh.materials.consistency import check_consistency
from pxm2mesh.materials.parameter import Parameter


@dataclass(frozen=True)
class Spec:
    """What a parameter must be: its dimension and its physical bounds (internal unit, open interval)."""

    dimension: str
    low: float = 0.0
    high: float = float("inf")
    closed: bool = False

    def holds(self, values: Any) -> bool:
        """Whether all values lie inside."""
        v = np.asarray(values, float)
        inside = (v >= self.low) & (v <= self.high) if self.closed else (v > self.low) & (v < self.high)
        return bool(np.all(inside))


@dataclass(frozen=True, kw_only=True)
class Part:
    """Base of the parts: every field is a `Parameter` or absent."""

    @classmethod
    def specs(cls) -> Mapping[str, Spec]:
        """Parameter name → what it must be."""
        return _specs_of(cls.__name__)

    def __iter__(self) -> Iterator[Parameter]:
        return (p for p in (getattr(self, f.name) for f in fields(self)) if p is not None)


@cache
def _specs_of(name: str) -> Mapping[str, Spec]:
    part = next(p for p in PARTS.values() if p.__name__ == name)
    hints = get_type_hints(part, include_extras=True)
    return MappingProxyType({f.name: hints[f.name].__metadata__[0] for f in fields(part)})


@dataclass(frozen=True, kw_only=True)
class Elastic(Part):
    """Isotropic linear elasticity; both may depend on x."""

    youngs_modulus: Annotated[Parameter | None, Spec("pressure")] = None
    poisson_ratio: Annotated[Parameter | None, Spec("dimensionless", -1.0, 0.5)] = None


@dataclass(frozen=True, kw_only=True)
class Plastic(Part):
    """J2 plasticity with linear isotropic hardening, and a Norton viscosity for rate dependence.

    With ``creep_exponent`` n and ``reference_rate`` r the flow rate is r·(overstress/σ_y)^n.
    """

    yield_stress: Annotated[Parameter | None, Spec("pressure")] = None
    hardening: Annotated[Parameter | None, Spec("pressure", 0.0, closed=True)] = None
    creep_exponent: Annotated[Parameter | None, Spec("dimensionless", 1.0, 100.0, closed=True)] = None
    reference_rate: Annotated[Parameter | None, Spec("frequency")] = None


@dataclass(frozen=True, kw_only=True)
class Transport(Part):
    """Diffusion and conduction."""

    diffusivity: Annotated[Parameter | None, Spec("diffusivity")] = None
    maximum_concentration: Annotated[Parameter | None, Spec("concentration")] = None
    electronic_conductivity: Annotated[Parameter | None, Spec("conductivity")] = None
    ionic_conductivity: Annotated[Parameter | None, Spec("conductivity")] = None
    density: Annotated[Parameter | None, Spec("density")] = None
    specific_capacity: Annotated[Parameter | None, Spec("specific_capacity")] = None


@dataclass(frozen=True, kw_only=True)
class Swelling(Part):
    """Chemical strain against x; ``volume_strain`` is ΔV/V relative to ``reference`` x."""

    volume_strain: Annotated[Parameter | None, Spec("dimensionless", -0.9, 10.0)] = None
    lattice_a: Annotated[Parameter | None, Spec("length")] = None
    lattice_c: Annotated[Parameter | None, Spec("length")] = None
    molar_volume: Annotated[Parameter | None, Spec("molar_volume")] = None
    reference: Annotated[Parameter | None, Spec("dimensionless", 0.0, 1.0, closed=True)] = None
    window_low: Annotated[Parameter | None, Spec("dimensionless", 0.0, 1.0, closed=True)] = None
    window_high: Annotated[Parameter | None, Spec("dimensionless", 0.0, 1.0, closed=True)] = None


@dataclass(frozen=True, kw_only=True)
class Kinetics(Part):
    """Charge transfer; ``exchange_current_density`` is i₀ at x = 1/2 unless it is a function of x."""

    open_circuit_voltage: Annotated[Parameter | None, Spec("voltage", -1.0, 10.0)] = None
    exchange_current_density: Annotated[Parameter | None, Spec("current_density")] = None
    transfer_coefficient: Annotated[Parameter | None, Spec("dimensionless", 0.0, 1.0)] = None
    contact_resistance: Annotated[Parameter | None, Spec("areal_resistance", 0.0, closed=True)] = None


@dataclass(frozen=True, kw_only=True)
class Fracture(Part):
    """Resistance to cracks in the bulk, or to debonding for an interface.

    Where ``shear_strength`` or ``shear_fracture_energy`` are absent, an interface slides apart as it opens.
    """

    fracture_energy: Annotated[Parameter | None, Spec("energy_per_area")] = None
    strength: Annotated[Parameter | None, Spec("pressure")] = None
    toughness: Annotated[Parameter | None, Spec("fracture_toughness")] = None
    shear_strength: Annotated[Parameter | None, Spec("pressure")] = None
    shear_fracture_energy: Annotated[Parameter | None, Spec("energy_per_area")] = None
    penalty_stiffness: Annotated[Parameter | None, Spec("stiffness")] = None
    mode_exponent: Annotated[Parameter | None, Spec("dimensionless", 0.5, 10.0)] = None


PARTS: Mapping[str, type[Part]] = MappingProxyType(
    {
        "elastic": Elastic,
        "plastic": Plastic,
        "transport": Transport,
        "swelling": Swelling,
        "kinetics": Kinetics,
        "fracture": Fracture,
    }
)


@dataclass(frozen=True)
class Material:
    """A material, or an interface between two (``between``).

    Attributes:
        name: Such as ``"NMC811"``; an interface is ``"NMC811 | LPSCl"``.
        description: One line.
        between: The two materials of an interface; empty for a bulk material.
        elastic: Elasticity.
        plastic: Plastic flow.
        transport: Diffusion and conduction.
        swelling: Chemical strain.
        kinetics: Charge transfer.
        fracture: Cracks.
        origin: File it was read from, for messages.

    Raises:
        StudyError: A value beyond its physical bounds, outside of its own range, or values that
            contradict each other (the Ω·c_max trap).
    """

    name: str
    description: str = ""
    between: tuple[str, ...] = ()
    elastic: Elastic | None = None
    plastic: Plastic | None = None
    transport: Transport | None = None
    swelling: Swelling | None = None
    kinetics: Kinetics | None = None
    fracture: Fracture | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        if len(self.between) not in (0, 2):
            raise StudyError(f"material {self.name!r}: between names two materials, got {self.between}.")
        for parameter in self:
            self._check_bounds(parameter)
        check_consistency(self)

    def _check_bounds(self, parameter: Parameter) -> None:
        part, _, key = parameter.name.partition(".")
        spec, samples = PARTS[part].specs()[key], parameter.samples()
        if not spec.holds(samples):
            bad = samples[~np.array([spec.holds(v) for v in samples])][0]
            raise StudyError(
                f"material {self.name!r}: {parameter.name} is {bad:g} "
                f"(internal unit of {parameter.dimension}), "
                f"but must lie between {spec.low:g} and {spec.high:g};",
                hint="check the number and its unit.",
            )
        if parameter.range and parameter.constant:
            low, high = parameter.range
            if not low * (1 - 1e-9) <= float(parameter) <= high * (1 + 1e-9):
                raise StudyError(
                    f"material {self.name!r}: {parameter.name} = {float(parameter):g} lies outside of its "
                    f"own range {low:g} … {high:g} (internal unit of {parameter.dimension});",
                    hint="correct the value or the range.",
                )

    def __iter__(self) -> Iterator[Parameter]:
        """All parameters that are given."""
        for name in PARTS:
            part: Part | None = getattr(self, name)
            if part is not None:
                yield from part

    def get(self, path: str) -> Parameter | None:
        """The parameter ``"elastic.youngs_modulus"``, or None where the material does not have it.

        Raises:
            StudyError: There is no such parameter at all.
        """
        part_name, _, key = path.partition(".")
        if part_name not in PARTS:
            raise StudyError(f"unknown part {part_name!r};", hint=did_you_mean(part_name, PARTS))
        if key not in PARTS[part_name].specs():
            hint = did_you_mean(key, PARTS[part_name].specs())
            raise StudyError(f"unknown parameter {path!r};", hint=hint)
        found: Parameter | None = getattr(getattr(self, part_name), key, None)
        return found

    def require(self, path: str, *, purpose: str = "this study") -> Parameter:
        """The parameter ``"elastic.youngs_modulus"``.

        Args:
            path: Part and name.
            purpose: What needs it, for the message.

        Raises:
            StudyError: The material does not have it.

        Example:
            >>> from pxm2mesh.materials import read_material
            >>> float(read_material("LPSCl").require("elastic.youngs_modulus"))
            22100.0
        """
        found = self.get(path)
        if found is None:
            part, _, key = path.partition(".")
            unit = PARTS[part].specs()[key].dimension
            raise StudyError(
                f"material {self.name!r}{f' ({self.origin})' if self.origin else ''} has no {path}, "
                f"which {purpose} needs;",
                hint=f'write [{part}] {key} = {{ value = …, unit = "…", source = "…" }} (a {unit}).',
            )
        return found

    def unsourced(self) -> tuple[Parameter, ...]:
        """Parameters without a source that could stand in a publication."""
        return tuple(p for p in self if not p.sourced)

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in PARTS if getattr(self, name) is not None}
        parts = ", ".join(f"{name} ({len(tuple(part))})" for name, part in given.items())
        return f"Material({self.name!r}: {parts})"
