"""Random label volumes: whatever they hold, their surfaces are closed, exact, and certified after smoothing."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pxm2mesh import LabelVolume, PhaseTable, SmoothOptions, extract_surface, smooth
from pxm2mesh.regions import find_regions

volumes = st.builds(
    lambda shape, count, seed, spacing, blocks: LabelVolume(
        np.kron(np.random.default_rng(seed).integers(0, count, shape), np.ones((blocks,) * 3)).astype(
            np.uint8
        ),
        PhaseTable({f"p{i}": i for i in range(count)}),
        np.array(spacing),
    ),
    st.tuples(*[st.integers(1, 5)] * 3),
    st.integers(1, 5),
    st.integers(0, 10**6),
    st.tuples(*[st.sampled_from([0.1, 0.4, 1.0, 3.0])] * 3),
    st.integers(1, 2),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(volumes)
def test_the_net_is_exact_for_any_labels(volume: LabelVolume) -> None:
    surface = extract_surface(volume)
    expected = find_regions(volume).voxels * volume.voxel_volume
    np.testing.assert_allclose(surface.region_volumes()[1:], expected[1:], rtol=1e-9)
    assert surface.open_edges() == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(volumes, st.sampled_from([0.2, 0.3, 0.8]))
def test_smoothing_stays_certified_closed_and_in_the_box(volume: LabelVolume, certificate: float) -> None:
    made = smooth(extract_surface(volume), SmoothOptions(certificate=certificate, sweeps=4))
    assert made.record["smoothing"]["certificate"] >= certificate * (1 - 1e-9)
    assert made.open_edges() == 0 and np.isfinite(made.points).all()
    assert np.array_equal(made.points.min(axis=0), made.lower) and np.array_equal(
        made.points.max(axis=0), made.upper
    )
    assert np.isclose(made.region_volumes()[1:].sum(), np.prod(made.upper - made.lower), rtol=1e-9)
    assert made.region_volumes()[1:].min() > 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(volumes, st.integers(1, 3))
def test_the_ledger_accounts_for_every_region_and_voxel(volume: LabelVolume, size: int) -> None:
    surface = extract_surface(volume, cell_size=tuple(min(size, n) for n in volume.shape))
    assert surface.lattice is not None
    ledger = surface.lattice.ledger
    assert ledger.voxels.sum() == volume.labels.size
    assert np.all((ledger.into > 0) == (ledger.pieces > 0))
    for name, fate in ledger.summary(volume.phases).items():
        count = int((ledger.phase == volume.phases[name].label).sum())
        assert fate["meshed"] + fate["merged"] + fate["split"] + fate["dropped"] == count
    assert np.isclose(surface.region_volume.sum(), volume.labels.size * volume.voxel_volume)
