"""Pieces and Euler numbers in a mesh's passport: against the voxels, and against what they are known to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pxm2mesh import LabelVolume, MeshOptions, mesh_volume


def topology(labels: np.ndarray, **options: Any) -> dict[str, Any]:  # type: ignore[type-arg]
    volume = LabelVolume(labels.astype(np.uint8), {"void": 0, "NMC": 1, "LPSCl": 2}, "1 um")
    made = mesh_volume(volume, MeshOptions(cell_size=1, method="lattice", **options))
    return dict(made.record["topology"])


def torus() -> np.ndarray:  # type: ignore[type-arg]
    x, y, z = np.indices((16, 16, 8)) - np.array([7.5, 7.5, 3.5])[:, None, None, None]
    return ((np.sqrt(x**2 + y**2) - 4.5) ** 2 + z**2 < 4).astype(int)


def test_a_ring_has_a_tunnel_and_its_surface_is_a_torus() -> None:
    found = topology(torus())
    assert found["phases"]["NMC"] == {"pieces": 1, "euler": 0, "pieces_voxels": 1, "euler_voxels": 0}
    assert found["interfaces"]["void | NMC"] == {
        "pieces": 1,
        "euler": 0,
        "pieces_voxels": 1,
        "euler_voxels": 0,
    }


def test_a_shell_has_a_closed_hole_and_two_surfaces() -> None:
    r = np.sqrt(((np.indices((14, 14, 14)) - 6.5) ** 2).sum(axis=0))
    found = topology(np.where(r < 3, 2, np.where(r < 5.5, 1, 0)))
    assert found["phases"]["NMC"]["euler"] == 2 and found["phases"]["LPSCl"]["euler"] == 1
    assert found["phases"]["void"]["euler"] == 2
    assert {pair: facts["euler"] for pair, facts in found["interfaces"].items()} == {
        "void | NMC": 2,
        "NMC | LPSCl": 2,
    }


def test_noise_keeps_the_topology_of_its_voxels_at_cell_size_one() -> None:
    """Catches cells that touch along an edge counted as joined: noise is full of them."""
    found = topology(np.random.default_rng(3).integers(0, 3, (7, 6, 5)))
    for facts in (*found["phases"].values(), *found["interfaces"].values()):
        assert (facts["pieces"], facts["euler"]) == (facts["pieces_voxels"], facts["euler_voxels"])


@pytest.mark.parametrize("size", [1, 2])
def test_the_voxels_are_counted_as_they_are_whatever_the_cells(size: int) -> None:
    labels = torus()
    labels[0, 0, 0] = 1  # too small for cells of two voxels
    volume = LabelVolume(labels.astype(np.uint8), {"void": 0, "NMC": 1}, "1 um")
    found = mesh_volume(volume, MeshOptions(cell_size=size, method="lattice")).record["topology"]["phases"][
        "NMC"
    ]
    assert found["pieces_voxels"] == 2 and found["pieces"] == (2 if size == 1 else 1)
