"""Transition zones: graded indicators, mixing rules, layers."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh import LabelVolume, MeshOptions, PhaseTable, TetMesh, extract_surface, mesh_volume, smooth
from pxm2mesh.errors import GeometryError, UnitError, UsageError
from pxm2mesh.meshing.transition import TransitionZone, add_graded, add_layers, gradient, mix, room_for

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def volume_of(labels: np.ndarray, spacing: str = "1 um") -> LabelVolume:  # type: ignore[type-arg]
    return LabelVolume(labels.astype(np.uint8), PHASES, spacing)  # type: ignore[arg-type]


def ball(size: int, radius: float) -> LabelVolume:
    r = np.sqrt(((np.indices((size,) * 3) + 0.5 - size / 2 - 0.1) ** 2).sum(axis=0))
    return volume_of((r < radius).astype(int))


@pytest.fixture(scope="module")
def slab() -> TetMesh:
    labels = (np.indices((16, 6, 6))[0] < 8).astype(int)
    return mesh_volume(volume_of(labels), MeshOptions(method="lattice", cell_size=1))


def test_the_profile_across_a_plane_is_the_tanh_of_the_distance(slab: TetMesh) -> None:
    zone = TransitionZone(("NMC", "void"), "4 um")
    made = add_graded(slab, zone)
    psi = made.point_fields["indicator NMC | void [1]"]
    xi = 4 / (2 * np.arctanh(0.8))
    np.testing.assert_allclose(psi, 0.5 * (1 + np.tanh((8 - made.points[:, 0]) / xi)), atol=0.01)
    facts = made.record["zones"][0]
    assert facts["xi_um"] == pytest.approx(xi) and abs(facts["level_shift_um"]) < 1e-2
    assert abs(facts["diffuse_area_error"]) < 0.03


def test_the_level_is_shifted_so_that_the_volume_stays() -> None:
    """Around a ball the tanh alone is (π²/4)(ξ/R)² too large."""
    mesh = mesh_volume(ball(24, 8), MeshOptions(method="lattice", cell_size=1))
    made = add_graded(mesh, TransitionZone(("NMC", "void"), "4 um"))
    psi = made.cell_fields["indicator NMC | void [1]"]
    assert float((psi * made.cell_volumes()).sum()) == pytest.approx(mesh.phase_volumes()["NMC"], rel=1e-6)
    assert made.record["zones"][0]["level_shift_um"] < -0.1


def test_third_phases_do_not_count_and_other_interfaces_stay_sharp() -> None:
    x = np.indices((18, 5, 5))[0]
    mesh = mesh_volume(
        volume_of(np.where(x < 6, 1, np.where(x < 12, 0, 2))), MeshOptions(method="lattice", cell_size=1)
    )
    psi = add_graded(mesh, TransitionZone(("NMC", "void"), "2 um")).point_fields["indicator NMC | void [1]"]
    assert psi[mesh.points[:, 0] < 1].min() > 0.999 and psi[mesh.points[:, 0] > 11].max() < 0.001


def test_room_is_the_width_of_the_gap_and_of_the_neck() -> None:
    x = np.indices((30, 8, 8))[0]
    labels = np.where((x < 10) | (x >= 14), 1, 0)
    labels[x >= 22] = 2
    mesh = mesh_volume(volume_of(labels), MeshOptions(method="lattice", cell_size=1))
    room = room_for(mesh, TransitionZone(("NMC", "void"), "1 um"))
    assert room.gap == pytest.approx(4, rel=0.1) and room.neck == pytest.approx(8, rel=0.15)
    assert room.crowded == 0


def test_a_zone_wider_than_half_the_gap_is_refused_with_the_place() -> None:
    x = np.indices((20, 8, 8))[0]
    mesh = mesh_volume(
        volume_of(np.where((x < 9) | (x >= 12), 1, 0)), MeshOptions(method="lattice", cell_size=1)
    )
    with pytest.raises(GeometryError, match=r"too thick.*gaps 3.*near \(") as error:
        add_graded(mesh, TransitionZone(("NMC", "void"), "2.5 um"))
    assert float(error.value.hint.split()[4]) == pytest.approx(1.5, rel=0.05)
    assert (
        "indicator NMC | void [1]"
        in add_graded(mesh, TransitionZone(("NMC", "void"), "2.5 um"), force=True).point_fields
    )


def test_a_zone_thinner_than_a_voxel_is_refused(slab: TetMesh) -> None:
    with pytest.raises(GeometryError, match="thinner than a voxel"):
        add_graded(slab, TransitionZone(("NMC", "void"), "0.5 um"), spacing=np.ones(3))


def test_mixing_rules_are_the_bounds_and_their_laminate(slab: TetMesh) -> None:
    psi = np.array([0.0, 0.25, 1.0])
    np.testing.assert_allclose(mix(10, 1, psi), [1, 3.25, 10])
    np.testing.assert_allclose(mix(10, 1, psi, "harmonic"), [1, 1 / (0.025 + 0.75), 10])
    tensor = mix(10, 1, psi, "tensor", normal=np.array([[0, 0, 2.0], [0, 0, 2.0], [0, 0, 0]]))
    np.testing.assert_allclose(tensor[1], np.diag([3.25, 3.25, 1 / 0.775]))
    np.testing.assert_allclose(tensor[2], 10 * np.eye(3))
    for rule in ("harmonic", "tensor"):
        with pytest.raises(UsageError, match="> 0"):
            mix(10, 0, psi, rule)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="normal"):
        mix(10, 1, psi, "tensor")
    np.testing.assert_allclose(
        gradient(slab, slab.points @ np.array([1.0, -2, 3])),
        np.tile([1, -2, 3], (len(slab.cells), 1)),
        atol=1e-9,
    )


@pytest.mark.parametrize("thickness", [2.0, 1.0, 0.5])
def test_a_layer_has_its_thickness_and_leaves_no_direct_contact(thickness: float) -> None:
    """A distance transform less half a voxel makes the two thin layers eight per cent too thick."""
    made = add_layers(ball(14, 4), [TransitionZone(("NMC", "void"), thickness, kind="layer", name="coating")])
    surface = smooth(extract_surface(made))
    areas, volumes = surface.pair_areas(), surface.phase_volumes()
    assert set(areas) == {"void | coating", "NMC | coating"}
    outer, inner = (
        (3 * v / (4 * np.pi)) ** (1 / 3) for v in (volumes["NMC"] + volumes["coating"], volumes["NMC"])
    )
    assert outer - inner == pytest.approx(thickness, rel=0.06)
    assert volumes["NMC"] == pytest.approx(ball(14, 4).voxel_counts()["NMC"], rel=0.01)
    assert made.phases["coating"].role == "interphase"


@pytest.mark.parametrize("normal", [(1, 0, 0), (1, 1, 0.03), (1, 0.9, 0.7), (1, 0.5, 0.2)])
def test_a_layer_on_an_oblique_plane_has_its_thickness(normal: tuple[float, float, float]) -> None:
    n = np.array(normal) / np.linalg.norm(normal)
    x = np.tensordot(n, np.indices((20, 20, 20)) + 0.5 - 10.03, 1)
    area = (np.abs(x) < 3).sum() / 6
    made = add_layers(volume_of((x < 0).astype(int)), [TransitionZone(("NMC", "void"), 1.0, kind="layer")])
    assert made.voxel_counts()["NMC-void layer"] * made.voxel_volume / area == pytest.approx(1.0, rel=0.1)


def test_a_layer_grows_only_between_its_two_phases() -> None:
    x, y, _ = np.indices((10, 10, 4))
    labels = np.where(x < 5, 1, np.where(y < 5, 0, 2))
    made = add_layers(volume_of(labels), [TransitionZone(("NMC", "LPSCl"), 2.0, kind="layer", name="CEI")])
    taken = made.mask("CEI")
    assert taken.any() and not taken[:5].any() and not taken[:, :5].any() and taken[5:7, 5:].all()


def test_layers_keep_particles_apart() -> None:
    labels = np.zeros((10, 8, 8), np.uint8)
    labels[1:9, 2:6, 2:6] = 1
    particles = labels.astype(np.int32)
    particles[5:][labels[5:] == 1] = 2
    volume = LabelVolume(labels, PHASES, np.ones(3), particles=particles)
    made = add_layers(volume, [TransitionZone(("NMC", "void"), 1.0, kind="layer")])
    assert made.particles is not None and made.shape == (20, 16, 16)
    assert set(np.unique(made.particles[made.mask("NMC")]).tolist()) == {1, 2}
    assert not made.particles[made.mask("NMC-void layer")].any()


def test_the_command_lines_form_is_understood() -> None:
    zone = TransitionZone.parse("NMC | void : 1.2 um")
    assert (zone.between, zone.length, zone.kind) == (("NMC", "void"), 1.2, "graded")
    assert TransitionZone.parse("NMC|LPSCl:400 nm:layer").kind == "layer"
    for wrong in ("NMC:1 um", "NMC|void", "NMC|NMC:1 um", "NMC|void:-1 um", "NMC|void:1 um:thick"):
        with pytest.raises(UsageError):
            TransitionZone.parse(wrong)
    with pytest.raises(UnitError):
        TransitionZone.parse("NMC|void:3")


def test_layers_that_cannot_be_are_refused() -> None:
    volume = ball(10, 3)
    with pytest.raises(GeometryError, match="cut into"):
        add_layers(volume, [TransitionZone(("NMC", "void"), 0.1, kind="layer")])
    with pytest.raises(UsageError, match="already"):
        add_layers(volume, [TransitionZone(("NMC", "void"), 2.0, kind="layer", name="LPSCl")])
    with pytest.raises(UsageError, match="not graded"):
        add_graded(
            mesh_volume(volume, MeshOptions(method="lattice", cell_size=2)),
            TransitionZone(("NMC", "void"), 2.0, kind="layer"),
        )
