"""Phases: names instead of integers."""

from __future__ import annotations

import pytest

from pxm2mesh.errors import UsageError
from pxm2mesh.phases import Phase, PhaseTable


def test_a_table_is_looked_up_by_name_and_by_label() -> None:
    phases = PhaseTable({"NMC": 1, "void": 0})
    assert phases["NMC"].label == 1
    assert phases.by_label(0).name == "void"
    assert phases.names == ("void", "NMC")
    assert phases.labels == (0, 1)


def test_roles_and_colours_of_well_known_names_are_filled_in() -> None:
    phases = PhaseTable.parse("void=0,NMC=1,LPSCl=2,binder=3,thing=4")
    assert [p.role for p in phases] == [
        "void",
        "active",
        "electrolyte",
        "binder",
        "other",
    ]
    assert len({p.colour for p in phases}) == 5


def test_an_unknown_phase_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match='did you mean "LPSCl"'):
        PhaseTable({"LPSCl": 1, "NMC": 2})["LPSC"]


@pytest.mark.parametrize("text", ["", "a=1,b=1", "a=1,a=2", "a=x", "a|b=1", "=1"])
def test_a_table_that_is_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        PhaseTable.parse(text)


@pytest.mark.parametrize("label", [-1, 1.5, True])
def test_a_label_that_is_not_a_whole_number_is_refused(label: object) -> None:
    with pytest.raises(UsageError, match="label"):
        Phase(label, "NMC")  # type: ignore[arg-type]


def test_names_without_labels_count_from_zero() -> None:
    assert PhaseTable.parse("void, LPSCl, NMC") == PhaseTable({"void": 0, "LPSCl": 1, "NMC": 2})


def test_interface_names_are_canonical() -> None:
    phases = PhaseTable({"LPSCl": 2, "NMC": 1})
    assert phases.pair_name(2, 1) == "NMC | LPSCl"
    assert [p.name for p in phases.pair("LPSCl|NMC")] == ["LPSCl", "NMC"]
    with pytest.raises(UsageError, match="itself"):
        phases.pair("NMC | NMC")
    with pytest.raises(UsageError, match="interface name"):
        phases.pair("NMC")
