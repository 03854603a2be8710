"""Reading materials: from the library, from files, and files that change a library entry."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pxm2mesh.errors import DataError, StudyError, UsageError, did_you_mean
from pxm2mesh.materials.consistency import refuse_unsourced
from pxm2mesh.materials.material import PARTS, Material
from pxm2mesh.materials.parameter import parse_parameter

_TOP_KEYS = ("name", "description", "between", "base", *PARTS)


def _folder() -> Any:
    return resources.files("pxm2mesh.materials") / "data"


def library() -> tuple[str, ...]:
    """Names of the materials that come with pxm2mesh, in alphabetical order.

    Example:
        >>> "NMC811" in library()
        True
    """
    return tuple(
        sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))
    )


def read_material(name_or_path: str | os.PathLike[str], *, publication: bool = False) -> Material:
    """Read a material of the library or from a file.

    Args:
        name_or_path: ``"NMC811"``, or a ``.toml`` file, which may change single values of a
            library entry by ``base = "NMC811"``. An interface is ``"NMC811 | LPSCl"``.
        publication: Refuse values that have no source.

    Returns:
        The checked material.

    Raises:
        UsageError: Neither a name in the library nor a file.
        DataError: The file is not TOML.
        StudyError: It holds unknown keys, values beyond physical bounds or contradictions.

    Example:
        >>> nmc = read_material("NMC811")
        >>> round(float(nmc.require("elastic.youngs_modulus")))
        140000
    """
    text = os.fspath(name_or_path)
    if text.endswith(".toml"):
        material = material_from(_read_toml(Path(text)), origin=text, folder=Path(text).parent)
    else:
        material = material_from(_library_entry(text), origin="")
    if publication:
        refuse_unsourced(material)
    return material


def read_materials(
    path: str | os.PathLike[str] | Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] = ".",
    publication: bool = False,
) -> Mapping[str, Material]:
    """Read the materials of a sample: phase (or interface) name → material.

    Args:
        path: A TOML file, or what stands in one: ``{"NMC": "NMC811", "LPSCl": {"base": "LPSCl"}}``.
            A value is a name of the library, a file, a table, or the material itself.
        folder: What relative file names are relative to, when ``path`` is a mapping.
        publication: Refuse values that have no source.

    Returns:
        Phase name → material, in the order of the file.

    Raises:
        UsageError: An unknown name, a missing file.
        DataError: The file is not TOML.
        StudyError: A material that cannot be.

    Example:
        >>> sorted(read_materials({"NMC": "NMC811", "LPSCl": "LPSCl"}))
        ['LPSCl', 'NMC']
    """
    if isinstance(path, Mapping):
        entries, base, origin = path, Path(folder), ""
    else:
        entries, base, origin = _read_toml(Path(path)), Path(path).parent, os.fspath(path)
    materials: dict[str, Material] = {}
    for phase, entry in entries.items():
        if isinstance(entry, Material):
            material = entry
        elif isinstance(entry, str):
            material = read_material(base / entry if entry.endswith(".toml") else entry)
        elif isinstance(entry, Mapping):
            material = material_from(
                {"name": phase, **entry}, origin=f"{origin} [{phase}]".strip(), folder=base
            )
        else:
            raise StudyError(f"material of {phase!r}: expected a name, a file or a table, got {entry!r}.")
        if publication:
            refuse_unsourced(material)
        materials[phase] = material
    return MappingProxyType(materials)


def material_from(entry: Mapping[str, Any], *, origin: str = "", folder: Path | None = None) -> Material:
    """Build a material from the content of a file.

    Args:
        entry: Parsed TOML: ``name``, ``description``, ``between``, ``base`` and the parts.
        origin: Where it comes from, for messages.
        folder: What a relative ``base`` file is relative to.

    Raises:
        StudyError: Unknown keys, or values that cannot be.
    """
    for key in entry:
        if key not in _TOP_KEYS:
            raise StudyError(
                f"{origin or 'material'}: unknown key {key!r};", hint=did_you_mean(key, _TOP_KEYS)
            )
    merged = _with_base(entry, folder, ())
    name = str(merged.get("name", Path(origin).stem))
    parts: dict[str, Any] = {}
    for part_name, part in PARTS.items():
        given = merged.get(part_name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise StudyError(f"{origin or name}: {part_name} must be a table, got {given!r}.")
        specs = part.specs()
        for key in given:
            if key not in specs:
                raise StudyError(
                    f"{origin or name}: unknown key {part_name}.{key};", hint=did_you_mean(key, specs)
                )
        where = origin or name
        parts[part_name] = part(
            **{
                k: parse_parameter(v, f"{part_name}.{k}", specs[k].dimension, where=where)
                for k, v in given.items()
            }
        )
    between = tuple(str(b) for b in merged.get("between", ()))
    return Material(name, str(merged.get("description", "")), between, origin=origin, **parts)


def material_entry(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a material is read from: parsed TOML, laid over all of its bases.

    Args:
        name_or_path: As for `read_material`.

    Raises:
        UsageError: Neither a name in the library nor a file.
        DataError: The file is not TOML.
        StudyError: A material is its own base.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".toml"):
        return _with_base(_read_toml(Path(text)), Path(text).parent, ())
    return _with_base(_library_entry(text), None, ())


def _with_base(entry: Mapping[str, Any], folder: Path | None, seen: tuple[str, ...]) -> dict[str, Any]:
    """The entry laid over its base, parameter by parameter."""
    if "base" not in entry:
        return dict(entry)
    base = str(entry["base"])
    if base in seen:
        raise StudyError(f"material {base!r} is its own base: {' → '.join((*seen, base))}.")
    is_file = base.endswith(".toml")
    path = (folder or Path()) / base
    lower = _read_toml(path) if is_file else _library_entry(base)
    merged = _with_base(lower, path.parent if is_file else None, (*seen, base))
    for key, value in entry.items():
        if key in PARTS and isinstance(value, Mapping):
            merged[key] = {**merged.get(key, {}), **value}
        elif key != "base":
            merged[key] = value
    return merged


def _library_entry(name: str) -> Mapping[str, Any]:
    wanted = "-".join(part.strip() for part in name.split("|"))
    known = library()
    if wanted not in known:
        raise UsageError(
            f"no material {name!r} in the library, and it is not a .toml file;",
            hint=did_you_mean(wanted, known),
        )
    return tomllib.loads((_folder() / f"{wanted}.toml").read_text(encoding="utf-8"))


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no material file {path};", hint="check the path.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} is not a TOML file: {error}") from error
