"""What must hold for any labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pxm2mesh import LabelVolume
from pxm2mesh.quantify import find_components, interface_areas, quantify, tortuosity, triple_line_lengths

LABELS = arrays(np.uint8, st.tuples(*[st.integers(1, 7)] * 3), elements=st.integers(0, 2))
PHASES = {"void": 0, "NMC": 1, "LPSCl": 2}


def volume(labels: npt.NDArray[np.uint8]) -> LabelVolume:
    return LabelVolume(labels, PHASES, "1 um")  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_quantities_of_any_volume_are_numbers_within_bounds(labels: npt.NDArray[np.uint8]) -> None:
    groups = ["fractions", "areas", "area_estimators", "connected", "transport", "chords", "lines"]
    for q in quantify(volume(labels), only=groups):
        assert not np.isnan(q.value) and q.value >= 0, q
        if q.name in ("contact_fraction", "percolating_fraction", "connectivity", "volume_fraction"):
            assert q.value <= 1 + 1e-12, q
        if q.name == "tortuosity_factor":
            assert q.value >= 1 - 1e-4, q


@settings(max_examples=60, deadline=None)
@given(LABELS, st.permutations((0, 1, 2)))
@example(np.array([[[0, 2, 2], [2, 1, 2], [2, 2, 2]]], np.uint8), [1, 0, 2])
def test_turning_the_axes_changes_no_area_and_turns_tortuosity(
    labels: npt.NDArray[np.uint8], order: list[int]
) -> None:
    turned = np.ascontiguousarray(labels.transpose(order))
    for method in ("projected-faces", "crofton", "marching-cubes", "voxel-faces"):
        a, b = interface_areas(volume(labels), method=method), interface_areas(volume(turned), method=method)  # type: ignore[arg-type]
        if method != "marching-cubes":  # its table of ambiguous corners is not symmetric
            assert a.keys() == b.keys()
            np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-9)
    a, b = triple_line_lengths(volume(labels)), triple_line_lengths(volume(turned))
    np.testing.assert_allclose(sum(a.values()), sum(b.values()), rtol=1e-9)
    for new, old in enumerate(order):
        before = tortuosity(volume(labels), "void", "xyz"[old], tolerance=1e-6).effective_conductivity
        after = tortuosity(volume(turned), "void", "xyz"[new], tolerance=1e-6).effective_conductivity
        np.testing.assert_allclose(after, before, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_what_percolates_conducts_and_nothing_else(labels: npt.NDArray[np.uint8]) -> None:
    """Two ways to the same answer: labelled components, and the flood of the solver."""
    sample = volume(labels)
    pieces = find_components(sample)
    for index, name in enumerate(PHASES):
        count = sample.voxel_counts()[name]
        for axis, direction in enumerate("xyz"):
            through = pieces.voxels[(pieces.phase == index) & pieces.percolating(axis)].sum()
            found = tortuosity(sample, name, direction)
            assert found.percolating_fraction == (through / count if count else 0)
            assert (found.effective_conductivity > 0) == (through > 0)
            assert np.isinf(found.tortuosity_factor) == (through == 0)


@settings(max_examples=30, deadline=None)
@given(LABELS, st.integers(1, 2))
def test_one_more_conducting_phase_never_conducts_less(labels: npt.NDArray[np.uint8], other: int) -> None:
    sample = volume(labels)
    names = list(PHASES)
    alone = tortuosity(sample, names[0], "y", tolerance=1e-6).effective_conductivity
    both = tortuosity(sample, [names[0], names[other]], "y", tolerance=1e-6).effective_conductivity
    assert both >= alone * (1 - 1e-4)
