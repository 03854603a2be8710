"""The stages that make shapes: surface and mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pxm2mesh.pipeline.stages import MESH, Outcome, Work
from pxm2mesh.progress import Progress
from pxm2mesh.study import mesh_options


def surface(work: Work, progress: Progress) -> Outcome:
    """The smoothed interfaces as files for people, and for the mesh, which starts from the same."""
    from pxm2mesh.surfacing import SmoothOptions, write_surfaces

    options = mesh_options(work.study)
    made, files = write_surfaces(
        work.need_labels(),
        work.folder / "surface.vtp",
        cell_size=options.voxels(work.need_labels()),
        smoothing=SmoothOptions(certificate=options.certificate),
        method=work.study.surface.method,
        stl=work.folder / "stl" if work.study.surface.stl else None,
        progress=progress,
    )
    work.surface = made if made.lattice is not None else None
    return Outcome(tuple(files), {"interfaces": dict(made.pair_areas())}, line=repr(made))


def mesh(work: Work, progress: Progress) -> Outcome:
    """Tetrahedra, for the solver and for people."""
    from pxm2mesh.io.meshes import save_arrays
    from pxm2mesh.meshing import mesh_volume

    options = mesh_options(work.study)
    made = mesh_volume(work.need_labels(), options, surface=work.surface, progress=progress)
    work.surface = None
    save_arrays(made, work.folder / MESH)
    for suffix in work.study.mesh.formats:
        made.write(work.folder / f"mesh.{suffix}")
    files = [work.folder / MESH, *_written(work.folder, work.study.mesh.formats)]
    return Outcome(tuple(files), _facts(made), line=repr(made))


def _written(folder: Path, formats: tuple[str, ...]) -> list[Path]:
    names = (
        "mesh.json",
        *(f"mesh{part}.{suffix}" for suffix in (*formats, "h5") for part in ("", "_interfaces")),
    )
    return [folder / name for name in names if (folder / name).exists()]


def _facts(made: Any) -> dict[str, Any]:
    return {"cells": len(made.cells), "points": len(made.points)}
