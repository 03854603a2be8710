"""Geometric quantities on shapes whose answers are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pxm2mesh import LabelVolume
from pxm2mesh.phantoms import phantom
from pxm2mesh.quantify import (
    chord_lengths,
    connected_surface,
    constrictivity,
    crack_network,
    delamination,
    euler_number,
    geodesic_tortuosity,
    interface_areas,
    layer_thickness,
    local_thickness,
    mean_chord,
    measure_particles,
    overhang,
    quantify,
    triple_line_lengths,
    two_point_correlation,
)

Mask = npt.NDArray[np.bool_]
TWO = {"void": 0, "NMC": 1}
THREE = {"void": 0, "NMC": 1, "LPSCl": 2}


def volume(
    labels: npt.NDArray[np.generic], phases: dict[str, int] = TWO, spacing: object = "1 um"
) -> LabelVolume:
    return LabelVolume(np.asarray(labels, np.uint8), phases, spacing)  # type: ignore[arg-type]


def grid(size: int, spacing: tuple[float, float, float] = (1, 1, 1)) -> npt.NDArray[np.float64]:
    """(n, n, n, 3) voxel centres around 0."""
    axes = [(np.arange(size) + 0.5 - size / 2) * s for s in spacing]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ball(
    radius: float, centre: npt.NDArray[np.float64], spacing: tuple[float, float, float] = (1, 1, 1)
) -> Mask:
    size = int(2 * radius) + 8
    return np.asarray(((grid(size, spacing) - centre) ** 2).sum(axis=-1) < radius**2)


@pytest.mark.parametrize("radius", [8, 10, 14, 20])
def test_sphere_area_is_within_one_percent(radius: float) -> None:
    """Mean over five positions. Voxel faces give +50 %, marching cubes +8 %, the first moment of a Gaussian
    window that is cut off at three voxels −3.6 %."""
    rng = np.random.default_rng(int(radius))
    areas = [interface_areas(volume(ball(radius, rng.random(3) - 0.5)))["void | NMC"] for _ in range(5)]
    assert np.mean(areas) == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    assert max(areas) - min(areas) < 0.04 * np.mean(areas)


def test_sphere_area_by_the_other_estimators() -> None:
    rng = np.random.default_rng(1)
    expected = {"crofton": (1.0, 0.01), "marching-cubes": (1.085, 0.015), "voxel-faces": (1.5, 0.02)}
    for method, (factor, tolerance) in expected.items():
        areas = [
            interface_areas(volume(ball(12, rng.random(3) - 0.5)), method=method)["void | NMC"]  # type: ignore[arg-type]
            for _ in range(4)
        ]
        assert np.mean(areas) / (4 * np.pi * 144) == pytest.approx(factor, abs=tolerance), method


@pytest.mark.parametrize("radius", [8, 12, 16])
def test_sphere_area_of_the_smoothed_mesh_is_within_one_percent(radius: float) -> None:
    """Mean over three positions; the net without smoothing is the staircase, +50 %."""
    rng = np.random.default_rng(int(radius))
    areas = [
        interface_areas(volume(ball(radius, rng.random(3) - 0.5)), method="smoothed-mesh")["void | NMC"]
        for _ in range(3)
    ]
    assert np.mean(areas) == pytest.approx(4 * np.pi * radius**2, rel=0.01)


def test_sphere_area_on_anisotropic_voxels() -> None:
    """Normals must be turned with the spacing; without it the area is 9 % off."""
    rng = np.random.default_rng(2)
    cases = [volume(ball(12, rng.random(3) - 0.5, (1, 1, 2)), TWO, (1, 1, 2)) for _ in range(5)]
    areas = [interface_areas(case)["void | NMC"] for case in cases]
    assert np.mean(areas) == pytest.approx(4 * np.pi * 144, rel=0.01)


@pytest.mark.parametrize("method", ["projected-faces", "crofton"])
def test_planes_of_any_orientation(method: str) -> None:
    """Against the columns that the plane cuts, over |n|. Crofton's 13 directions leave up to 9 % on one plane."""
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(12):
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        below = grid(48) @ normal < rng.uniform(-3, 3)
        axis = int(np.argmax(np.abs(normal)))
        exact = np.count_nonzero(np.diff(below, axis=axis)) / abs(normal[axis])
        errors.append(interface_areas(volume(below), method=method)["void | NMC"] / exact - 1)  # type: ignore[arg-type]
    assert np.abs(errors).max() < (0.02 if method == "projected-faces" else 0.09)
    assert abs(np.mean(errors)) < (0.01 if method == "projected-faces" else 0.04)


def test_areas_of_three_phases_add_up_and_contact_is_the_share() -> None:
    """A ball, its lower half wrapped in electrolyte: contact fraction one half, though three phases meet."""
    points = grid(40)
    labels = np.where(points[..., 2] < 0, 2, 0)
    labels[(points**2).sum(axis=-1) < 144] = 1
    found = quantify(volume(labels, THREE), only=["areas"])
    assert found.value("contact_fraction", interface="NMC | LPSCl") == pytest.approx(0.5, abs=0.01)
    both = found.value("interface_area", interface="void | NMC") + found.value(
        "interface_area", interface="NMC | LPSCl"
    )
    assert both == pytest.approx(4 * np.pi * 144, rel=0.02)
    assert found.value("interface_area", interface="void | LPSCl") == pytest.approx(
        1600 - np.pi * 144, rel=0.02
    )


def test_particle_sizes_spheres_touching_the_side_and_neighbours() -> None:
    """Two touching balls and one cut by the box; counting the cut one in would lower d10 to its half size."""
    points = grid(64)
    ids = np.zeros((64, 64, 64), np.int32)
    for number, (centre, radius) in enumerate(
        [((-12, 0, 0), 10), ((8.2, 0, 0), 10), ((0, 0, 30), 8)], start=1
    ):
        ids[((points - np.array(centre)) ** 2).sum(axis=-1) < radius**2] = number
    sample = LabelVolume((ids > 0).astype(np.uint8), TWO, "0.5 um", particles=ids)  # type: ignore[arg-type]
    table = measure_particles(sample, "NMC")
    np.testing.assert_array_equal(table.cut, [False, False, True])
    np.testing.assert_array_equal(table.coordination, [1, 1, 0])
    np.testing.assert_allclose(table.diameter[:2], 10, rtol=0.005)
    np.testing.assert_allclose(table.sphericity[:2], 1, atol=0.015)
    np.testing.assert_allclose(table.centre[0], 0.5 * np.array([20, 32, 32]), atol=0.05)
    assert table.diameter_percentile(0.1) == pytest.approx(10, rel=0.01)


def test_edge_weights_recover_the_size_distribution() -> None:
    """Large balls are cut more often; leaving the cut ones out without weights makes large ones 40 % too rare."""
    rng = np.random.default_rng(0)
    counts = np.zeros(2)
    weighted = np.zeros(2)
    for _ in range(4):
        ids = np.zeros((48, 48, 48), np.int32)
        points = grid(48)
        number = 0
        for radius in (9, 4) * 25:
            centre = rng.uniform(-34, 34, size=3)
            inside = ((points - centre) ** 2).sum(axis=-1) < radius**2
            near = ((points - centre) ** 2).sum(axis=-1) < (radius + 1.5) ** 2
            if inside.any() and not ids[near].any():
                number += 1
                ids[inside] = number
        sample = LabelVolume((ids > 0).astype(np.uint8), TWO, "1 um", particles=ids)  # type: ignore[arg-type]
        table = measure_particles(sample, "NMC")
        large = table.diameter > 12
        for which, kind in enumerate((large, ~large)):
            counts[which] += np.count_nonzero(kind & ~table.cut)
            weighted[which] += table.weight[kind].sum()
    # a ball of diameter d is whole with probability (1 − d/48)³
    chance = (1 - np.array([18, 8]) / 48) ** 3
    np.testing.assert_allclose(weighted, counts / chance, rtol=0.05)


def test_connected_surface_tells_supplied_particles_from_isolated_ones() -> None:
    """One ball wired and wetted, one wetted by a closed drop of electrolyte only."""
    labels = np.zeros((24, 24, 48), np.uint8)
    labels[:, :, 28:] = 3
    points = grid(24)
    good = (points**2).sum(axis=-1) < 64
    labels[:, :, 8:32][good] = 1
    labels[:, :, :12] = np.where(labels[:, :, :12] == 0, 2, labels[:, :, :12])
    ids = np.zeros(labels.shape, np.int32)
    ids[labels == 1] = 1
    labels[2:8, 2:8, 36:42] = 2  # a closed drop inside of the collector, with a particle in it
    labels[4:6, 4:6, 38:40] = 1
    ids[4:6, 4:6, 38:40] = 2
    sample = LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2, "collector": 3}, "1 um", particles=ids)  # type: ignore[arg-type]
    found = connected_surface(sample, "NMC")
    np.testing.assert_array_equal(found.isolated, [False, True])
    assert found.ionic[1] == 0 and found.electronic[1] == 0
    # caps of a ball: the share of the surface below z = 12 and above z = 28, centre 20, radius 8
    assert found.ionic[0] + found.electronic[0] < 0.12
    assert found.isolated_fraction == pytest.approx(8 / (8 + good.sum()), rel=1e-6)


@pytest.mark.parametrize("voxels", [3, 4, 7, 10])
def test_local_thickness_of_slabs(voxels: int) -> None:
    """Exact, or one voxel too much for odd ones (balls are centred on voxels)."""
    labels = np.zeros((30, 30, 30))
    labels[8 : 8 + voxels] = 1
    thickness = local_thickness(volume(labels), "NMC")
    assert np.unique(thickness[thickness > 0]).tolist() == [voxels + voxels % 2]


@pytest.mark.parametrize("radius", [6, 10, 15])
def test_local_thickness_of_cylinders_and_balls(radius: float) -> None:
    """Without painting the balls (the distance alone) the median would be a third of the diameter."""
    points = grid(2 * radius + 8)
    for square in ((points[..., :2] ** 2).sum(axis=-1), (points**2).sum(axis=-1)):
        thickness = local_thickness(volume(square < radius**2), "NMC")
        assert np.median(thickness[thickness > 0]) == pytest.approx(2 * radius, abs=1.7)


def test_chords_of_slabs_and_of_a_ball() -> None:
    labels = np.zeros((40, 10, 10))
    labels[::8], labels[1::8] = 1, 1
    lengths, counts = chord_lengths(volume(labels, TWO, (0.5, 1, 1)), "NMC", "x")
    assert {float(lengths[n]): int(counts[n]) for n in np.flatnonzero(counts)} == {1.0: 400}
    inside = ball(15, np.zeros(3))
    assert mean_chord(volume(inside), "NMC", "y") == pytest.approx(4 * 15 / 3, rel=0.03)


def test_two_point_correlation_of_periodic_slabs() -> None:
    """Starts at φ, falls by half the surface per volume, is periodic; φ² in between would mean no order."""
    labels = np.zeros((64, 8, 8))
    labels[(np.arange(64) // 8) % 2 == 0] = 1
    lengths, both = two_point_correlation(volume(labels), "NMC", "x", longest=32)
    assert both[0] == 0.5
    assert both[16] == pytest.approx(0.5) and both[8] == pytest.approx(0, abs=1e-12)
    assert lengths[16] == 16
    np.testing.assert_allclose(two_point_correlation(volume(labels), "NMC", "y")[1], 0.5)


def test_euler_number_of_ball_shell_ring_and_of_a_lattice_of_rods() -> None:
    """1, 2, 0; links across edges and corners do not count. A lattice of rods has −2 per cell."""
    points = grid(30)
    square = (points**2).sum(axis=-1)
    ring = (np.sqrt((points[..., :2] ** 2).sum(axis=-1)) - 9) ** 2 + points[..., 2] ** 2 < 9
    for shape, exact in ((square < 81, 1), ((square < 121) & (square > 36), 2), (ring, 0)):
        for sides in ("halved", "closed", "left-out"):
            assert euler_number(volume(shape), "NMC", sides=sides) == exact  # type: ignore[arg-type]
    corner = np.zeros((4, 4, 4))
    corner[1, 1, 1] = corner[2, 2, 1] = 1
    assert euler_number(volume(corner), "NMC") == 2
    thin = np.arange(33) % 8 < 1  # sides through the middle of rods, so that they are shared
    rods = (thin[:, None, None] & thin[:, None]) | (thin[:, None, None] & thin) | (thin[:, None] & thin)
    assert euler_number(volume(rods), "NMC") == -2 * 4**3


def test_geodesic_tortuosity_of_straight_detour_and_closed_ways() -> None:
    labels = np.zeros((40, 20, 20))
    labels[:, 5:9, 3:9] = 1
    assert geodesic_tortuosity(volume(labels), "NMC", "x") == pytest.approx(1, abs=1e-6)
    assert geodesic_tortuosity(volume(labels), "NMC", "y") == np.inf
    detour = np.ones((41, 41, 1))
    detour[20, 1:] = 0  # one wall with a door at y = 0
    length = geodesic_tortuosity(volume(detour, TWO, "0.5 um"), "NMC", "x")
    # shortest path to (40, y) from the free first plane: straight to the door, then 20 planes on, y aside
    steps = np.array([20.5 + max(20, y) + (np.sqrt(2) - 1) * min(20, y) + 0.5 for y in range(41)])
    assert length == pytest.approx(steps.mean() / 41, rel=0.005)


def test_constrictivity_of_a_channel_and_of_beads() -> None:
    square = (grid(40)[..., :2] ** 2).sum(axis=-1)
    assert constrictivity(volume(square < 64), "NMC", "z").value == pytest.approx(1, abs=0.05)
    radius = np.where(np.arange(96) // 32 % 2 == 0, 5.0, 14.0)
    points = (np.arange(40) - 19.5) ** 2
    beads = (points[:, None] + points[None, :])[None] < radius[:, None, None] ** 2
    found = constrictivity(volume(beads), "NMC", "x")
    assert found.neck == pytest.approx(10, abs=1.5) and found.bulge == pytest.approx(28, abs=1.5)
    assert found.value == pytest.approx((10 / 28) ** 2, abs=0.04)


@pytest.mark.parametrize("radius", [8, 12, 20])
def test_triple_line_of_a_cut_ball_is_a_circle(radius: float) -> None:
    """Edges of the staircase counted whole would be 27 to 50 % too long."""
    rng = np.random.default_rng(int(radius))
    lengths = []
    for _ in range(4):
        points = grid(int(2 * radius) + 10) - rng.uniform(-0.5, 0.5, 3)
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        half = (points @ rotation)[..., 0] < 0.3 * radius
        labels = np.where((points**2).sum(axis=-1) < radius**2, np.where(half, 1, 2), 0)
        lengths += triple_line_lengths(volume(labels, THREE)).values()
    assert np.mean(lengths) == pytest.approx(2 * np.pi * radius * np.sqrt(0.91), rel=0.05)


def test_layers_of_a_cell_have_their_thickness_even_when_tilted() -> None:
    for tilt in (0.0, 0.1):
        cell = phantom("cell", size=60, tilt=tilt, spacing="0.5 um")
        for name, voxels in (("anode", 12), ("separator", 9), ("cathode", 21)):
            found = layer_thickness(cell, name)
            assert (found.mean, found.spread) == (pytest.approx(0.5 * voxels), pytest.approx(0, abs=1e-9)), (
                name
            )
            assert found.tilt == pytest.approx(np.degrees(np.arctan(tilt)), abs=0.2)


def test_rough_layer_reports_its_spread() -> None:
    labels = np.zeros((40, 40, 20))
    height = 8 + 2 * (np.indices((40, 40)).sum(axis=0) % 2)
    labels[np.arange(20)[None, None, :] < height[:, :, None]] = 1
    found = layer_thickness(volume(labels), "NMC")
    assert (found.mean, found.spread, found.covered) == (9, 1, 1)


def test_delamination_has_the_area_and_the_opening_of_the_phantom() -> None:
    """Columns where the anode is missing altogether must not count as open."""
    gap = delamination(
        phantom("delaminated", size=64, area=0.25, opening=3, spacing="0.5 um"), "collector", "anode"
    )
    assert (gap.area_fraction, gap.mean_opening, gap.largest_opening) == (0.25, 1.5, 1.5)
    assert gap.largest_patch == 32 * 32 * 0.25
    cracked = phantom("mud-cracks", size=64)
    assert delamination(cracked, "collector", "anode").area_fraction == 0


@pytest.mark.parametrize(("width", "polygon", "size"), [(3, 16, 64), (4, 20, 100), (5, 32, 96)])
def test_mud_cracks_have_the_width_spacing_and_polygons_of_the_phantom(
    width: int, polygon: int, size: int
) -> None:
    cracks = crack_network(
        phantom("mud-cracks", size=size, width=width, polygon=polygon, spacing="0.5 um"), "anode"
    )
    assert cracks.width == pytest.approx(0.5 * width, rel=0.02)
    assert cracks.spacing == pytest.approx(0.5 * polygon, rel=0.02)
    share = 1 - (1 - width / polygon) ** 2
    assert cracks.area_fraction == pytest.approx(share, rel=0.02)
    np.testing.assert_allclose(cracks.polygon_areas, (0.5 * (polygon - width)) ** 2)
    assert cracks.orientation[[0, 9]].sum() > 0.8
    assert cracks.junctions == (size // polygon) ** 2


@pytest.mark.parametrize("angle", [20, 45, 70])
def test_oblique_crack_keeps_its_width_and_direction(angle: float) -> None:
    """Widths measured along an axis and not projected on the normal would be up to 41 % too large."""
    points = grid(80)[:, :, :12]
    normal = np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    labels = np.where(np.abs(points[..., :2] @ normal) < 3.5, 0, 1)
    labels[:, :, :3], labels[:, :, 10:] = 2, 0
    cracks = crack_network(volume(labels, {"void": 0, "anode": 1, "collector": 2}), "anode")
    assert cracks.width == pytest.approx(7, abs=0.7)
    assert int(np.argmax(cracks.orientation)) in (
        round(angle / 10) - 1,
        round(angle / 10),
        round(angle / 10) + 1,
    )
    expected = 80 / max(np.cos(np.radians(angle)), np.sin(np.radians(angle)))
    assert cracks.length == pytest.approx(expected, rel=0.12)


def test_overhang_is_that_of_the_phantom_and_negative_where_the_anode_falls_short() -> None:
    cell = phantom("cell", size=60, overhang=0.1, spacing="2 um")
    found = overhang(cell, "anode", "cathode")
    assert {side: (o.mean, o.least) for side, o in found.items()} == dict.fromkeys(
        ("x-", "x+", "y-", "y+"), (12, 12)
    )
    swapped = overhang(cell, "cathode", "anode")
    assert swapped == {}  # the anode reaches the end of the sample: nothing to say
    labels = np.zeros((20, 20, 10))
    labels[4:16, :, 2:4], labels[2:18, :, 6:8] = 1, 2
    short = overhang(volume(labels, {"void": 0, "anode": 1, "cathode": 2}), "anode", "cathode")
    assert short["x-"].mean == -2 and set(short) == {"x-", "x+"}
