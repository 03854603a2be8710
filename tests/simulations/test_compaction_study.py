"""``model = "compaction"`` from a study: layers against their closed form, energy, volumes, restart, refusals."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import Killed
from meshes import box
from study_cases import WITH_VOID, rows_of
from test_charge import run as run_apart
from test_compaction import stretch_at

from pxm2mesh.errors import StudyError
from pxm2mesh.io.images import read_volume
from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.materials import read_material
from pxm2mesh.study import parse_study
from simulations.studies import compaction
from simulations.studies.run import run

STUDY = (
    WITH_VOID
    + """
[[physics]]
model = "compaction"
active = "NMC"
electrolyte = "LPSCl"
order = 1
%s

[output]
folder = "."
"""
)
LAWS = {
    phase: (
        *(float(read_material(name).require(f"elastic.{k}")) for k in ("youngs_modulus", "poisson_ratio")),
        *((float(read_material(name).require("plastic.yield_stress")(0.0)),) if phase == "LPSCl" else ()),
    )
    for phase, name in (("NMC", "NMC811"), ("LPSCl", "LPSCl"))
}
LAWS["void"] = (LAWS["LPSCl"][0] * 1e-4, 0.0)


def layers(folder: Path, physics: str, *, pore: bool = True) -> Path:
    """NMC below, a pore in the middle (or none), electrolyte above: 3 µm high."""
    folder.mkdir()
    label = np.array([1, 0 if pore else 1, 2])
    mesh = box((1, 1, 3), (1.0, 1.0, 3.0), lambda c: label[c[:, 2].astype(int)].astype(np.int32))
    save_arrays(mesh, folder / "mesh.npz")
    (folder / "study.toml").write_text(STUDY % physics)
    return folder


PRESSED = 'loads = ["1500 MPa", "5 MPa"]\nsteps = 20\nvoxel = "0.05 um"'


def test_layers_are_pressed_let_go_and_written_as_voxels(tmp_path: Path) -> None:
    """At 1.5 GPa each layer has the stretch of its own law, and NMC touches what is beyond the closed pore.

    Catches a thickness or a porosity of the undeformed sample, a pore that is taken for a solid, an electrolyte that
    does not flow, energy of one of the laws that is wrong or missing (V33), and voxels of the undeformed state.
    """
    folder = layers(tmp_path / "layers", PRESSED)
    quantities = run(folder)
    table = rows_of(folder)
    top = next(row for row in table if row["pressure [MPa]"] == pytest.approx(1500.0))
    expected = {phase: stretch_at(1500.0, *law) for phase, law in LAWS.items()}
    height = sum(expected.values())
    assert top["thickness [um]"] == pytest.approx(height, rel=5e-4)  # the library's LPSCl hardens a little
    assert top["porosity [1]"] == pytest.approx(expected["void"] / height, rel=5e-3)
    assert top["contact fraction [1]"] == pytest.approx(1.0) and table[0]["contact fraction [1]"] == 0.0
    assert table[-1]["contact fraction [1]"] == 0.0 and table[-1]["porosity [1]"] < 1 / 3
    assert top["mean plastic strain LPSCl [1]"] > 1e-3
    assert top["energy imbalance [1]"] < 0.01
    done, spent = (  # the first increments squeeze the pore flat: the trapezoidal rule is rough there
        sum(top[name] - before[name] for name in names)
        for before in [next(row for row in table if row["pressure [MPa]"] > 600)]
        for names in (["work of the plate [pJ]"], ["elastic energy [pJ]", "plastic work [pJ]"])
    )
    assert spent == pytest.approx(done, rel=3e-3)
    assert quantities.value("porosity") == table[-1]["porosity [1]"]
    pressed = read_volume(folder / "pressed-1.tif")
    thin = pressed.voxel_counts()["void"] / pressed.labels.size
    assert pressed.shape[2] == int(height / 0.05) and thin == pytest.approx(top["porosity [1]"], abs=0.02)
    assert pressed.labels[5, 5, 0] == 1 and pressed.labels[5, 5, -1] == 2
    released = read_volume(folder / "pressed-2.tif")
    assert released.voxel_counts()["void"] / released.labels.size == pytest.approx(
        table[-1]["porosity [1]"], abs=0.02
    )


@pytest.mark.parametrize("ending", ["increment", "load"])
def test_v32_pressing_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Killed within a load or right after one. Catches flow or volumes that a continued run has forgotten."""
    whole, killed = (
        layers(tmp_path / name, PRESSED.replace("20", "12").replace("1500", "400"))
        for name in ("whole", "killed")
    )
    run(whole)
    saved: Any = compaction._PressRun._save

    def save(self: Any) -> None:
        saved(self)
        if (self.position == 1) if ending == "load" else self.body.time > 0.5:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(compaction._PressRun, "_save", save)
        with pytest.raises(Killed):
            run(killed)
    run(killed)
    one, other = rows_of(whole), rows_of(killed)
    assert len(one) == len(other)
    for wanted, found in zip(one, other, strict=True):
        for name in set(wanted) - {"wall time [s]"}:
            assert found[name] == pytest.approx(wanted[name], rel=1e-10, abs=1e-12), name
    for name in ("pressed-1.tif", "pressed-2.tif"):
        assert np.array_equal(read_volume(whole / name).labels, read_volume(killed / name).labels)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('loads = ["5 MPa", "x 0.5"]', "presses or closes only"),
        ('loads = ["5 MPa"]\nsides = "free"', "takes place in a die"),
        ('loads = ["5 MPa"]\ninitial = 0.5', "nothing swells in compaction"),
    ],
)
def test_what_is_no_compaction_is_refused(given: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        parse_study(tomllib.loads(STUDY % given))


def test_a_sample_without_meshed_pores_is_refused(tmp_path: Path) -> None:
    folder = layers(tmp_path / "full", 'loads = ["5 MPa"]', pore=False)
    with pytest.raises(StudyError, match="no pore is meshed"):
        run(folder)


def test_two_ranks_press_as_one_does(tmp_path: Path) -> None:
    """Catches a study that waits for ever, as one rank asks for what all have to ask for."""
    found = []
    for ranks in (1, 2):
        folder = layers(tmp_path / str(ranks), 'loads = ["20 MPa"]\nsteps = 4\nvoxel = "0.1 um"')
        run_apart(folder, ranks)
        found.append((rows_of(folder), read_volume(folder / "pressed-1.tif").labels))
    (one, alone), (two, together) = found
    assert len(one) == len(two) > 4 and np.array_equal(alone, together)
    for name in ("thickness [um]", "porosity [1]", "pressure [MPa]"):
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], rel=1e-7, abs=1e-9), (
            name
        )
