"""Remeshing and decimation of shells by pymeshlab, which is GPL, in a process of its own.

``python -m pxm2mesh.surfacing.meshlab IN.npz OUT.npz`` is that process: it alone imports pymeshlab, so that neither
its licence nor its libraries nor a crash of it reach the caller.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError, MissingDependencyError
from pxm2mesh.surfacing.shells import Shell

_TIMEOUT = 1800.0
_NOT_INSTALLED = 7


def remesh(shells: Sequence[Shell], *, edge: float | None = None, keep: float | None = None) -> list[Shell]:
    """Isotropic remeshing, then decimation.

    Args:
        shells: Closed shells.
        edge: Target edge, µm; None leaves the triangles as they are.
        keep: Share of the triangles to keep; None keeps all.

    Returns:
        New shells with the old records.

    Raises:
        MissingDependencyError: pymeshlab is not installed.
        GeometryError: pymeshlab failed.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for i, shell in enumerate(shells):
        arrays[f"points{i}"], arrays[f"triangles{i}"] = shell.points, shell.triangles
    made = _run(arrays, {"task": "remesh", "count": len(shells), "edge": edge, "keep": keep})
    return [
        replace(s, points=made[f"points{i}"], triangles=made[f"triangles{i}"]) for i, s in enumerate(shells)
    ]


def hausdorff(pairs: Sequence[tuple[Shell, Shell]]) -> list[float]:
    """Two-sided Hausdorff distance (µm), sampled at vertices and face centres; 0 for a shell and itself.

    Args:
        pairs: Shells to compare.

    Returns:
        One distance per pair; NaN where pymeshlab is not installed.
    """
    differ = [i for i, (a, b) in enumerate(pairs) if a is not b and not _same(a, b)]
    result = [0.0] * len(pairs)
    if not differ:
        return result
    arrays: dict[str, npt.NDArray[Any]] = {}
    for i, at in enumerate(differ):
        for letter, shell in zip("ab", pairs[at], strict=True):
            arrays[f"points{letter}{i}"], arrays[f"triangles{letter}{i}"] = shell.points, shell.triangles
    try:
        made = _run(arrays, {"task": "hausdorff", "count": len(differ)})["distance"].tolist()
    except MissingDependencyError:
        made = [float("nan")] * len(differ)
    for at, distance in zip(differ, made, strict=True):
        result[at] = distance
    return result


def _same(a: Shell, b: Shell) -> bool:
    return a.points.shape == b.points.shape and bool(np.array_equal(a.points, b.points))


def _run(arrays: dict[str, npt.NDArray[Any]], order: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    with tempfile.TemporaryDirectory(prefix="pxm2mesh-") as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, order=np.array(json.dumps(order)), **arrays)  # type: ignore[arg-type]
        command = [sys.executable, "-m", "pxm2mesh.surfacing.meshlab", str(source), str(target)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            raise GeometryError(
                f"pymeshlab took over {_TIMEOUT:.0f} s;", hint="ask for larger triangles."
            ) from None
        if ended.returncode == _NOT_INSTALLED:
            raise MissingDependencyError("this needs pymeshlab;", hint="pip install pymeshlab.")
        if ended.returncode or not target.exists():
            tail = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or [
                f"exit code {ended.returncode}"
            ]
            raise GeometryError(f"pymeshlab failed: {tail[0]}", hint="try other sizes, or the method nets.")
        with np.load(target) as made:
            return {key: made[key] for key in made.files}


def main(arguments: Sequence[str]) -> int:
    """The process of its own: read the order, obey, write the result."""
    try:
        import pymeshlab
    except ImportError:
        return _NOT_INSTALLED
    with np.load(arguments[0]) as given:
        data = {key: given[key] for key in given.files}
    order = json.loads(str(data["order"]))
    if order["task"] == "remesh":
        result: dict[str, npt.NDArray[Any]] = {}
        for i in range(order["count"]):
            points, triangles = _remesh_one(pymeshlab, data[f"points{i}"], data[f"triangles{i}"], order)
            result[f"points{i}"], result[f"triangles{i}"] = points, triangles
    else:
        distances = [_distance(pymeshlab, data, i) for i in range(order["count"])]
        result = {"distance": np.array(distances)}
    np.savez(arguments[1], **result)  # type: ignore[arg-type]
    return 0


def _remesh_one(
    pymeshlab: Any, points: npt.NDArray[Any], triangles: npt.NDArray[Any], order: dict[str, Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    meshes = pymeshlab.MeshSet()
    meshes.add_mesh(pymeshlab.Mesh(points, triangles))
    if order["edge"] is not None:
        meshes.meshing_isotropic_explicit_remeshing(
            iterations=6, targetlen=pymeshlab.PureValue(order["edge"]), featuredeg=60, checksurfdist=False
        )  # fmt: skip
    if order["keep"] is not None:
        meshes.meshing_decimation_quadric_edge_collapse(
            targetperc=order["keep"], preservetopology=True, preservenormal=True, qualitythr=0.5
        )  # fmt: skip
    mesh = meshes.current_mesh()
    return mesh.vertex_matrix().astype(np.float64), mesh.face_matrix().astype(np.int32)


def _distance(pymeshlab: Any, data: dict[str, npt.NDArray[Any]], i: int) -> float:
    meshes = pymeshlab.MeshSet()
    for letter in "ab":
        meshes.add_mesh(pymeshlab.Mesh(data[f"points{letter}{i}"], data[f"triangles{letter}{i}"]))
    worst = 0.0
    for one, other in ((0, 1), (1, 0)):
        found = meshes.get_hausdorff_distance(
            sampledmesh=one, targetmesh=other, sampleface=True, sampleedge=True, samplenum=20000,
            maxdist=pymeshlab.PercentageValue(100),
        )  # fmt: skip
        worst = max(worst, float(found["max"]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
