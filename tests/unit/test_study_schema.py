"""The JSON schema of study files: editors and the reference page rely on it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from pxm2mesh.study import read_study
from pxm2mesh.study.schema import sections, study_schema
from pxm2mesh.study.templates import SCHEMA, new_study, template_names

SCHEMA_OF_STUDIES = study_schema()
REPOSITORY = Path(__file__).resolve().parents[2]


def complaints(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """What a JSON schema validator would say; the part of the standard that the schema uses."""
    if "$ref" in schema:
        schema = SCHEMA_OF_STUDIES["$defs"][schema["$ref"].rpartition("/")[2]] | {
            k: v for k, v in schema.items() if k != "$ref"
        }
    for word in ("anyOf", "oneOf"):
        if word in schema and all(any(True for _ in complaints(value, s, path)) for s in schema[word]):
            yield f"{path}: none of {word}"
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": int | float,
        "boolean": bool,
    }
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        yield f"{path}: {value!r} is no {schema['type']}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{path}: {value!r} is not allowed"
    if isinstance(value, dict) and schema.get("type") == "object":
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (f"{path}: {key} is missing" for key in schema.get("required", ()) if key not in value)
        for key, item in value.items():
            if key in known:
                yield from complaints(item, known[key], f"{path}.{key}")
            elif rest is False:
                yield f"{path}.{key}: unknown"
            elif isinstance(rest, dict):
                yield from complaints(item, rest, f"{path}.{key}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, item in enumerate(value):
            yield from complaints(item, schema["items"], f"{path}[{i}]")
    if isinstance(value, int | float) and not value >= schema.get("minimum", value):
        yield f"{path}: {value} is too small"


def studies() -> list[Path]:
    templates = resources.files("pxm2mesh.study.templates").iterdir()
    return [Path(str(f)) for f in templates if f.name.endswith(".toml")] + [
        REPOSITORY / "data/demo/study.toml"
    ]


@pytest.mark.parametrize("file", studies(), ids=lambda file: file.name)
def test_every_study_that_comes_along_fits(file: Path) -> None:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    assert list(complaints(content, SCHEMA_OF_STUDIES)) == []
    assert read_study(file)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"mesh": {"cell_sise": 2}}, ".mesh.cell_sise: unknown"),
        ({"mesh": {"certificate": "much"}}, ".mesh.certificate"),
        ({"physics": [{"model": "conductoin", "phases": ["a"]}]}, ".physics[0]: none of oneOf"),
        ({"solver": {"ranks": 0}}, ".solver.ranks: 0 is too small"),
        ({"volume": {"phases": {"NMC": "one"}}}, ".volume.phases.NMC: none of anyOf"),
    ],
)
def test_what_is_no_study_does_not_fit(change: dict[str, Any], complaint: str) -> None:
    content = {"volume": {"phantom": "cathode"}} | change
    assert any(c.startswith(complaint) for c in complaints(content, SCHEMA_OF_STUDIES))


def test_every_key_is_described() -> None:
    """An editor shows the description; the reference page is made of it."""
    parts = {"Study": SCHEMA_OF_STUDIES, **SCHEMA_OF_STUDIES["$defs"]}
    bare = [f"{name}.{key}" for name, part in parts.items() for key, entry in part["properties"].items()
            if not entry.get("description")]  # fmt: skip
    assert bare == []
    assert {kind.__name__ for kind in sections()} >= set(parts)


def test_defaults_are_those_of_the_study() -> None:
    parts = SCHEMA_OF_STUDIES["$defs"]
    assert parts["HalfCell"]["properties"]["first_step"]["default"] == "1 s"
    assert parts["MeshSection"]["properties"]["cell_size"]["default"] == 2.0


def test_a_new_study_brings_its_schema_for_the_editor(tmp_path: Path) -> None:
    for name in template_names():
        new_study(tmp_path / f"{name}.toml", name, schema=True)
        assert (tmp_path / f"{name}.toml").read_text("utf-8").startswith(f"#:schema {SCHEMA}\n")
    assert (tmp_path / SCHEMA).stat().st_size > 10_000
