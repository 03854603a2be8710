"""Study files: TOML in, TOML out, and errors that say file, line, column and key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from pxm2mesh.errors import StudyError, did_you_mean
from pxm2mesh.files import replacing
from pxm2mesh.study.consistency import Finding, contradictions
from pxm2mesh.study.locating import locate
from pxm2mesh.study.model import Study, dotted
from pxm2mesh.study.names import unresolved_names


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a study file.

    Attributes:
        key: Such as ``physics[0].phases``.
        message: What is wrong.
        hint: What to do about it.
        line: 1-based line, 0 where unknown.
        column: 1-based column, 0 where unknown.
        severity: A warning does not keep the study from running.
    """

    key: str
    message: str
    hint: str = ""
    line: int = 0
    column: int = 0
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """``4:1: volume.spacing: is not a length; write …``."""
        place = f"{self.line}:{self.column}: " if self.line else ""
        key = f"{self.key}: " if self.key else ""
        return f"{place}{'warning: ' * (self.severity == 'warning')}{key}{self.message} {self.hint}".rstrip()


def read_study(path: str | os.PathLike[str]) -> Study:
    """Read and check a study file.

    Args:
        path: A TOML file. Relative paths inside are relative to its folder.

    Returns:
        The study, with every default filled in.

    Raises:
        StudyError: Unreadable, unknown keys, wrong units, names that do not resolve; says where.
    """
    study, problems = check_study(path)
    if study is None:
        first = problems[0]
        place = f"{path}:{first.line}:{first.column}" if first.line else f"{path}"
        key = f" {first.key}:" if first.key else ""
        more = f" (and {len(problems) - 1} more: pxm2mesh check {path})" if len(problems) > 1 else ""
        raise StudyError(f"{place}:{key} {first.message}", hint=first.hint + more)
    return study


def check_study(path: str | os.PathLike[str]) -> tuple[Study | None, Sequence[Problem]]:
    """Everything that is wrong with a study file.

    Args:
        path: A TOML file.

    Returns:
        The study and no problems, or None and at least one, in the order of the file.

    Raises:
        StudyError: The file cannot be read at all.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        hint = "pxm2mesh new writes one to start from." if isinstance(error, FileNotFoundError) else ""
        raise StudyError(f"cannot read {path}: {error.strerror};", hint=hint) from error
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{path} is not a text file (byte {error.start});", hint="a study is TOML."
        ) from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax_problem(text, error)]
    content.setdefault("output", {})
    if isinstance(content["output"], dict):
        content["output"].setdefault("folder", f"runs/{file.stem}")
    study = None
    try:
        study = Study.model_validate(content, context={"folder": file.resolve().parent, "names_later": True})
        problems = _name_problems(study, text)
        problems = problems or [problem_at(text, found) for found in contradictions(study)]
    except ValidationError as error:
        problems = _without_echoes([_problem(text, content, dict(item)) for item in error.errors()])
    problems.sort(key=lambda p: (p.line == 0, p.line, p.column))
    return (None if problems else study), problems


def parse_study(content: Mapping[str, Any], *, folder: str | os.PathLike[str] | None = None) -> Study:
    """A study from a mapping with the keys of a study file.

    Args:
        content: Sections by name.
        folder: Where relative paths start; the working folder when None.

    Raises:
        StudyError: As `read_study`, with keys instead of lines.
    """
    try:
        return Study.model_validate(dict(content), context={"folder": folder or Path.cwd()})
    except ValidationError as error:
        first = _problem("", content, dict(error.errors()[0]))
        key = f"{first.key}: " if first.key else ""
        raise StudyError(f"{key}{first.message}", hint=first.hint) from error


def write_study(study: Study, path: str | os.PathLike[str]) -> None:
    """Write the resolved study, paths absolute; `read_study` reads it back the same."""
    import tomli_w

    with replacing(path) as part:
        part.write_text(tomli_w.dumps(study.resolved()), encoding="utf-8")


def _name_problems(study: Study, text: str) -> list[Problem]:
    phases = study.volume.phase_table()
    if phases is None:
        return []
    return [
        Problem(dotted(path), error.message, error.hint, *locate(text, path))
        for path, error in unresolved_names(study, phases)
    ]


def problem_at(text: str, found: Finding) -> Problem:
    """A finding with its place in the file ``text``."""
    line, column = locate(text, found.path)
    return Problem(dotted(found.path), found.message, found.hint, line, column, found.severity)


def _syntax_problem(text: str, error: tomllib.TOMLDecodeError) -> Problem:
    found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    line, column = (int(found.group(1)), int(found.group(2))) if found else (len(text.splitlines()), 1)
    message = str(error).split(" (at ")[0]
    return Problem(
        "", f"not valid TOML: {message[0].lower()}{message[1:]};", _syntax_hint(text, line), line, column
    )


def _syntax_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    content = lines[line - 1] if 0 < line <= len(lines) else ""
    value = content.partition("=")[2].strip()
    if re.match(r"[-+.\d]+\s*[A-Za-zµ]|[A-Za-zµ/.]", value):
        return f'put text in quotes: "{value}".'
    return "see docs/reference/study-file.md."


def _problem(text: str, content: Mapping[str, Any], item: dict[str, Any]) -> Problem:
    path, value = _real_path(content, item["loc"])
    context = item.get("ctx") or {}
    message, hint = str(item["msg"]), str(context.get("hint", ""))
    if item["type"] == "unknown_key":
        path = (*path, context["key"])
    elif item["type"] == "missing":
        message, hint = "is missing;", _MISSING.get(str(item["loc"][-1]), "add it.")
        path = (*path, item["loc"][-1])
    elif item["type"] in ("union_tag_invalid", "literal_error"):
        message, hint, path = _choice_problem(path, value, context)
    elif item["type"] != "pxm2mesh":
        message = f"{message[0].lower()}{message[1:]}, got {_short(value)};"
        hint = "see docs/reference/study-file.md."
    line, column = locate(text, path)
    return Problem(dotted(path), message, hint, line, column)


_MISSING = {
    "volume": 'write [volume] with file = "labels.tif" or phantom = "cathode".',
    "phases": 'write for example phases = ["LPSCl"].',
    "model": 'write model = "conduction".',
    "thickness": 'write thickness = "1.2 um".',
    "between": 'write between = ["NMC", "void"].',
}


def _choice_problem(
    path: tuple[str | int, ...], value: Any, context: Mapping[str, Any]
) -> tuple[str, str, tuple[str | int, ...]]:
    known = re.findall(r"'([^']*)'", str(context.get("expected_tags") or context.get("expected") or ""))
    if isinstance(value, Mapping):  # the tag of a union: the error is about a key inside
        key = str(context.get("discriminator", "model")).strip("'")
        path, value = (*path, key), value.get(key)
    hint = did_you_mean(str(value), known) if known else f"write {context.get('expected')}."
    return f"unknown value {_short(value)};", hint, path


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _without_echoes(problems: Sequence[Problem]) -> list[Problem]:
    """One problem per key: a union reports each of its members."""
    kept: dict[str, Problem] = {}
    for item in problems:
        if item.key not in kept or (item.hint and "docs/reference" in kept[item.key].hint):
            kept[item.key] = item
    return list(kept.values())


def _real_path(content: Any, loc: Sequence[str | int]) -> tuple[tuple[str | int, ...], Any]:
    """The part of pydantic's location that stands in the file (it names union members too), and its value."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(content, Mapping) and step in content:
            content = content[str(step)]
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            continue
        path.append(step)
    return tuple(path), content
