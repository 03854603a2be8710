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


def _slices(folder: Path, numbers: list[int], width: Callable[[int], int] = lambda _: 9) -> Path:
    folder.mkdir()
    for number in numbers:
        values = np.random.default_rng(number).integers(0, 255, (8, width(number)), dtype=np.uint8)
        tifffile.imwrite(folder / f"slice_{number:04}.tif", values)
    return folder


SEGMENT = ("-o", "labels.tif", "--phases", "void,LPSCl,NMC", "--spacing", "0.65 um")


def test_a_missing_slice_is_named(tmp_path: Path, command: Command) -> None:
    result = command("segment", _slices(tmp_path / "scan", [1, 2, 3, 5, 6]), *SEGMENT)
    expect(result, 3, "slice_0003.tif to slice_0005.tif", "add the missing slices")


def test_slices_of_unequal_size_are_named(tmp_path: Path, command: Command) -> None:
    result = command("segment", _slices(tmp_path / "scan", [1, 2, 3], lambda n: 9 + (n == 3)), *SEGMENT)
    expect(result, 3, "slice_0003.tif has 10 × 8 pixels", "slice_0001.tif 9 × 8", "crop them alike")


def test_a_constant_scan_is_refused(tmp_path: Path, command: Command) -> None:
    np.save(tmp_path / "scan.npy", np.full((8, 8, 8), 7, np.uint16))
    expect(command("segment", tmp_path / "scan.npy", *SEGMENT), 3, "all grey values are 7")


def test_a_scan_that_shows_one_phase_fewer_than_named_is_refused(tmp_path: Path, command: Command) -> None:
    """Catches thresholds that cut the noise of one phase in two."""
    values = np.where(np.arange(24) < 12, 40.0, 160.0)[:, None, None] + np.zeros((24, 24, 24))
    np.save(
        tmp_path / "scan.npy", (values + np.random.default_rng(0).normal(0, 5, values.shape)).astype("f4")
    )
    result = command("segment", tmp_path / "scan.npy", *SEGMENT)
    expect(result, 3, "does not show 3 phases", "one peak", "name only the phases")


@pytest.mark.parametrize("way", [(), ("--blocks",)])
def test_three_labels_for_four_phases_are_refused(
    labels: Path, command: Command, way: tuple[str, ...]
) -> None:
    result = command("quantify", labels, "--phases", TABLE + ",binder=3", *way)
    expect(result, 3, "phase 'binder'", "has no voxel", "leave the phase out")


@pytest.mark.parametrize("spacing", ["0.5 m", "0.5 nm", "0.5e-6 um"])
def test_a_spacing_in_the_wrong_unit_is_refused(spacing: str, labels: Path, command: Command) -> None:
    result = command("quantify", labels, "--phases", TABLE, "--spacing", spacing)
    expect(result, 2, "µm is not that of a scan (1 nm to 1 mm)", "check its unit")


def test_a_spacing_in_the_wrong_unit_is_refused_in_a_study_and_in_a_file(
    study: Path, tmp_path: Path, command: Command
) -> None:
    change(study, 'spacing = "0.5 um"', 'spacing = "0.5 m"')
    expect(command("run", study), 2, "small.toml:4", "500000 µm is not that of a scan")
    about = {
        "axes": "ZYX",
        **{f"PhysicalSize{a}": 400 for a in "XYZ"},
        **{f"PhysicalSize{a}Unit": "mm" for a in "XYZ"},
    }
    tifffile.imwrite(tmp_path / "far.ome.tif", small_labels(), ome=True, metadata=about)
    expect(
        command("quantify", tmp_path / "far.ome.tif", "--phases", TABLE),
        2,
        "far.ome.tif states a",
        "check its unit",
    )
