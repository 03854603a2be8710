"""Keeps what is generated in the reference in step with the code: ``python docs/tools/reference.py [--check]``.

The tables of the study file come from its JSON schema, the options of the verbs from the command line itself.
They stand between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in pages that are otherwise written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from pxm2mesh.cli.app import VERBS, build
from pxm2mesh.study.schema import study_schema

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_BRACKETS = {"zone": "[[zone]]", "physics": "[[physics]]"}


def main(arguments: list[str]) -> int:
    """Write what is out of step, or with ``--check`` only say so."""
    stale = [
        path for path, text in generated().items() if not path.exists() or path.read_text("utf-8") != text
    ]
    for path in stale:
        if "--check" not in arguments:
            path.write_text(generated()[path], encoding="utf-8")
        print(path.name, "is out of step" if "--check" in arguments else "written")
    return int("--check" in arguments and bool(stale))


def generated() -> dict[Path, str]:
    """Every file of the reference that is made, wholly or in part, with what should stand in it."""
    parts = {"study-file": study_tables(), "cli": verbs()}
    made = {REFERENCE / "study.schema.json": json.dumps(study_schema(), indent=2, ensure_ascii=False) + "\n"}
    for name in ("study-file.md", "cli.md"):
        page = REFERENCE / name
        text = page.read_text(encoding="utf-8")
        made[page] = _BLOCK.sub(lambda m: f"{m[1]}\n{parts[m[2]].strip()}\n\n{m[3]}", text)
    return made


def study_tables() -> str:
    """A heading, a sentence and a table of keys for every section of the study file."""
    schema = study_schema()
    lines: list[str] = []
    for key, entry in schema["properties"].items():
        inner = entry.get("items", entry)
        names = [_name(member) for member in inner.get("oneOf", [inner]) if "$ref" in member]
        heading = _BRACKETS.get(key, f"[{key}]")
        if len(names) != 1:
            lines += [f"## `{heading}`", "", entry["description"], ""]
        for name in names:
            part = schema["$defs"][name]
            if len(names) > 1:
                model = part["properties"]["model"]["const"]
                lines += [f'### `model = "{model}"`', ""]
            else:
                lines += [f"## `{heading}`", ""]
            lines += [*_section(part, schema), ""]
    return "\n".join(lines)


def _section(part: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    about = _prose(re.sub(r"^``\[+[\w.]+\]+``: ", "", part["description"]))
    lines = [about[:1].upper() + about[1:], "", "| key | type | default | meaning |", "|---|---|---|---|"]
    below: list[tuple[str, str]] = []
    for key, entry in part["properties"].items():
        needed = key in part.get("required", ())
        default = "**needed**" if needed else _default(entry)
        if key == "model" and "const" in entry:
            continue
        lines.append(
            f"| `{key}` | {_kind(entry)} | {default} | {_cell(_prose(entry.get('description', '')))} |"
        )
        below += [(key, name) for name in _inside(entry) if name != "Study"]
    for key, name in below:
        lines += ["", f"`{key}` as a table:", "", *_section(schema["$defs"][name], schema)[2:]]
    return lines


def _inside(entry: dict[str, Any]) -> list[str]:
    places = [entry, entry.get("items", {}), entry.get("additionalProperties", {})]
    members = [m for p in places if isinstance(p, dict) for m in (p, *p.get("anyOf", ()))]
    return list(dict.fromkeys(_name(m) for m in members if "$ref" in m))


def _name(entry: dict[str, Any]) -> str:
    return str(entry["$ref"]).rpartition("/")[2]


def _kind(entry: dict[str, Any]) -> str:
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_kind(member) for member in entry["anyOf"]))
    if "enum" in entry:
        return " ".join(f"`{json.dumps(value)}`" for value in entry["enum"])
    if "$ref" in entry:
        return "table"
    if entry.get("type") == "array":
        item = entry.get("items") or (entry.get("prefixItems") or [{}])[0]
        return f"list of {_kind(item)}"
    if entry.get("type") == "object":
        values = entry.get("additionalProperties")
        return f"name = {_kind(values)}" if isinstance(values, dict) else "table"
    kind = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true` `false`"}
    text = kind.get(str(entry.get("type")), "any")
    if (
        text == "text"
        and str(entry.get("description", "")).startswith("a ")
        and "unit" in entry["description"]
    ):
        text = entry["description"]
    limits = [f"{sign} {entry[name]:g}" for name, sign in _LIMITS.items() if name in entry]
    return f"{text} {', '.join(limits)}".strip()


def _default(entry: dict[str, Any]) -> str:
    value = entry.get("default")
    return (
        ""
        if value in (None, "", [], {}) and value is not False
        else f"`{json.dumps(value, ensure_ascii=False)}`"
    )


def _prose(text: str) -> str:
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
    return "\n\n".join(re.sub(r"``([^`]*)``", r"`\1`", p) for p in paragraphs)


def _cell(text: str) -> str:
    return text.replace("\n\n", " ").replace(" | ", " \\| ")


def verbs() -> str:
    """Every verb with its arguments, options and example."""
    group: Any = get_command(build())
    lines: list[str] = []
    for name in VERBS:
        verb = group.commands[name]
        shown = [p for p in verb.params if not getattr(p, "hidden", False)]
        arguments = " ".join(_argument(p) for p in shown if p.param_type_name == "argument")
        lines += [f"## `{name}`", "", _prose(verb.help or ""), "", "```text", f"pxm2mesh {name} {arguments} [OPTIONS]",
                  "", _example(verb.epilog), "```", ""]  # fmt: skip
        own = [p for p in shown if p.name not in ("as_json", "quiet", "verbose")]
        if own:
            lines += ["| | default | |", "|---|---|---|"]
            lines += [f"| {_option(p)} | {_option_default(p)} | {_cell(p.help or '')} |" for p in own]
            lines.append("")
    return "\n".join(lines)


def _example(epilog: str | None) -> str:
    return "\n".join(line.strip() for line in (epilog or "").partition("\b\n")[2].splitlines())


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_argument(parameter)}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in names)


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "**needed**"
    value = parameter.default
    return "" if value in (None, False, "", (), []) or callable(value) else f"`{value}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
