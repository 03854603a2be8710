"""The error tree and files that are whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pxm2mesh import errors
from pxm2mesh.files import replacing, write_json


def test_every_error_class_has_the_exit_code_of_the_contract() -> None:
    codes = {
        errors.Pxm2meshError: 1,
        errors.UsageError: 2,
        errors.StudyError: 2,
        errors.UnitError: 2,
        errors.DataError: 3,
        errors.GeometryError: 4,
        errors.MeshingError: 5,
        errors.NotConvergedError: 6,
        errors.MissingDependencyError: 7,
    }
    assert {cls: cls.exit_code for cls in codes} == codes


def test_the_hint_ends_the_message() -> None:
    assert str(errors.DataError("label 9 has no phase;", hint="add it.")) == "label 9 has no phase; add it."


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "q.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as part:
        part.write_text("half")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["q.json"]


def test_a_folder_takes_the_place_of_the_old_one_as_a_whole(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with replacing(tmp_path / "series") as part:
            part.mkdir()
            (part / content).write_text(content)
    assert [p.name for p in (tmp_path / "series").iterdir()] == ["second"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_said_plainly(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.DataError, match="no space left"),
        replacing(tmp_path / "m.vtu"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_json_is_written_with_names_as_they_are(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "q.json", {"unit": "µm"})
    assert "µm" in (tmp_path / "a" / "q.json").read_text(encoding="utf-8")
