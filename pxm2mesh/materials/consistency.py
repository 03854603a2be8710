"""Values of one material that must agree with each other, and the errors when they do not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from pxm2mesh.errors import StudyError

if TYPE_CHECKING:
    from pxm2mesh.materials.material import Material
    from pxm2mesh.materials.parameter import Parameter

log = logging.getLogger(__name__)

FARADAY = 96485.33212
"""C/mol (exact, SI 2019)."""
GAS_CONSTANT = 8.314462618
"""J/(mol K) (exact, SI 2019)."""

CONSISTENCY_TOLERANCE = 0.25
"""Largest relative disagreement between Ω·c_max·Δx and the stated volume strain."""
CAPACITY_TOLERANCE = 0.05
"""Largest relative disagreement between c_max·F/ρ and the stated capacity."""
LATTICE_TOLERANCE = 0.005
"""Largest absolute disagreement between a²c and the stated volume strain."""


def check_consistency(material: Material) -> None:
    """Refuse pairs of values that contradict each other.

    - Ω·c_max·Δx against the volume strain over the same window of x: a partial molar volume fitted
      with another concentration scale gives NMC a volume change of 79 % in place of 5 %.
    - c_max·F/ρ against the specific capacity: a c_max that is not crystallographic.
    - a²c of the lattice against the volume strain.

    Args:
        material: What to check; values that are absent are not compared.

    Raises:
        StudyError: With both numbers.
    """
    _check_swelling(material)
    _check_capacity(material)
    _check_lattice(material)


def _check_swelling(material: Material) -> None:
    omega, c_max = material.get("swelling.molar_volume"), material.get("transport.maximum_concentration")
    if omega is None or c_max is None:
        return
    strain = material.get("swelling.volume_strain")
    if strain is None:
        raise StudyError(
            f"material {material.name!r} has molar_volume and maximum_concentration, "
            "but no swelling.volume_strain to compare their product with;",
            hint="state the volume strain ΔV/V against x: Ω·c_max·Δx must agree with it.",
        )
    low, high = swelling_window(material)
    expected = float(abs(np.diff(strain([low, high]))[0]))
    product = float(omega) * float(c_max) * (high - low)
    if abs(product - expected) > CONSISTENCY_TOLERANCE * expected:
        raise StudyError(
            f"material {material.name!r}: Ω·c_max·Δx = {float(omega):.4g} m³/mol × "
            f"{float(c_max):.6g} mol/m³ × {high - low:.3g} = {product:.1%}, but swelling.volume_strain "
            f"changes by {expected:.1%} between "
            f"x = {low:g} and {high:g} (tolerance {CONSISTENCY_TOLERANCE:.0%} of it);",
            hint="Ω and c_max come from different fits; "
            f"Ω = {expected / float(c_max) / (high - low):.3g} m³/mol would agree.",
        )


def swelling_window(material: Material) -> tuple[float, float]:
    """The interval of x over which the volume strain is stated (``window_low``, ``window_high``).

    Args:
        material: With a swelling part.

    Returns:
        (low, high); the interval of the volume strain's own function where the window is not given.
    """
    low, high = material.get("swelling.window_low"), material.get("swelling.window_high")
    strain = material.get("swelling.volume_strain")
    valid = (0.0, 1.0) if strain is None else strain.valid
    return (valid[0] if low is None else float(low), valid[1] if high is None else float(high))


def _check_capacity(material: Material) -> None:
    c_max, density = material.get("transport.maximum_concentration"), material.get("transport.density")
    capacity = material.get("transport.specific_capacity")
    if c_max is None or density is None or capacity is None:
        return
    implied = float(c_max) * FARADAY / 3600 / float(density)
    if abs(implied - float(capacity)) > CAPACITY_TOLERANCE * float(capacity):
        raise StudyError(
            f"material {material.name!r}: maximum_concentration {float(c_max):.6g} mol/m³ and density "
            f"{float(density):.5g} kg/m³ hold {implied:.1f} mAh/g, "
            f"but specific_capacity is {float(capacity):.1f} mAh/g (tolerance {CAPACITY_TOLERANCE:.0%});",
            hint=f"c_max = {float(capacity) * 3600 * float(density) / FARADAY:.6g} mol/m³ would agree.",
        )


def _check_lattice(material: Material) -> None:
    a, c = material.get("swelling.lattice_a"), material.get("swelling.lattice_c")
    strain = material.get("swelling.volume_strain")
    if a is None or c is None or strain is None:
        return
    x0 = reference_x(material)
    low = max(p.valid[0] for p in (a, c, strain))
    high = min(p.valid[1] for p in (a, c, strain))
    x = np.linspace(low, high, 41)
    cell = (a(x) / a(x0)) ** 2 * c(x) / c(x0) - 1.0
    gap = np.abs(cell - (strain(x) - strain(x0)))
    worst = int(np.argmax(gap))
    if gap[worst] > LATTICE_TOLERANCE:
        raise StudyError(
            f"material {material.name!r}: at x = {x[worst]:.2f} the lattice (a²c) changes its volume "
            f"by {cell[worst]:.2%}, but swelling.volume_strain says {float(strain(x[worst])):.2%} "
            f"(tolerance {LATTICE_TOLERANCE:.1%});",
            hint="take both from the same diffraction data.",
        )


def reference_x(material: Material) -> float:
    """The state of lithiation of zero chemical strain (1 where the material does not say)."""
    given = material.get("swelling.reference")
    return 1.0 if given is None else float(given)


def refuse_unsourced(material: Material) -> None:
    """The publication mode: every value has a source; quoted ones are listed in the log.

    Args:
        material: What to check.

    Raises:
        StudyError: Values that are common knowledge or assumed, by name.
    """
    bad = [f"{p.name} ({p.tag}{'' if p.source else ', no source'})" for p in material.unsourced()]
    if bad:
        raise StudyError(
            f"material {material.name!r}: {len(bad)} values without a source that can be published: "
            f"{', '.join(bad)};",
            hint="give each a measured value with source and tag in a file of your own, with "
            f'base = "{material.name}".',
        )
    quoted: list[Parameter] = [p for p in material if p.tag == "second-hand"]
    for parameter in quoted:
        log.warning("%s: %s is quoted second-hand: %s", material.name, parameter.name, parameter.source)
