"""Results for other programs: battery models, and meshes in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.report.battery_models import write_bpx

_SIDES = ("positive", "negative")


def export_run(
    source: Path, output: Path, *, side: str = "positive", along: str = "z", base: Path | None = None
) -> dict[str, Any]:
    """Write what ``source`` holds as the suffix of ``output`` says.

    Args:
        source: A run folder, or a mesh file.
        output: ``.json``: the electrode in the BPX format; a suffix of meshes: the mesh.
        side: Of BPX: ``positive`` or ``negative``.
        along: Of BPX: axis from separator to collector.
        base: Of BPX: a file of a whole cell.

    Returns:
        Facts about what was written.

    Raises:
        UsageError: An unknown side, or a mesh where a run is needed.
        DataError: The run lacks what is asked for.
    """
    if output.suffix.lower() == ".json":
        if side not in _SIDES:
            raise UsageError(f"there is no {side!r} electrode;", hint=did_you_mean(side, _SIDES))
        document = write_bpx(source, output, side=side, along=along, base=base)
        return {"bpx": document["Parameterisation"][f"{side.capitalize()} electrode"]}
    from pxm2mesh.io.meshes import load_arrays, read_mesh

    file = source / "mesh.npz" if source.is_dir() else source
    if not file.exists():
        raise DataError(f"{source} has no mesh;", hint="run the study first, or name a mesh file.")
    mesh = load_arrays(file) if file.suffix == ".npz" else read_mesh(file)
    mesh.write(output)
    return {"cells": len(mesh.cells), "points": len(mesh.points)}
