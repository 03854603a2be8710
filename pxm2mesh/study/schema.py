"""The study file as a JSON schema: for editors, and for the reference page, which is made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from pxm2mesh.study.fields import Measure, Section
from pxm2mesh.study.model import Study

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE = re.compile(r"^    (\w+): (.*)$")


class _Schema(GenerateJsonSchema):
    """Measures are text, their defaults too."""

    def encode_default(self, dft: Any) -> Any:
        return str(dft) if isinstance(dft, Measure) else super().encode_default(dft)


def study_schema() -> dict[str, Any]:
    """The JSON schema of a study file.

    Every key has its description, its default and its limits, so that an editor can complete and check it.

    Returns:
        The schema, ready for `json.dumps`.

    Example:
        >>> study_schema()["$defs"]["MeshSection"]["properties"]["cell_size"]["default"]
        2.0
    """
    schema = Study.model_json_schema(schema_generator=_Schema)
    classes = {section.__name__: section for section in sections()}
    for name, part in (("Study", schema), *schema["$defs"].items()):
        _describe(part, classes[name])
    schema = _plain(schema)
    schema["$defs"]["PhantomSource"]["additionalProperties"] = True  # options of the phantom
    phantom = schema["properties"]["volume"], schema["$defs"]["VolumeSection"]["properties"]["phantom"]
    phantom[1]["anyOf"] = [{"type": "string"}, {"$ref": phantom[1].pop("$ref")}]
    schema["required"] = ["volume"]
    schema["$defs"]["OutputSection"].pop("required", None)
    return {
        "$schema": DIALECT,
        "title": "pxm2mesh study",
        **{k: v for k, v in schema.items() if k != "title"},
    }


def sections() -> Iterator[type[BaseModel]]:
    """Every section of a study file, the whole first."""
    seen: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [Section]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            if kind not in seen:
                seen.append(kind)
                waiting.append(kind)
    return iter(seen)


def attributes_of(kind: type[BaseModel]) -> Mapping[str, str]:
    """What the docstring of a section says of each key."""
    lines = (kind.__doc__ or "").partition("Attributes:\n")[2].splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=4) - 4
    told: dict[str, str] = {}
    name = ""
    for line in (line[indent:] for line in lines):
        found = _ATTRIBUTE.match(line)
        if found:
            name = found.group(1)
            told[name] = found.group(2)
        elif name and line.strip():
            told[name] += " " + line.strip()
        elif name:
            break
    inherited = [
        attributes_of(base) for base in kind.__bases__ if issubclass(base, Section) and base is not Section
    ]
    return {key: text for base in inherited for key, text in base.items()} | told


def _describe(part: dict[str, Any], kind: type[BaseModel]) -> None:
    told = attributes_of(kind)
    part["description"] = (kind.__doc__ or "").partition("Attributes:")[0].strip()
    for key, entry in part.get("properties", {}).items():
        if key in told:
            entry["description"] = told[key]
        elif "const" in entry:
            entry["description"] = "Which computation this is."


def _plain(part: Any) -> Any:
    """Without titles, which repeat the keys, and without null, which TOML does not have."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {k: v for k, v in part.items() if not (k == "title" and isinstance(v, str))}
    kept = {k: v for k, v in kept.items() if not (k == "default" and v is None)}
    if "anyOf" in kept:
        members = [member for member in kept.pop("anyOf") if member != {"type": "null"}]
        if len(members) == 1:
            kept = {**members[0], **kept}
        else:
            kept["anyOf"] = members
    return {key: _plain(value) for key, value in kept.items()}
