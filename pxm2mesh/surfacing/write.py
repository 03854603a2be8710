"""The verb behind ``pxm2mesh surface``: labels in, surface files out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.files import write_json
from pxm2mesh.io.surfaces import SHELL_FORMATS, write_surface, write_triangles
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.surface import InterfaceSurface
from pxm2mesh.surfacing.coarsen import CellSize
from pxm2mesh.surfacing.marching_cubes import ShellOptions, marching_cubes_surfaces
from pxm2mesh.surfacing.net import extract_surface
from pxm2mesh.surfacing.shells import By, Shell, shells_of, surface_of_shells
from pxm2mesh.surfacing.smooth import SmoothOptions, smooth
from pxm2mesh.volume import LabelVolume

Method = Literal["nets", "marching-cubes"]


def write_surfaces(
    volume: LabelVolume,
    output: str | os.PathLike[str],
    *,
    cell_size: CellSize = 1,
    method: str = "nets",
    stl: str | os.PathLike[str] | None = None,
    shell_format: str = "stl",
    by: By = "phase",
    only: str | Sequence[str] | None = None,
    smoothing: SmoothOptions | None = None,
    shells: ShellOptions | None = None,
    progress: Progress = SILENT,
) -> tuple[InterfaceSurface, list[Path]]:
    """Surfaces of a volume as files.

    Args:
        volume: The sample.
        output: The ``.vtp`` of all interfaces (with the method nets) or of all shells (marching cubes).
        cell_size: Of the net: voxels, or a length ``"0.8 um"``.
        method: ``"nets"``: conforming interfaces; ``"marching-cubes"``: each phase or particle by itself.
        stl: Folder for one file per phase or particle, named after it; None writes none.
        shell_format: ``"stl"``, ``"ply"``, ``"obj"`` or ``"vtp"``: of the files in that folder.
        by: One shell per ``"phase"`` or ``"particle"``.
        only: Phases to make shells of; None is all but voids.
        smoothing: Of the net.
        shells: Of marching cubes.
        progress: Where to show progress.

    Returns:
        The surface and the files written.

    Raises:
        UsageError: Unknown method, format or phase.
        DataError: A place that cannot be written.
    """
    if method not in ("nets", "marching-cubes"):
        raise UsageError(f"unknown method {method!r};", hint=did_you_mean(method, ("nets", "marching-cubes")))
    if shell_format not in SHELL_FORMATS:
        raise UsageError(f"unknown format {shell_format!r};", hint=did_you_mean(shell_format, SHELL_FORMATS))
    if method == "nets":
        surface = smooth(extract_surface(volume, cell_size=cell_size), smoothing, progress=progress)
        bodies = shells_of(surface, only=only, by=by) if stl is not None else ()
    else:
        bodies = marching_cubes_surfaces(volume, only=only, by=by, options=shells, progress=progress)
        surface = surface_of_shells(bodies, volume)
    files = write_surface(surface, output)
    if stl is not None:
        files += write_shells(bodies, stl, shell_format)
    return surface, files


def write_shells(
    shells: Sequence[Shell], folder: str | os.PathLike[str], shell_format: str = "stl"
) -> list[Path]:
    """One file per shell, ``NMC.stl`` or ``NMC-0012.stl``, and ``shells.json`` with their records.

    Returns:
        The files written.
    """
    place = Path(folder)
    files = [write_triangles(place / f"{s.name}.{shell_format}", s.points, s.triangles) for s in shells]
    index = place / "shells.json"
    facts = {s.name: {"volume_um3": s.volume(), "area_um2": s.area(), **dict(s.record)} for s in shells}
    write_json(index, facts)
    return [*files, index]
