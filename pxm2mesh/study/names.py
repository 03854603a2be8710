"""Names of phases and interfaces in a study, found by the types of the fields that hold them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.study.fields import Section

Path = tuple[str | int, ...]


class _Names:
    def __init__(self, what: str) -> None:
        self.what = what


PhaseName = Annotated[str, _Names("phase")]
"""Text that must be the name of a phase."""
PairName = Annotated[str, _Names("pair")]
"""Text that must name an interface, ``"NMC | LPSCl"``."""


def unresolved_names(section: Section, phases: PhaseTable) -> Iterator[tuple[Path, Pxm2meshError]]:
    """Every name of a phase or interface below ``section`` that ``phases`` does not know.

    Args:
        section: Usually the whole study.
        phases: What is known.

    Yields:
        Where it stands, such as ``("physics", 0, "phases", 1)``, and the error with its hint.
    """
    for path, what, name in _names(type(section), section, ()):
        try:
            if what == "phase":
                phases[name]
            else:
                phases.pair(name)
        except Pxm2meshError as error:
            yield path, error


def phases_named(section: Section) -> set[str]:
    """The phases that ``section`` names."""
    return {name for _, what, name in _names(type(section), section, ()) if what == "phase"}


def _names(annotation: Any, value: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            held = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            yield from _names(held, getattr(value, name), (*path, name))
    elif origin is Annotated:
        marks = [mark for mark in arguments[1:] if isinstance(mark, _Names)]
        if marks and isinstance(value, str):
            yield path, marks[0].what, value
        else:
            yield from _names(arguments[0], value, path)
    elif origin in (typing.Union, types.UnionType):
        found = [list(_names(member, value, path)) for member in arguments]
        yield from max(found, key=len)
    elif origin is tuple and isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _names(arguments[0 if arguments[-1] is Ellipsis else i], item, (*path, i))
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _names(arguments[0], key, (*path, key))
            yield from _names(arguments[1], item, (*path, key))
