"""A charge that cannot be: the right error, and the last good state on disk."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from study_cases import rows_of
from test_coupling import STUDY, prepare

from pxm2mesh.errors import GeometryError, NotConvergedError, Pxm2meshError, StudyError
from simulations.models.electrochemistry import HalfCell
from simulations.studies.run import run

PLAIN = STUDY[: STUDY.index("[physics.mechanics]")] + STUDY[STUDY.index("[output]") :]


@pytest.mark.parametrize(
    ("study", "step", "says"),
    [
        (PLAIN, "1000C for 1 h", "lithium at the surface is used up while x is 0.5"),
        (STUDY, "1000C until 3.9 V", "the current alone"),
        pytest.param(STUDY, "1000C for 1 h", "lithium at the surface is used up", marks=pytest.mark.verify),
    ],
    ids=["used up", "voltage at once", "used up, with mechanics"],
)
def test_1000_c_ends_with_its_cause_and_the_last_good_state(
    tmp_path: Path, study: str, step: str, says: str
) -> None:
    """Catches a charge that ends at once as if it were done (exit code 0), and a failed step that is kept."""
    folder = prepare(
        tmp_path / "run", study=study.replace('"1C until 4.0 V", "rest 1 min"', f'"1C for 40 s", "{step}"')
    )
    with pytest.raises(NotConvergedError, match=rf"at t = .* the cell cannot carry 1000C: {says}") as caught:
        run(folder)
    assert caught.value.exit_code == 6 and "checkpoints/half-cell.npz at t = 40" in caught.value.hint
    with np.load(folder / "checkpoints" / "half-cell.npz") as kept:
        assert np.isfinite(kept["nodes/old"]).all()
    assert rows_of(folder)[-1]["time [s]"] >= 40 and (folder / "results.pvd").exists()
    assert not (folder / "quantities-solve.json").exists()


@pytest.mark.parametrize(
    "study", [PLAIN, pytest.param(STUDY, marks=pytest.mark.verify)], ids=["half-cell", "with mechanics"]
)
def test_a_step_that_fails_whatever_is_tried_ends_with_place_and_cause(
    tmp_path: Path, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches the last good state lost, the ladder left out, and an error that does not say where."""
    whole = HalfCell._flow

    def blind(self: HalfCell) -> tuple[float, float, tuple[np.ndarray, np.ndarray]]:
        total, size, slopes = whole(self)
        return (total if self.time < 40 else math.nan), size, slopes

    monkeypatch.setattr(HalfCell, "_flow", blind)
    folder = prepare(tmp_path / "run", study=study)
    with pytest.raises(
        NotConvergedError, match="still failed after 8 cuts, also with a line search and with a d"
    ) as caught:
        run(folder)
    said = f"{caught.value.message} {caught.value.hint}"
    for part in (
        "residuals: lithium",
        "µm, cell ",
        "likely cause: ",
        "the last good state is in checkpoints/half-cell.npz",
    ):
        assert part in said
    assert rows_of(folder)[-1]["time [s]"] >= 40


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (('collector = "x-"', 'collector = "x+"'), GeometryError, "NMC does not reach 'x\\+': there is no path"),
        (('active = "NMC"', 'active = "NCM"'), StudyError, "NCM"),
        (('NMC = "NMC811"', 'NMC = "LPSCl"'), StudyError, "no transport.diffusivity"),
        (('LPSCl = "LPSCl"', 'LPSCl = "Li"'), StudyError, "ionic_conductivity"),
        (('NMC = "NMC811"', 'NMC = "own.toml"'), StudyError, "come from different fits"),
        (('initial_voltage = "3.75 V"', 'initial_voltage = "5 V"'), StudyError, "is not on the curve of 'NMC811'"),
    ],
    ids=["no path", "unknown phase", "no curve", "no conductivity", "volume", "start"],
)  # fmt: skip
def test_what_cannot_begin_says_why(
    tmp_path: Path, change: tuple[str, str], error: type[Pxm2meshError], says: str
) -> None:
    assert change[0] in STUDY
    folder = prepare(tmp_path / "run", study=STUDY.replace(*change))
    other_scale = '{ value = 1.25e-5, unit = "m3/mol", range = [1e-6, 2e-5] }'
    own = f'name = "own"\nbase = "NMC811"\n[swelling]\nmolar_volume = {other_scale}\n'
    (folder / "own.toml").write_text(own)
    with pytest.raises(error, match=says):
        run(folder)
    assert (folder / "mesh.npz").exists() and not (folder / "quantities-solve.json").exists()
