"""The verb `quantify`: what it lists, what it leaves out, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh import LabelVolume, Quantities, Quantity
from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.progress import SILENT
from pxm2mesh.quantify import (
    boundary_variants,
    compare,
    fraction_profile,
    interface_areas,
    local_thickness,
    measure_particles,
    quantify,
    quantify_with_intervals,
    quantity_names,
    representative_volume,
)


@pytest.fixture
def sample() -> LabelVolume:
    """Void, a block of NMC on a floor of LPSCl; 16³ voxels of 0.5 µm."""
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[:, :, :4] = 2
    labels[4:12, 4:12, 4:12] = 1
    return LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "0.5 um")  # type: ignore[arg-type]


def test_fractions_are_exact_and_sum_to_one(sample: LabelVolume) -> None:
    found = quantify(sample, only=["fractions"])
    assert found.value("volume_fraction", phase="NMC") == 512 / 4096
    assert found["porosity"] == found.value("volume_fraction", phase="void")
    assert sum(q.value for q in found.select("volume_fraction")) == pytest.approx(1, abs=1e-15)


def test_only_what_is_asked_for_is_listed(sample: LabelVolume) -> None:
    assert {q.name for q in quantify(sample, only=["porosity"])} == {"porosity"}
    names = {q.name for q in quantify(sample, only=["porosity", "areas"])}
    assert names == {"porosity", "interface_area", "contact_fraction", "specific_surface_area"}


def test_every_group_yields_the_names_it_announces_and_no_others(sample: LabelVolume) -> None:
    known = set(quantity_names())
    found = quantify(sample, only=quantity_names())
    assert {q.name for q in found} <= known
    assert len({(q.name, q.phase, q.interface, q.region, q.direction) for q in found}) == len(found)


def test_directions_restrict_directed_quantities(sample: LabelVolume) -> None:
    found = quantify(sample, only=["percolating_fraction"], directions=["x"])
    assert {q.direction for q in found} == {"x"}
    assert found.value("percolating_fraction", phase="void") == 1
    assert found.value("percolating_fraction", phase="NMC") == 0


def test_phase_without_voxels_has_fraction_zero_and_no_other_row() -> None:
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[4:] = 1
    volume = LabelVolume(labels, {"void": 0, "NMC": 1, "binder": 2}, "1 um")  # type: ignore[arg-type]
    found = quantify(volume)
    assert [q.name for q in found.select(phase="binder")] == ["volume_fraction"]


def test_single_phase_volume_is_measured_without_complaint() -> None:
    block = LabelVolume(np.ones((6, 6, 6), np.uint8), {"NMC": 1}, "1 um")  # type: ignore[arg-type]
    found = quantify(block, only=quantity_names())
    assert found.value("tortuosity_factor", direction="x") == pytest.approx(1)
    assert len(found.select("interface_area")) == 0


def test_infinite_tortuosity_survives_the_file(sample: LabelVolume, tmp_path: Path) -> None:
    quantify(sample, only=["tortuosity_factor"]).write(tmp_path / "q.json")
    text = (tmp_path / "q.json").read_text(encoding="utf-8")
    assert "NaN" not in text and json.loads(text)
    assert (
        Quantities.read(tmp_path / "q.json").value("tortuosity_factor", phase="NMC", direction="x") == np.inf
    )


def test_particle_ids_that_touch_make_a_volume_of_many_keys() -> None:
    """Ids above 255 need wider keys than phases do."""
    ids = np.arange(1, 513).reshape(8, 8, 8).repeat(3, 0).repeat(3, 1).repeat(3, 2)
    volume = LabelVolume(np.ones((24, 24, 24), np.uint8), {"NMC": 1}, "1 um", particles=ids)  # type: ignore[arg-type]
    table = measure_particles(volume, "NMC")
    assert len(table) == 512 and table.coordination.max() == 6 and table.coordination.min() == 3
    assert np.all(table.volume == 27)


def test_network_is_not_reported_as_particles(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.ones((20, 20, 20), np.uint8)
    labels[5:9, 5:9, 5:9] = 0
    volume = LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um")  # type: ignore[arg-type]
    assert len(quantify(volume, only=["particles"])) == 0
    assert "separate them first" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": ["porsity"]}, 'did you mean "porosity"'),
        ({"only": "porosity"}, "must be a list"),
        ({"directions": ["w"]}, "unknown direction"),
    ],
)
def test_wrong_calls_say_what_to_write(
    sample: LabelVolume, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        quantify(sample, **arguments)  # type: ignore[arg-type]


def test_wrong_method_phase_and_full_volume_are_errors(sample: LabelVolume) -> None:
    with pytest.raises(UsageError, match="crofton"):
        interface_areas(sample, method="croften")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="NMC"):
        measure_particles(sample, "NCM")
    with pytest.raises(DataError, match="fills the whole volume"):
        local_thickness(sample, "void", "NMC", "LPSCl")


def test_progress_takes_one_step_per_group(sample: LabelVolume) -> None:
    notes: list[str] = []

    class Task:
        def __enter__(self) -> Task:
            return self

        def __exit__(self, *args: object) -> None:
            return None

        def advance(self, amount: float = 1.0, note: str = "") -> None:
            notes.append(note)

    class Progress:
        def task(self, description: str, total: float | None = None) -> Task:
            assert total == 2
            return Task()

    quantify(sample, only=["porosity", "connectivity"], progress=Progress())
    assert notes == ["fractions", "connected"]
    assert SILENT is not None


def test_interval_covers_the_variants_and_the_nominal_value(sample: LabelVolume) -> None:
    thin, thick = boundary_variants(sample, "NMC")
    assert thin.voxel_counts()["NMC"] == 6 * 6 * 6
    assert thick.voxel_counts()["NMC"] == 8**3 + 6 * 64
    found = quantify_with_intervals(sample, [thin, thick], only=["volume_fraction"])
    (row,) = found.select(phase="NMC")
    assert row.uncertainty == (216 / 4096, 896 / 4096) and row.value == 512 / 4096
    with pytest.raises(UsageError, match="at least one variant"):
        quantify_with_intervals(sample, [])


def test_thinner_phase_gives_its_voxels_to_what_it_touches(sample: LabelVolume) -> None:
    thin, _ = boundary_variants(sample, "NMC")
    assert thin.labels[8, 8, 4] == 2, "on the floor of LPSCl"
    assert thin.labels[4, 8, 8] == 0, "beside the void"


def test_states_side_by_side_keep_order_missing_values_and_intervals(tmp_path: Path) -> None:
    first = Quantities([Quantity("porosity", 0.25, "1", "m", uncertainty=0.01)])
    second = Quantities(
        [Quantity("porosity", 0.15, "1", "m"), Quantity("thickness", 3.0, "um", "m", phase="NMC")]
    )
    table = compare({"assembled": first, "pressed": second})
    assert table.states == ("assembled", "pressed")
    porosity, thickness = table.rows
    assert porosity.intervals == {"assembled": (0.24, 0.26), "pressed": None}
    assert porosity.change("assembled", "pressed") == pytest.approx(-0.4)
    assert np.isnan(thickness.values["assembled"]) and thickness.values["pressed"] == 3
    assert "pressed" in repr(table)
    table.write_csv(tmp_path / "states.csv")
    assert (tmp_path / "states.csv").read_text().splitlines()[1] == "porosity,,1,m,0.25,0.24,0.26,0.15,,"
    with pytest.raises(UsageError, match="two or more"):
        compare({"one": first})


def test_profile_has_one_value_per_slice_and_its_position(sample: LabelVolume) -> None:
    position, shares = fraction_profile(sample)
    assert position[0] == 0.25 and len(position) == 16
    np.testing.assert_allclose(shares["LPSCl"], [1] * 4 + [0] * 12)
    np.testing.assert_allclose(sum(shares.values()), 1)


def test_representative_volume_settles_as_the_sample_grows() -> None:
    noise = LabelVolume(
        (np.random.default_rng(0).random((40, 40, 40)) < 0.3).astype(np.uint8),
        {"void": 0, "NMC": 1},
        "1 um",  # type: ignore[arg-type]
    )
    found = representative_volume(noise, lambda v: quantify(v, only=["porosity"])["porosity"])
    assert found.count.tolist() == [512, 216, 125, 64, 27, 8, 1]
    # white noise: the spread is that of a binomial, (edge)^(−3/2)
    np.testing.assert_allclose(found.spread[:4], np.sqrt(0.21 / found.edges[:4] ** 3), rtol=0.2)
    assert found.edge_for(0.05) < found.edge_for(0.015) < np.inf


def test_percentiles_of_thickness_are_those_of_all_values_inside() -> None:
    """Found by counting bits, without a sorted copy; zeros are outside."""
    from pxm2mesh.quantify.pores import thickness_percentiles

    rng = np.random.default_rng(0)
    values = np.where(rng.random((9, 10, 11)) < 0.4, 0, rng.lognormal(0, 2, (9, 10, 11))).astype(np.float32)
    shares = (0.0, 0.1, 0.5, 0.77, 1.0)
    expected = np.quantile(values[values > 0].astype(np.float64), shares)
    np.testing.assert_allclose(thickness_percentiles(values, shares), expected, rtol=1e-6)
    assert thickness_percentiles(np.zeros((3, 3, 3), np.float32), (0.5,)) == [0.0]
