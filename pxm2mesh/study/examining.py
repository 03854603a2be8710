"""What a study will meet: its data, this machine, and what the run will cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.study.consistency import Finding, missing_values
from pxm2mesh.study.fields import Measure
from pxm2mesh.study.model import Study
from pxm2mesh.study.names import phases_named, unresolved_names
from pxm2mesh.study.reading import Problem, check_study, problem_at

if TYPE_CHECKING:
    from pxm2mesh.volume import GreyVolume, LabelVolume

LOOK_INTO = 2**30
"""Bytes; files larger than this are not opened to check a study."""
_PHANTOM = 200
_VOXEL = (2e-3, 100.0)  # µm; from ptychography to a whole cell in a medical scanner
_LONG = 6 * 3600.0


@dataclass(frozen=True)
class Examination:
    """What is known of a study before it runs.

    Attributes:
        study: The study, or None where the file itself is wrong.
        problems: Errors and warnings in the order of the file.
        facts: Voxels, spacing, predicted cells, seconds and memory, as far as they can be known.
    """

    study: Study | None
    problems: Sequence[Problem]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> Sequence[Problem]:
        """The problems that keep the study from running."""
        return [p for p in self.problems if p.severity == "error"]

    def told(self) -> list[str]:
        """The facts as lines for people."""
        lines = []
        if "voxels" in self.facts:
            voxels, spacing = self.facts["voxels"], self.facts["spacing_um"]
            box = " × ".join(f"{n * a:.4g}" for n, a in zip(voxels, spacing, strict=True))
            lines.append(f"volume: {' × '.join(map(str, voxels))} voxels, a box of {box} µm")
        if "cells" in self.facts:
            seconds, memory = self.facts["seconds"], self.facts["memory_gb"]
            lines.append(
                f"mesh: about {self.facts['cells']:,} cells, {seconds:.0f} s on two cores, {memory:.1f} GB"
            )
        if self.study is not None and self.study.segment is not None and "voxels" in self.facts:
            lines.append("mesh: its cost is known once the scan is segmented")
        if "not looked into" in self.facts:
            lines.append(f"not looked into: {self.facts['not looked into']}")
        return lines


def examine_study(path: str | os.PathLike[str]) -> Examination:
    """Find everything about a study that can be known before it runs.

    The file itself first; where nothing is wrong with it, the data it names and the memory of this machine.

    Args:
        path: A study file.

    Returns:
        Problems with line and column, and what the run will cost.

    Raises:
        StudyError: The file cannot be read at all.

    Example:
        >>> examine_study("study.toml").facts["cells"]  # doctest: +SKIP
        41000
    """
    study, problems = check_study(path)
    if study is None:
        return Examination(None, problems)
    text = Path(path).read_text(encoding="utf-8")
    facts: dict[str, Any] = {}
    found = [*_machine(study), *_data(study, facts)]
    told = sorted((problem_at(text, f) for f in found), key=lambda p: (p.line == 0, p.line, p.column))
    return Examination(study, told, facts)


def _machine(study: Study) -> Iterator[Finding]:
    place = study.folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        yield Finding(("output", "folder"), f"{place} is a file;", "name a folder.")
    elif not os.access(place, os.W_OK):
        yield Finding(("output", "folder"), f"{place} is not yours to write in;", "name another folder.")
    cores = len(os.sched_getaffinity(0))
    if study.solver.ranks > cores and study.physics:
        hint = f"write ranks = {cores}, or less."
        told = f"{study.solver.ranks} processes on {cores} cores are slower than {cores};"
        yield Finding(("solver", "ranks"), told, hint, "warning")


def _data(study: Study, facts: dict[str, Any]) -> Iterator[Finding]:
    """Opens the data and says what does not fit to them."""
    try:
        volume = _labels(study, facts) if study.segment is None else _scan(study, facts)
    except Pxm2meshError as error:
        yield Finding(_blamed(study, error), error.message, error.hint)
        return
    if volume is None:
        return
    facts["voxels"], facts["spacing_um"] = list(volume.shape), volume.spacing.tolist()
    yield from _lengths(study, volume)
    from pxm2mesh.volume import LabelVolume

    if isinstance(volume, LabelVolume):
        names = [Finding(path, e.message, e.hint) for path, e in unresolved_names(study, volume.phases)]
        present = [name for name, count in volume.voxel_counts().items() if count]
        yield from names or [
            *_empty_phases(study, volume),
            *missing_values(study, present),
            *_cost(study, volume, facts),
        ]


def _blamed(study: Study, error: Pxm2meshError) -> tuple[str, str]:
    """The key of ``[volume]`` that an error of reading is about."""
    if study.volume.phantom is not None:
        return "volume", "phantom"
    for word, key in (("crop", "crop"), ("has no phase", "phases"), ("spacing", "spacing")):
        if word in error.message:
            given = getattr(study.volume, key) is not None
            return "volume", key if given else "file"
    return "volume", "file"


def _labels(study: Study, facts: dict[str, Any]) -> LabelVolume | None:
    section = study.volume
    if section.phantom is not None:
        from pxm2mesh.phantoms import phantom

        source = section.phantom
        if source.size > _PHANTOM:
            return None
        return phantom(source.name, size=source.size, seed=source.seed, **source.options)
    if _too_large(section.file, facts):
        return None
    from pxm2mesh.io.images import read_volume

    return read_volume(str(section.file), section.phase_table(), spacing=section.spacing, crop=section.crop)


def _scan(study: Study, facts: dict[str, Any]) -> GreyVolume | None:
    section = study.volume
    if _too_large(section.file, facts):
        return None
    from pxm2mesh.io.images import read_grey

    return read_grey(str(section.file), spacing=section.spacing, crop=section.crop)


def _too_large(path: str | None, facts: dict[str, Any]) -> bool:
    """Whether there is more of it than is opened for a check; a missing file is left to the reader to report."""
    place = Path(str(path).partition("::")[0])
    files = place.rglob("*") if place.is_dir() else [place]
    size = sum(f.stat().st_size for f in files if f.is_file())
    if size > LOOK_INTO:
        facts["not looked into"] = f"{path}: {size / 2**30:.1f} GiB"
    return size > LOOK_INTO


def _lengths(study: Study, volume: LabelVolume | GreyVolume) -> Iterator[Finding]:
    voxel, box = volume.spacing, volume.spacing * volume.shape
    told = f"{' × '.join(f'{edge:.4g}' for edge in box)} µm"
    if voxel.min() < _VOXEL[0] or voxel.max() > _VOXEL[1]:
        right = (study.volume.spacing or "0.4 um").replace("mm", "um").replace("nm", "um")
        hint = f"correct it if you meant {right!r}." if right != study.volume.spacing else "check the unit."
        message = f"voxels of {voxel.min():.4g} µm make a sample of {told};"
        yield Finding(("volume", "spacing"), message, hint, "warning")
    size = study.mesh.cell_size
    length = size.value if isinstance(size, Measure) else size * float(voxel.min())
    if length > box.min() / 2:
        hint = f'write voxels, or a length from "{voxel.min():.4g} um" on.'
        yield Finding(("mesh", "cell_size"), f"cells of {length:.4g} µm in a sample of {told};", hint)
    elif length < voxel.min() * (1 - 1e-6):
        hint = f'write at least "{voxel.min():.4g} um".'
        yield Finding(("mesh", "cell_size"), f"{length:.4g} µm is less than a voxel;", hint)
    for i, zone in enumerate(study.zone):
        if zone.thickness.value > box.min() / 2:
            hint = "a zone has to be thinner than half of the gaps and necks around it."
            message = f"a zone of {zone.thickness.value:.4g} µm in a sample of {told};"
            yield Finding(("zone", i, "thickness"), message, hint)


def _empty_phases(study: Study, volume: LabelVolume) -> Iterator[Finding]:
    counts = volume.voxel_counts()
    solved = {name for physics in study.physics for name in phases_named(physics)}
    for name, count in counts.items():
        if count == 0:
            hint = "correct its label, or the crop; or take the phase out."
            needed: Any = "error" if name in solved else "warning"
            label = volume.phases[name].label
            yield Finding(("volume", "phases", name), f"no voxel has label {label};", hint, needed)


def _cost(study: Study, volume: LabelVolume, facts: dict[str, Any]) -> Iterator[Finding]:
    """Cells, seconds and memory of the mesh; more memory than there is would end the run."""
    from pxm2mesh.meshing.cost import predict_cost, refuse_excess
    from pxm2mesh.study.meshing import mesh_options

    try:
        options = mesh_options(study)
        cost = predict_cost(volume, options)
        facts |= {"cells": cost.cells, "seconds": cost.seconds, "memory_gb": cost.memory_gb}
        refuse_excess(volume, options, cost)
    except Pxm2meshError as error:
        yield Finding(("mesh", "cell_size"), error.message, error.hint)
        return
    if cost.seconds > _LONG:
        told = f"about {cost.cells:,} cells take {cost.seconds / 3600:.0f} hours;"
        yield Finding(("mesh", "cell_size"), told, "a larger cell_size or a crop is faster.", "warning")
