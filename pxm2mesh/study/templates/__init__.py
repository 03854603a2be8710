"""Commented study files to start from."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.files import replacing, write_json

SCHEMA = "study.schema.json"


def template_names() -> tuple[str, ...]:
    """Names of the templates there are."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def new_study(
    path: str | os.PathLike[str], template: str = "conduction", *, replace: bool = False, schema: bool = False
) -> None:
    """Write a commented study file.

    Args:
        path: Where.
        template: One of `template_names`.
        replace: Write over a file that is there.
        schema: Write `SCHEMA`, which the first line names for editors, beside it.

    Raises:
        UsageError: No such template, or a file is there.
    """
    if template not in template_names():
        raise UsageError(f"unknown template {template!r};", hint=did_you_mean(template, template_names()))
    if Path(path).exists() and not replace:
        raise UsageError(f"{path} is there already;", hint="choose another name, or --force to replace it.")
    text = (resources.files(__name__) / f"{template}.toml").read_text(encoding="utf-8")
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    if schema:
        from pxm2mesh.study.schema import study_schema

        write_json(Path(path).with_name(SCHEMA), study_schema())
