"""Sweep files: a study, what is varied in it, and every case checked before the first one starts."""

from __future__ import annotations

import copy
import itertools
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pxm2mesh.errors import DataError, StudyError, did_you_mean
from pxm2mesh.study import Study, parse_study
from pxm2mesh.study.fields import Section

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Case:
    """One run of a sweep.

    Attributes:
        name: Of its folder, made of what is varied: ``state-pressed_seed-1``.
        parameters: Name of the axis → what it is here.
        study: What to do.
    """

    name: str
    parameters: Mapping[str, Any]
    study: Study


@dataclass(frozen=True)
class Sweep:
    """A planned sweep.

    Attributes:
        folder: Where the cases and the results go.
        axes: Names of what is varied, in the order of the file.
        cases: All combinations, the last axis fastest.
        quantities: Names of the quantities to show; empty for those that differ between the cases.
        cluster: Keywords of `dask_jobqueue.SLURMCluster`; empty where the cases run here.
    """

    folder: Path
    axes: tuple[str, ...]
    cases: tuple[Case, ...]
    quantities: tuple[str, ...] = ()
    cluster: Mapping[str, Any] | None = None


class _OutputSection(Section):
    folder: str | None = None


class _ReportSection(Section):
    quantities: tuple[str, ...] = ()


class _SweepFile(Section):
    """A sweep file.

    Attributes:
        study: The study file, relative to this one.
        vary: Axes: a key of the study with a list of values, or a name with a table of settings.
        output: Where to; ``runs/NAME of this file`` when absent.
        report: What to show.
        cluster: ``[cluster]``: keywords of `dask_jobqueue.SLURMCluster`, and ``jobs``.
    """

    study: str
    vary: dict[str, list[Any] | dict[str, dict[str, Any]]] = Field(min_length=1)
    output: _OutputSection = Field(default_factory=_OutputSection)
    report: _ReportSection = Field(default_factory=_ReportSection)
    cluster: dict[str, Any] | None = None


def read_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Read a sweep file and check every case of it.

    Args:
        path: A TOML file: ``study = "pressed.toml"`` and a section ``[vary]``. There, a key of the study with a list of
            values is an axis (``"physics[0].pressure" = ["1 MPa", "5 MPa"]``), and so is a free name with a table of
            named settings (``[vary.state]``, ``pressed = { "volume.file" = "pressed.tif" }``). All combinations are
            run.

    Returns:
        The sweep; nothing is written yet.

    Raises:
        DataError: The file or its study cannot be read.
        StudyError: Not valid TOML, an unknown key, or a case whose study has a mistake; says which case.
    """
    file = Path(path)
    content = _toml(file)
    try:
        plan = _SweepFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise StudyError(f"{path}: {place}: {first['msg']};", hint="see docs/how-to/sweep.md.") from error
    base_file = file.parent / plan.study
    base = _toml(base_file)
    folder = file.parent / (plan.output.folder or f"runs/{file.stem}")
    axes = tuple(_axis_name(key) for key in plan.vary)
    if len(set(axes)) < len(axes):
        raise StudyError(
            f"{path}: two axes are called {max(axes, key=axes.count)!r};",
            hint="give one a table with another name.",
        )
    cases: list[Case] = []
    for settings, parameters, name in _combinations(plan.vary, axes):
        varied = copy.deepcopy(base)
        for key, value in settings.items():
            _put(varied, key, value, path)
        varied["output"] = {**varied.get("output", {}), "folder": str((folder / name).resolve())}
        try:
            study = parse_study(varied, folder=base_file.resolve().parent)
        except StudyError as error:
            told = ", ".join(f"{axis} = {value}" for axis, value in parameters.items())
            raise StudyError(f"{path}: with {told}: {error.message}", hint=error.hint) from error
        if name in {case.name for case in cases}:
            raise StudyError(
                f"{path}: two cases are called {name!r};", hint="each value of an axis may stand once."
            )
        cases.append(Case(name, parameters, study))
    return Sweep(folder.resolve(), axes, tuple(cases), plan.report.quantities, plan.cluster)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror};", hint="correct the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{file}: not valid TOML: {error};", hint="see docs/how-to/sweep.md.") from error


def _axis_name(key: str) -> str:
    """The last word of a key: ``physics[0].order`` is shown as ``order``, ``physics[0].loads[0]`` as ``loads``."""
    return next((word for word in reversed(_words(key)) if not word.isdigit()), key)


def _words(key: str) -> list[str]:
    return re.findall(r"[^.\[\]]+", key)


def _combinations(
    vary: Mapping[str, list[Any] | dict[str, dict[str, Any]]], axes: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    choices = [
        [(name, settings) for name, settings in values.items()]
        if isinstance(values, dict)
        else [(value, {key: value}) for value in values]
        for key, values in vary.items()
    ]
    for combination in itertools.product(*choices):
        settings = {key: value for _, part in combination for key, value in part.items()}
        parameters = dict(zip(axes, (shown for shown, _ in combination), strict=True))
        name = "_".join(f"{_slug(axis)}-{_slug(value)}" for axis, value in parameters.items())
        if len(name) > _LONGEST_NAME:
            from pxm2mesh.study import digest_of

            name = f"{name[: _LONGEST_NAME - 13]}-{digest_of(parameters)[:12]}"
        yield settings, parameters, name


def _slug(value: Any) -> str:
    text = str(value) if not isinstance(value, list | dict) else repr(value)
    inner = text.replace(" ", "").strip("[]{}()'\"")  # a minus in front stays
    return re.sub(r"[^\w.+-]+", "-", inner).rstrip("-") or "none"


def _put(content: dict[str, Any], key: str, value: Any, path: str | os.PathLike[str]) -> None:
    """Set ``physics[0].pressure`` in a study read from TOML; tables that are missing are made, lists are not."""
    steps: list[str | int] = [int(s) if s.isdigit() else s for s in _words(key)]
    here: Any = content
    for step, following in itertools.pairwise(steps):
        if isinstance(step, int):
            if not isinstance(here, list) or step >= len(here):
                size = len(here) if isinstance(here, list) else 0
                raise StudyError(
                    f"{path}: {key}: the study has no entry [{step}];", hint=f"it has {size}, from [0] on."
                )
            here = here[step]
        elif isinstance(here, list):
            raise StudyError(
                f"{path}: {key}: {step!r} is looked for in a list;", hint="say which entry: physics[0]."
            )
        elif isinstance(following, int) and step not in here:
            raise StudyError(
                f"{path}: {key}: the study has no [[{step}]];", hint=did_you_mean(step, list(here))
            )
        else:
            here = here.setdefault(step, {})
    last = steps[-1]
    nameable = isinstance(here, dict) and isinstance(last, str)
    if not nameable and not (isinstance(here, list) and isinstance(last, int) and last < len(here)):
        raise StudyError(
            f"{path}: {key}: there is nothing of that name to set;", hint="see docs/how-to/sweep.md."
        )
    here[last] = copy.deepcopy(value)
