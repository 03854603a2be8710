"""Every mistake a user can make ends in one line on stderr that says what to do, and in its exit code."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from .conftest import PHYSICS, STUDY, Result, small_labels

Command = Callable[..., Result]
TABLE = "void=0,NMC=1,LPSCl=2"


def expect(result: Result, code: int, *told: str) -> None:
    assert result.code == code, result.err
    lines = [line for line in result.err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.err
    for text in told:
        assert text in lines[0]
    assert "Traceback" not in result.err


def change(study: Path, before: str, after: str) -> None:
    assert before in STUDY
    study.write_text(STUDY.replace(before, after), encoding="utf-8")


def test_a_missing_spacing_is_asked_for(tmp_path: Path, command: Command) -> None:
    np.save(tmp_path / "bare.npy", small_labels())
    result = command("quantify", tmp_path / "bare.npy", "--phases", TABLE)
    expect(result, 2, "spacing", '"0.4 um"')


def test_a_label_without_phase_is_named_with_its_place(labels: Path, command: Command) -> None:
    result = command("quantify", labels, "--phases", "void=0,NMC=1")
    expect(result, 3, "label 2 has no phase", "first at voxel", "other=2")


def test_an_empty_phase_that_is_asked_for_is_an_error(study: Path, command: Command) -> None:
    text = STUDY.replace("LPSCl = 2 }", "LPSCl = 2, binder = 3 }") + PHYSICS.replace("LPSCl", "binder")
    study.write_text(text, encoding="utf-8")
    expect(command("run", study), 3, "'binder' (label 3) has no voxel")


@pytest.mark.parametrize(("value", "told"), [(np.nan, "nan"), (1.5, "1.5")])
def test_labels_that_are_no_whole_numbers_are_refused(
    value: float, told: str, tmp_path: Path, command: Command
) -> None:
    grey = small_labels().astype(np.float32)
    grey[4, 5, 6] = value
    np.save(tmp_path / "grey.npy", grey)
    result = command("quantify", tmp_path / "grey.npy", "--phases", TABLE, "--spacing", "1 um")
    expect(result, 3, "whole numbers", "(4, 5, 6)", told, "pxm2mesh segment")


def test_a_truncated_tiff_is_called_damaged(labels: Path, command: Command) -> None:
    tifffile.imwrite(labels, np.random.default_rng(0).integers(0, 3, (40, 40, 40), dtype=np.uint8))
    labels.write_bytes(labels.read_bytes()[:20000])
    expect(command("quantify", labels, "--phases", TABLE, "--spacing", "1 um"), 3, "labels.tif")


def test_a_wrong_unit_is_pointed_at_by_line_and_column(study: Path, command: Command) -> None:
    change(study, 'spacing = "0.5 um"', 'spacing = "0.5 s"')
    expect(command("run", study), 2, "small.toml:4:1", "volume.spacing", "is not a length", '"0.40 um"')


def test_a_number_without_unit_is_refused(study: Path, command: Command) -> None:
    change(study, 'spacing = "0.5 um"', 'spacing = "0.5"')
    expect(command("run", study), 2, "has no unit")


def test_an_unknown_key_comes_with_a_suggestion(study: Path, command: Command) -> None:
    change(study, "cell_size", "cell_sise")
    expect(
        command("run", study), 2, "small.toml:8:1", "mesh.cell_sise: unknown key", 'did you mean "cell_size"?'
    )


def test_an_unknown_phase_comes_with_a_suggestion(study: Path, command: Command) -> None:
    change(study, 'exclude = ["void"]', 'exclude = ["viod"]')
    expect(command("run", study), 2, "small.toml:9:1", "'viod'", 'did you mean "void"?')


def test_text_without_quotes_is_explained(study: Path, command: Command) -> None:
    change(study, 'spacing = "0.5 um"', "spacing = 0.5 um")
    expect(command("run", study), 2, "small.toml:4:", "quotes")


def test_a_missing_study_is_said(tmp_path: Path, command: Command) -> None:
    expect(command("run", tmp_path / "none.toml"), 2, "none.toml", "pxm2mesh new")


def test_a_missing_image_is_said(study: Path, command: Command) -> None:
    change(study, 'file = "labels.tif"', 'file = "other.tif"')
    expect(command("run", study), 2, "other.tif")


def test_a_full_disk_is_said(study: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    expect(command("run", study), 3, "no space left on the disk")


def test_a_machine_without_dolfinx_names_the_command_that_brings_it(
    study: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "dolfinx" else real(name))
    study.write_text(STUDY + PHYSICS, encoding="utf-8")
    expect(command("run", study), 7, "DOLFINx", "make env", "conda install")
    assert (study.parent / "runs" / "small" / "mesh.vtu").exists()


def test_a_phase_that_does_not_connect_the_faces_has_an_infinite_tortuosity(
    tmp_path: Path, command: Command
) -> None:
    layers = np.ones((8, 8, 8), dtype=np.uint8)
    layers[4] = 0
    np.save(tmp_path / "layers.npy", layers)
    result = command(
        "quantify", tmp_path / "layers.npy", "--phases", "void=0,NMC=1", "--spacing", "1 um", "--json"
    )
    assert result.code == 0, result.err
    import json

    rows = [q for q in json.loads(result.out) if q["name"] == "tortuosity_factor"]
    found = {(q["phase"], q["direction"]): q["value"] for q in rows}
    assert found["NMC", "x"] == "inf"
    assert float(found["NMC", "y"]) == pytest.approx(1.0, abs=1e-6)


def test_a_crop_that_is_none_is_explained(labels: Path, command: Command) -> None:
    expect(
        command("quantify", labels, "--phases", TABLE, "--crop", "0-10"), 2, "crop", '"0:100, 0:100, 20:120"'
    )


@pytest.mark.parametrize("arguments", [("meesh",), ("run",), ("mesh", "--zne", "x"), ("quantify",)])
def test_a_wrong_call_is_a_usage_error(arguments: tuple[str, ...], command: Command) -> None:
    expect(command(*arguments), 2, "--help")


def test_an_interruption_ends_with_130(
    study: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pxm2mesh.pipeline

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pxm2mesh.pipeline, "run_study", interrupted)
    expect(command("run", study), 130, "interrupted")


def test_a_bug_of_ours_is_one_line_too(
    study: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pxm2mesh.pipeline

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pxm2mesh.pipeline, "run_study", broken)
    expect(command("run", study), 1, "internal error: ZeroDivisionError", "-vv")
