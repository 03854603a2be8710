"""Files a study names beside its volume: what is in them decides results too, not their names."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from pathlib import Path

from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.files import file_digest
from pxm2mesh.materials import material_entry
from pxm2mesh.study.damage import Cracking
from pxm2mesh.study.model import Study, digest_of


def inputs_digest(study: Study) -> str:
    """Digest of all that the physics of a study reads from files: materials, and results that particles are cut out of.

    What cannot be read counts as absent: its reader says so better.
    """
    phases = study.volume.phase_table()
    names = {*study.materials.values(), *(phase.material for phase in phases or ())}
    results = {
        entry.submodel.from_result
        for entry in study.physics
        if isinstance(entry, Cracking) and entry.submodel
    }
    return digest_of(
        {name: _material(name) for name in sorted(names) if name.endswith(".toml")},
        {path: result_digest(Path(path)) for path in sorted(filter(None, results))},
    )


def _material(name: str) -> str:
    try:
        return digest_of(material_entry(name))
    except (OSError, Pxm2meshError):
        return ""


def result_digest(path: Path) -> str:
    """Digest of a series: its ``.pvd``, the files that lists, and the study they come from; "" where one is missing."""
    try:
        files = [path.parent / entry.attrib["file"] for entry in Xml.parse(path).getroot().iter("DataSet")]
        return digest_of([file_digest(file) for file in (path, path.with_name("study.toml"), *files)])
    except (OSError, Xml.ParseError, KeyError):
        return ""
