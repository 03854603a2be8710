"""Materials: what the library holds, what is refused and with which words."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.errors import DataError, StudyError, UnitError, UsageError
from pxm2mesh.materials import (
    FARADAY,
    Material,
    library,
    material_from,
    read_material,
    read_materials,
    reference_x,
    swelling_window,
)
from pxm2mesh.materials.laws import Table, value_of


def entry(**parts: object) -> dict[str, object]:
    return {"name": "own", **parts}


@pytest.mark.parametrize("name", library())
def test_every_value_of_the_library_has_a_range_a_tag_and_a_source_unless_it_says_common(name: str) -> None:
    for parameter in read_material(name):
        assert parameter.tag in ("source", "second-hand", "derived", "common", "assumed")
        assert parameter.source or parameter.tag in ("common", "assumed"), parameter.name
        if not parameter.name.startswith("swelling.") or parameter.name.endswith("molar_volume"):
            assert parameter.range is not None, parameter.name


def test_the_library_holds_the_documented_materials() -> None:
    documented = {"NMC811", "LPSCl", "Si", "Li", "Cu", "Al", "CBD", "NMC811-LPSCl"}
    assert documented <= set(library())


@pytest.mark.parametrize(
    ("material", "path", "expected"),
    [
        ("NMC811", "elastic.youngs_modulus", 1.4e5),
        ("NMC811", "transport.diffusivity", 4e-3),
        ("NMC811", "transport.maximum_concentration", 49111.0),
        ("NMC811", "swelling.molar_volume", 1.27e-6),
        ("LPSCl", "transport.ionic_conductivity", 1.6e5),
        ("LPSCl", "plastic.yield_stress", 300.0),
        ("NMC811 | LPSCl", "fracture.penalty_stiffness", 1e6),
        ("NMC811 | LPSCl", "fracture.fracture_energy", 1.0),
        ("Cu", "transport.electronic_conductivity", 5.84e13),
        ("LPSCl", "fracture.toughness", 0.23e3),
    ],
)
def test_values_arrive_in_the_internal_system(material: str, path: str, expected: float) -> None:
    assert float(read_material(material).require(path)) == pytest.approx(expected, rel=1e-12)


def test_the_open_circuit_voltage_of_nmc_has_its_published_values() -> None:
    voltage = read_material("NMC811").require("kinetics.open_circuit_voltage")
    assert voltage([0.27, 0.5, 0.9]) == pytest.approx([4.273, 3.972, 3.568], abs=6e-4)


def test_the_lattice_of_nmc_shrinks_by_five_percent_and_is_anisotropic() -> None:
    nmc = read_material("NMC811")
    a, c = nmc.require("swelling.lattice_a"), nmc.require("swelling.lattice_c")
    assert float(nmc.require("swelling.volume_strain")([0.2])[0]) == pytest.approx(-0.043)
    assert float(c(0.5) / c(1.0)) > 1.015 > float(a(0.5) / a(1.0))
    assert reference_x(nmc) == 1.0
    assert swelling_window(nmc) == (0.2, 1.0)


def test_the_nmc_concentration_holds_its_capacity() -> None:
    nmc = read_material("NMC811")
    held = float(nmc.require("transport.maximum_concentration")) * FARADAY / 3600
    held /= float(nmc.require("transport.density"))
    assert held == pytest.approx(float(nmc.require("transport.specific_capacity")), rel=1e-3)


def test_a_partial_molar_volume_of_another_fit_is_refused_with_both_numbers() -> None:
    trap = entry(base="NMC811", swelling={"molar_volume": "1.25e-5 m3/mol"})
    with pytest.raises(StudyError, match=r"49\.1%.*4\.3%.*would agree"):
        material_from(trap)


def test_a_concentration_that_is_not_crystallographic_is_refused() -> None:
    with pytest.raises(StudyError, match=r"354\.0 mAh/g.*275\.5 mAh/g"):
        material_from(
            entry(
                transport={
                    "maximum_concentration": "63104 mol/m3",
                    "density": "4778 kg/m3",
                    "specific_capacity": "275.5 mAh/g",
                }
            )
        )


def test_a_molar_volume_without_a_volume_strain_to_compare_with_is_refused() -> None:
    with pytest.raises(StudyError, match=r"no swelling\.volume_strain"):
        material_from(
            entry(
                swelling={"molar_volume": "1.2e-6 m3/mol"},
                transport={"maximum_concentration": "49111 mol/m3"},
            )
        )


def test_a_lattice_that_contradicts_the_volume_strain_is_refused() -> None:
    wrong = {"table": [[1.0, 2.872], [0.12, 2.70]], "unit": "angstrom", "interpolation": "linear"}
    with pytest.raises(StudyError, match="a²c"):
        material_from(entry(base="NMC811", swelling={"lattice_a": wrong}))


def test_beyond_its_ends_a_table_is_held_or_goes_on_along_its_slope() -> None:
    """Catches a step of the derivative at the end: a half-cell whose lithium leaves the table has no solution."""
    held, going = (Table((0.2, 0.5, 1.0), (3.0, 1.0, 0.0), beyond=beyond) for beyond in ("held", "slope"))
    at = np.array([0.1, 1.2])
    assert value_of(held, at) == pytest.approx([3.0, 0.0]) and held.derivative(at) == pytest.approx([0, 0])
    ends = held.derivative([0.2, 1.0])
    assert going.derivative(at) == pytest.approx(ends)
    assert value_of(going, at) == pytest.approx([3.0 - 0.1 * ends[0], 0.2 * ends[1]])
    with pytest.raises(StudyError, match="beyond"):
        Table((0.0, 1.0), (0.0, 1.0), beyond="far")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("elastic", "youngs_modulus", "-1 GPa"),
        ("elastic", "poisson_ratio", 0.5),
        ("elastic", "poisson_ratio", -1.0),
        ("plastic", "yield_stress", "0 MPa"),
        ("plastic", "hardening", "-1 MPa"),
        ("transport", "diffusivity", "0 m2/s"),
        ("kinetics", "transfer_coefficient", 1.0),
        ("elastic", "youngs_modulus", {"expression": "90 - 100*x", "unit": "GPa"}),
        ("elastic", "youngs_modulus", {"value": 140, "unit": "GPa", "range": [150, 160]}),
    ],
)
def test_values_beyond_physical_bounds_or_their_own_range_are_refused(
    part: str, key: str, value: object
) -> None:
    with pytest.raises(StudyError, match=key):
        material_from(entry(**{part: {key: value}}))


def test_zero_hardening_is_perfect_plasticity_and_allowed() -> None:
    own = material_from(entry(plastic={"yield_stress": "1 MPa", "hardening": "0 MPa"}))
    assert float(own.require("plastic.hardening")) == 0.0


def test_a_missing_part_is_an_error_only_when_it_is_needed() -> None:
    cbd = read_material("CBD")
    assert cbd.get("plastic.yield_stress") is None
    with pytest.raises(StudyError, match=r"CBD.*no plastic\.yield_stress, which pressing needs") as caught:
        cbd.require("plastic.yield_stress", purpose="pressing")
    assert "[plastic] yield_stress" in caught.value.hint


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"elastc": {}}, "elastic"),
        ({"elastic": {"young_modulus": "1 GPa"}}, "youngs_modulus"),
        ({"elastic": {"youngs_modulus": {"value": 1, "unit": "GPa", "sorce": "?"}}}, "source"),
        ({"elastic": {"youngs_modulus": {"value": 1, "unit": "GPa", "tag": "sure"}}}, "tag"),
        ({"elastic": {"youngs_modulus": {"unit": "GPa"}}}, "one of value, expression, table"),
        ({"elastic": {"youngs_modulus": {"value": 1, "expression": "x", "unit": "GPa"}}}, "one of"),
        ({"elastic": {"youngs_modulus": {"value": "1", "unit": "GPa"}}}, "finite number"),
        ({"elastic": 5}, "must be a table"),
        ({"elastic": {"youngs_modulus": [1]}}, "expected"),
        ({"between": ["NMC811"]}, "two materials"),
        ({"swelling": {"volume_strain": {"table": [[0, 0], [0, 1]]}}}, "ascend"),
        ({"swelling": {"volume_strain": {"table": [[0, 0, 1], [1, 1, 1]]}}}, "row"),
        ({"swelling": {"volume_strain": {"table": [[0, 0], [1, 1]], "interpolation": "akima"}}}, "akima"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_key(broken: dict[str, object], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        material_from(entry(**broken))


@pytest.mark.parametrize("value", [{"value": 1, "unit": "m2/s"}, {"value": 1}, "140", 140])
def test_a_wrong_or_missing_unit_is_refused(value: object) -> None:
    with pytest.raises(UnitError, match="youngs_modulus"):
        material_from(entry(elastic={"youngs_modulus": value}))


def test_publication_mode_names_the_values_without_a_source(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StudyError, match=r"elastic.poisson_ratio \(common, no source\)"):
        read_material("LPSCl", publication=True)
    with caplog.at_level(logging.WARNING):
        assert read_material("CBD", publication=True).name == "CBD"
    assert "second-hand" in caplog.text


def test_an_own_file_changes_single_values_of_a_library_entry(tmp_path: Path) -> None:
    (tmp_path / "soft.toml").write_text(
        'name = "soft"\nbase = "LPSCl"\n[elastic]\nyoungs_modulus = "15 GPa"\n', encoding="utf-8"
    )
    soft = read_material(tmp_path / "soft.toml")
    assert float(soft.require("elastic.youngs_modulus")) == 15000.0
    assert float(soft.require("plastic.yield_stress")) == 300.0


def test_the_materials_of_a_sample_come_from_one_file(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        'NMC = "NMC811"\nSE = "se.toml"\n[binder]\nbase = "CBD"\n[binder.elastic]\nyoungs_modulus = "1 GPa"\n'
    )
    (tmp_path / "se.toml").write_text('base = "LPSCl"\n')
    materials = read_materials(tmp_path / "m.toml")
    assert list(materials) == ["NMC", "SE", "binder"]
    assert float(materials["binder"].require("elastic.youngs_modulus")) == 1000.0
    assert isinstance(materials["SE"], Material)


def test_missing_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no material file"):
        read_material(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(DataError, match="not a TOML file"):
        read_material(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match="NMC811"):
        read_material("NMC-811")
    (tmp_path / "loop.toml").write_text('base = "loop.toml"\n')
    with pytest.raises(StudyError, match="its own base"):
        read_material(tmp_path / "loop.toml")


def test_a_function_of_x_is_no_constant() -> None:
    modulus = read_material("Si").require("elastic.youngs_modulus")
    assert np.allclose(modulus([0.0, 1.0]), [90e3, 40e3])
    with pytest.raises(StudyError, match="depends on x"):
        float(modulus)
