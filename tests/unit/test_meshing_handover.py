"""A surface that is smoothed already is what the mesh starts from, and only if it is the right one."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh import LabelVolume, MeshOptions, SmoothOptions, extract_surface, mesh_volume, smooth
from pxm2mesh.io._mesh_groups import digest
from pxm2mesh.meshing import route

OPTIONS = MeshOptions(cell_size=1, method="lattice")


@pytest.fixture(scope="module")
def volume() -> LabelVolume:
    x, y, z = np.indices((10, 9, 8)) - 4.0
    return LabelVolume((x**2 + y**2 + z**2 < 9).astype(np.uint8), {"void": 0, "NMC": 1}, "1 um")


def test_the_mesh_is_the_same_with_and_without_the_surface_handed_over(
    volume: LabelVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = mesh_volume(volume, OPTIONS)
    surface = smooth(extract_surface(volume), SmoothOptions(certificate=OPTIONS.certificate))
    monkeypatch.setattr(route, "extract_surface", None)  # calling it again would be an error
    assert digest(mesh_volume(volume, OPTIONS, surface=surface)) == digest(alone)


def test_a_surface_of_another_volume_size_or_smoothing_is_not_used(volume: LabelVolume) -> None:
    """Catches a hand-over that trusts its caller."""
    alone = digest(mesh_volume(volume, OPTIONS))
    other = LabelVolume(1 - volume.labels, volume.phases, "1 um")
    for wrong in (smooth(extract_surface(volume)), smooth(extract_surface(volume, cell_size=2)),
                  smooth(extract_surface(other), SmoothOptions(certificate=OPTIONS.certificate)),
                  extract_surface(volume)):  # fmt: skip
        assert digest(mesh_volume(volume, OPTIONS, surface=wrong)) == alone
