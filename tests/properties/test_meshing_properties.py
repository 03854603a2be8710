"""Whatever the labels, the mesh is valid: no inverted cell, exact box, volumes kept, all regions there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pxm2mesh.meshing import MeshOptions, mesh_volume
from pxm2mesh.volume import LabelVolume

volumes = st.tuples(*[st.integers(2, 6)] * 3).flatmap(
    lambda s: arrays(np.uint8, s, elements=st.integers(0, 3))
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    labels=volumes,
    spacing=st.sampled_from(["1 um", "0.3 um, 0.3 um, 0.5 um"]),
    method=st.sampled_from(["nets", "lattice"]),
)
def test_any_labels_give_a_valid_mesh(labels: npt.NDArray[np.uint8], spacing: str, method: str) -> None:
    names = {f"phase {v}": int(v) for v in np.unique(labels)}
    volume = LabelVolume(labels, names, spacing)
    mesh = mesh_volume(volume, MeshOptions(cell_size=1, method=method))  # type: ignore[arg-type]
    assert mesh.cell_volumes().min() > 0
    assert np.isclose(mesh.cell_volumes().sum(), labels.size * volume.voxel_volume, rtol=1e-9)
    assert set(np.unique(mesh.cell_region)) == set(range(1, len(mesh.region_phase)))
    assert np.array_equal(mesh.points.min(axis=0), volume.box[0]) and np.array_equal(
        mesh.points.max(axis=0), volume.box[1]
    )
