"""Traction-separation laws by themselves: energies, strengths, derivatives, irreversibility."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pxm2mesh.errors import StudyError
from pxm2mesh.materials import read_material
from simulations.models.cohesive_laws import CohesiveLaw, respond

MIXED: dict[str, dict[str, Any]] = {
    "bilinear": {"shape": "bilinear", "shear_energy": 3.0, "shear_strength": 150.0},
    "exponential": {"shape": "exponential", "shear_energy": 3.0},
}
NORMAL = np.array([[0.0, 0.0, 1.0]])


def pulled(law: CohesiveLaw, direction: list[float], reach: float = 0.4, points: int = 400_001) -> Any:
    """The law along a straight, monotonic separation."""
    distance = np.linspace(0, reach, points)[None]
    jump = distance[..., None] * np.array(direction)
    return distance[0], respond(law, jump, NORMAL, np.zeros_like(distance))


@pytest.mark.parametrize("shape", MIXED)
@pytest.mark.parametrize(
    ("direction", "energy"),
    [([0, 0, 1.0], 1.0), ([1.0, 0, 0], 3.0), ([0.6, 0, 0.8], 1 + 2 * 0.36**1.45)],
)
def test_v25_the_area_under_the_curve_is_the_fracture_energy(
    shape: str, direction: list[float], energy: float
) -> None:
    """Catches a factor 2 in δ_f, and mixed modes that take δ_s/δ for B in place of its square."""
    law = CohesiveLaw(100.0, 1.0, residual=1e-12, **MIXED[shape])
    distance, found = pulled(law, direction)
    along = found.traction[0] @ np.array(direction)
    assert np.trapezoid(along, distance) == pytest.approx(energy, rel=1e-3)
    cost = law.dissipated(found.damage[:, -1], found.mixture[:, -1])
    assert cost == pytest.approx(energy, rel=1e-3)
    strength = along.max()
    if direction[2] == 1:
        assert strength == pytest.approx(100.0, rel=1e-4)
    if direction[0] == 1:
        assert strength == pytest.approx({"bilinear": 150.0, "exponential": 100 * 3**0.5}[shape], rel=1e-4)


def test_a_broken_bond_resists_in_a_short_step_and_not_in_a_long_one() -> None:
    """A piece that is loose on all sides has no other hold: without it a small cathode fails in its 20th cycle."""
    law = CohesiveLaw(100.0, 1.0, viscosity=0.3)
    jump, broken = np.array([[[0.0, 0.0, 0.1]]]), np.ones((1, 1))
    short, long = (respond(law, jump, NORMAL, broken, before=jump - 1e-3, step=step) for step in (1e-4, 1e4))
    assert short.traction[0, 0, 2] > 0.1 * law.strength > 1e2 * abs(long.traction[0, 0, 2])
    assert np.all(short.damage == 1)


@pytest.mark.parametrize("shape", MIXED)
@pytest.mark.parametrize("viscosity", [0.0, 0.3])
def test_v30_the_tangent_is_the_derivative_of_the_traction(shape: str, viscosity: float) -> None:
    """Catches a tangent without ∂D/∂B, and one without the drag of the viscosity."""
    law = CohesiveLaw(100.0, 1.0, viscosity=viscosity, **MIXED[shape])
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(5, 3))
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    old, left = np.full((5, 4), 0.05), np.full((5, 4), 0.7)
    rest: dict[str, Any] = {"before": rng.normal(size=(5, 4, 3)) * 1e-3, "step": 0.2}
    for size in (2e-5, 3e-3, 2e-2):
        jump = rng.normal(size=(5, 4, 3)) * size
        found = respond(law, jump, normals, old, left, **rest)
        for axis in range(3):
            shift = np.eye(3)[axis] * size * 1e-6
            ahead, behind = (
                respond(law, jump + s * shift, normals, old, left, **rest).traction for s in (1, -1)
            )
            slope = (ahead - behind) / (2e-6 * size)
            assert np.abs(slope - found.tangent[..., axis]).max() < 1e-6 * np.abs(found.tangent).max()


@pytest.mark.parametrize("shape", MIXED)
def test_unloading_is_along_the_secant_and_damage_stays(shape: str) -> None:
    """Catches damage that heals, and unloading along the initial stiffness (a plastic law)."""
    law = CohesiveLaw(100.0, 1.0, **MIXED[shape])
    jump = np.array([[[0, 0, 8e-3]]])
    there = respond(law, jump, NORMAL, np.zeros((1, 1)))
    half = respond(law, jump / 2, NORMAL, there.damage)
    assert half.damage == there.damage and 0 < there.damage < 1
    assert half.traction == pytest.approx(there.traction / 2, rel=1e-12)
    pressed = respond(law, -jump, NORMAL, np.ones((1, 1)))
    assert pressed.traction[0, 0, 2] == pytest.approx(-law.stiffness * 8e-3) and pressed.opening == 0


def test_damage_inverts_and_costs_what_it_should() -> None:
    for options in MIXED.values():
        law = CohesiveLaw(100.0, 1.0, **options)
        damage, mixture = np.linspace(0.01, 0.99, 9), np.linspace(0, 1, 9)
        assert law.damage(law.opening_of(damage, mixture, 0.5), mixture, 0.5) == pytest.approx(damage)
        assert np.all(np.diff(law.dissipated(damage, np.zeros(9))) > 0)


def test_fatigue_takes_from_the_energy_and_the_root_of_it_from_the_strength() -> None:
    for options in MIXED.values():
        law = CohesiveLaw(100.0, 1.0, residual=1e-12, **options)
        distance = np.linspace(0, 0.3, 300_001)[None]
        found = respond(law, distance[..., None] * NORMAL[0], NORMAL, np.zeros_like(distance), 0.25)
        assert np.trapezoid(found.traction[0, :, 2], distance[0]) == pytest.approx(0.25, rel=1e-3)
        assert found.traction.max() == pytest.approx(50.0, rel=1e-4)


def test_a_law_that_cannot_be_is_refused_with_the_numbers() -> None:
    with pytest.raises(StudyError, match="after failure") as told:
        CohesiveLaw(100.0, 1.0, stiffness=1e3)
    assert "5e+03 MPa/um" in told.value.hint
    with pytest.raises(StudyError, match="no shear strength of its own"):
        CohesiveLaw(100.0, 1.0, shape="exponential", shear_strength=50.0)
    law = CohesiveLaw.of(read_material("NMC811-LPSCl"), shape="exponential")
    assert law.failure_gap == pytest.approx(7.638 * 3.679e-3, rel=1e-3)
