"""Fill the regions of a surface with tetrahedra by gmsh's HXT, in a process of its own.

This is the only home of gmsh. It runs apart for two reasons: HXT can end the process on a hard surface
(seen: heap corruption on white noise), and gmsh is under the GPL while this package is not. The two
processes exchange arrays through a temporary folder; nothing of gmsh is linked here.

One thread, a fixed seed and a fixed order of entities give the same bytes each time.

References:
    C. Marot, J. Pellerin, J.-F. Remacle, One machine, one minute, three billion tetrahedra,
    Int. J. Numer. Methods Eng. 117 (2019) 967.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, MeshingError, MissingDependencyError
from pxm2mesh.processes import leashed

log = logging.getLogger(__name__)

_INSTALL = "install it with: pip install gmsh"
_READY = "ready"  # an empty file: everything is loaded, meshing begins


class SurfaceRejectedError(MeshingError):
    """Gmsh could not fill this surface (it failed or crashed): a gentler surface may do."""


class _DiedAtStartError(MeshingError):
    """The process ended while Python and gmsh were loading: the machine's doing, not the surface's."""


@dataclass(frozen=True, eq=False)
class SizeField:
    """Wanted edge length on a lattice of points.

    Attributes:
        values: (a, b, c) µm.
        origin: (3,) µm, where ``values[0, 0, 0]`` is.
        spacing: (3,) µm between the points.
    """

    values: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    spacing: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Filling:
    """What gmsh made of a surface.

    Attributes:
        points: (n, 3) µm; the surface's points first, unchanged and in their order.
        cells: (k, 4) int32, ordered by region; none inverted, but a sliver may have no volume at all.
        cell_region: (k,) int32.
        seconds: Wall time of the process.
        peak_rss_mb: Its peak memory.
        version: Of gmsh.
    """

    points: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int32]
    cell_region: npt.NDArray[np.int32]
    seconds: float
    peak_rss_mb: float
    version: str


def fill_regions(
    points: npt.NDArray[np.float64],
    triangles: npt.NDArray[np.int32],
    sides: npt.NDArray[np.int32],
    *,
    scale: float,
    separate: bool = False,
    size: SizeField | None = None,
    optimize_threshold: float = 0.0,
    seed: int = 1,
    timeout: float = 7200.0,
) -> Filling:
    """Tetrahedralise every region of a conforming surface.

    Args:
        points: (n, 3) µm.
        triangles: (m, 3) into ``points``; normals from ``sides[:, 0]`` to ``sides[:, 1]``.
        sides: (m, 2) regions; 0 is outside.
        scale: µm, the typical edge length; gmsh works in units of it, away from its absolute tolerances.
        separate: Give every connected piece of a region's skin a surface of its own. Closed shells by
            themselves need it: a shell and a cavity in it would otherwise have the same boundary.
        size: Wanted edge lengths inside; without one they follow the surface's.
        optimize_threshold: Quality (0 to 1) under which HXT improves cells; 0 switches its optimiser off.
        seed: Of gmsh's random numbers.
        timeout: Seconds after which the process is ended.

    Returns:
        Points, cells and their regions.

    Raises:
        SurfaceRejectedError: gmsh failed or crashed on this surface, or left a region unfilled.
        MissingDependencyError: gmsh, or a system library it needs, is not installed.
        MeshingError: The time is up or the machine refused (memory, a kill).
        DataError: The temporary folder cannot be written.
    """
    corners, local = np.unique(triangles, return_inverse=True)
    shift = points.min(axis=0)
    request: dict[str, Any] = {
        "points": (points[corners] - shift) / scale,
        "triangles": local.reshape(-1, 3).astype(np.int64),
        "sides": sides.astype(np.int64),
        "piece": _pieces(local.reshape(-1, 3), len(corners)) if separate else np.zeros(len(sides), np.int64),
    }
    if size is not None:
        request |= {
            "size": size.values / scale,
            "size_origin": (size.origin - shift) / scale,
            "size_spacing": size.spacing / scale,
        }
    settings = {"optimize_threshold": float(optimize_threshold), "seed": int(seed)}
    started = time.perf_counter()
    answer = _run(request, settings, timeout)
    fresh = answer["points"][len(corners) :] * scale + shift
    result = Filling(
        points=np.concatenate([points, fresh]),
        cells=_renumber(answer["cells"], corners, len(points)),
        cell_region=answer["cell_region"].astype(np.int32),
        seconds=time.perf_counter() - started,
        peak_rss_mb=float(answer["peak_rss_mb"]),
        version=str(answer["version"]),
    )
    return _oriented_and_complete(result, points, triangles, sides)


def _pieces(triangles: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """(m,) number of the connected piece that each triangle belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1][triangles[:, 0]], np.int64)


def _renumber(cells: npt.NDArray[np.int64], corners: npt.NDArray[Any], count: int) -> npt.NDArray[np.int32]:
    """Surface points get their own numbers back, new ones follow them."""
    top = max(int(cells.max()) + 1, len(corners)) if len(cells) else len(corners)
    numbers = np.concatenate([corners, np.arange(count, count + top - len(corners), dtype=np.int64)])
    return numbers[cells].astype(np.int32)


def _oriented_and_complete(
    filling: Filling,
    points: npt.NDArray[np.float64],
    triangles: npt.NDArray[np.int32],
    sides: npt.NDArray[np.int32],
) -> Filling:
    """Turn cells that are inside out, and compare each region's volume with what its triangles enclose."""
    p = filling.points
    cells = filling.cells
    a = p[cells[:, 0]]
    volumes = np.einsum("ij,ij->i", p[cells[:, 1]] - a, np.cross(p[cells[:, 2]] - a, p[cells[:, 3]] - a))
    turned = volumes < 0
    cells[turned] = cells[turned][:, [0, 1, 3, 2]]
    count = int(sides.max()) + 1
    got = np.bincount(filling.cell_region, np.abs(volumes) / 6, count)
    q = points[triangles] - points.min(axis=0)
    signed = np.einsum("ij,ij->i", q[:, 0], np.cross(q[:, 1], q[:, 2])) / 6
    wanted = np.bincount(sides[:, 0], signed, count) - np.bincount(sides[:, 1], signed, count)
    wanted[0] = 0.0
    off = np.abs(got - wanted) > 1e-6 * np.maximum(wanted, 1e-3 * wanted.max())
    if off.any():
        worst = int(np.argmax(np.abs(got - wanted) / np.maximum(wanted, 1e-30)))
        raise SurfaceRejectedError(
            f"gmsh left {int(off.sum())} regions wrongly filled (region {worst}: {got[worst]:.6g} of "
            f"{wanted[worst]:.6g} µm³)."
        )
    return filling


def _run(request: dict[str, Any], settings: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Hand ``request`` to the process, wait, and read its answer."""
    try:
        with tempfile.TemporaryDirectory(prefix="pxm2mesh-gmsh-") as name:
            folder = Path(name)
            np.savez(folder / "request.npz", **request)
            (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
            command = [sys.executable, "-m", "pxm2mesh.meshing.gmsh_mesher", name]
            try:
                _wait(command, folder, timeout)
            except _DiedAtStartError as error:  # seen once on a busy machine, while numpy was imported
                log.warning("%s Starting it once more.", error.message)
                _wait(command, folder, timeout)
            with np.load(folder / "answer.npz") as stored:
                return dict(stored)
    except OSError as error:
        raise DataError(
            f"the hand-over to gmsh through {tempfile.gettempdir()} failed: {error};",
            hint="free some space there, or point TMPDIR to another folder.",
        ) from error


def _wait(command: list[str], folder: Path, timeout: float) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = str(Path(__file__).resolve().parents[2])
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{root}{os.pathsep}{known}" if known else root
    try:
        done = subprocess.run(
            leashed(command), capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise MeshingError(
            f"gmsh was not done after {timeout:g} s;",
            hint="use a larger cell size, or allow more time.",
        ) from None
    tail = (done.stderr or done.stdout).strip()[-400:]
    log.debug("gmsh process ended with %d: %s", done.returncode, tail)
    report = folder / "error.json"
    if report.exists():
        error = json.loads(report.read_text(encoding="utf-8"))
        _raise(error["kind"], error["message"])
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    if done.returncode and not (folder / _READY).exists():
        raise _DiedAtStartError(
            f"the gmsh process ended with code {done.returncode} before it began to mesh: {tail}"
        )
    if done.returncode == -signal.SIGKILL:
        raise MeshingError(
            "the gmsh process was killed, most likely for want of memory;", hint="use a larger cell size."
        )
    if done.returncode < 0:
        raise SurfaceRejectedError(
            f"gmsh crashed with {signal.Signals(-done.returncode).name} on this surface. {tail}"
        )
    if done.returncode or not (folder / "answer.npz").exists():
        raise MeshingError(f"the gmsh process ended with code {done.returncode}: {tail}")


def _raise(kind: str, message: str) -> None:
    if kind == "missing":
        raise MissingDependencyError(f"gmsh cannot be loaded: {message};", hint=_INSTALL)
    if kind == "machine":
        raise MeshingError(f"the gmsh process failed: {message};", hint="use a larger cell size.")
    raise SurfaceRejectedError(f"gmsh rejected the surface: {message}")


# ------------------------------------------------------------------ the process of its own


def _main(folder: Path) -> int:
    """Read ``request.npz``, write ``answer.npz`` or ``error.json``."""
    try:
        try:
            import gmsh
        except (ImportError, OSError) as error:
            _report(folder, "missing", str(error))
            return 7
        with np.load(folder / "request.npz") as stored:
            request = dict(stored)
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        (folder / _READY).touch()
        gmsh.initialize(interruptible=False)
        try:
            points, cells, cell_region = _mesh(gmsh, folder, request, settings)
        finally:
            gmsh.finalize()
        np.savez(
            folder / "answer.npz",
            points=points,
            cells=cells,
            cell_region=cell_region,
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            version=gmsh.__version__,
        )
    except (OSError, MemoryError) as error:
        _report(folder, "machine", f"{type(error).__name__}: {error}")
        return 1
    except Exception as error:  # gmsh raises bare Exception for what goes wrong inside
        _report(folder, "geometry", str(error))
        return 5
    return 0


def _report(folder: Path, kind: str, message: str) -> None:
    (folder / "error.json").write_text(json.dumps({"kind": kind, "message": message}), encoding="utf-8")


def _mesh(
    gmsh: Any, folder: Path, request: dict[str, npt.NDArray[Any]], settings: dict[str, Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    option, model = gmsh.option.setNumber, gmsh.model
    for name, value in (
        ("General.Verbosity", 1),
        ("General.Terminal", 0),
        ("General.NumThreads", 1),
        ("Mesh.MaxNumThreads3D", 1),
        ("Mesh.RandomSeed", settings["seed"]),
        ("Mesh.Renumber", 0),  # the surface's nodes keep their numbers
        ("Mesh.Algorithm3D", 10),
        ("Mesh.MeshSizeFromPoints", 0),
        ("Mesh.MeshSizeExtendFromBoundary", 0 if "size" in request else 1),
        ("Mesh.Optimize", 1 if settings["optimize_threshold"] > 0 else 0),
        ("Mesh.OptimizeThreshold", settings["optimize_threshold"]),
    ):
        option(name, value)
    model.add("pxm2mesh")
    if "size" in request:
        option("Mesh.MeshSizeMax", float(request["size"].max()))
        _set_size_field(model, folder, request)
    else:
        option("Mesh.MeshSizeMax", 8.0)
    regions = _add_surfaces(model, request)
    model.mesh.generate(3)
    tags, coordinates, _ = model.mesh.getNodes()
    lookup = np.full(int(tags.max()) + 1, -1, np.int64)
    order = np.argsort(tags)
    lookup[tags[order]] = np.arange(len(tags))
    found = [model.mesh.getElementsByType(4, region)[1].reshape(-1, 4).astype(np.int64) for region in regions]
    cell_region = np.repeat(np.array(regions, np.int64), [len(f) for f in found])
    points = coordinates.reshape(-1, 3)[order]
    return points, lookup[np.concatenate(found)], cell_region


def _set_size_field(model: Any, folder: Path, request: dict[str, npt.NDArray[Any]]) -> None:
    """Hand the lattice of sizes over as gmsh's binary "Structured" field.

    The field reads its file lazily, in whichever threads ask first: a one-line mesh makes it read once.
    """
    values = np.ascontiguousarray(request["size"], np.float64)
    path = folder / "size.bin"
    with path.open("wb") as stream:
        stream.write(np.asarray(request["size_origin"], np.float64).tobytes())
        stream.write(np.asarray(request["size_spacing"], np.float64).tobytes())
        stream.write(np.array(values.shape, np.int32).tobytes())
        stream.write(values.tobytes())
    field = model.mesh.field.add("Structured")
    model.mesh.field.setString(field, "FileName", str(path))
    for name, value in (("TextFormat", 0), ("SetOutsideValue", 1), ("OutsideValue", float(values.max()))):
        model.mesh.field.setNumber(field, name, value)
    model.mesh.field.setAsBackgroundMesh(field)
    ends = [model.geo.addPoint(*corner) for corner in ((0, 0, 0), (1, 1, 1))]
    line = model.geo.addLine(*ends)
    model.geo.synchronize()
    model.mesh.generate(1)
    model.mesh.clear()
    model.geo.remove([(1, line)], recursive=True)
    model.geo.synchronize()


def _add_surfaces(model: Any, request: dict[str, npt.NDArray[Any]]) -> list[int]:
    """One discrete surface per pair of regions, oriented low to high, one volume per region."""
    points, triangles, sides = request["points"], request["triangles"], request["sides"]
    turned = sides[:, 0] > sides[:, 1]
    triangles = np.where(turned[:, None], triangles[:, [0, 2, 1]], triangles)
    low, high = sides.min(axis=1), sides.max(axis=1)
    base = int(sides.max()) + 1
    pieces = request["piece"]
    keys, index = np.unique((pieces * base + low) * base + high, return_inverse=True)
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(len(keys) + 1))
    for entity in range(1, len(keys) + 1):
        model.addDiscreteEntity(2, entity)
    # every node once, on one entity; gmsh then moves each to where its elements are
    model.mesh.addNodes(2, 1, np.arange(1, len(points) + 1), points.ravel())
    surfaces: dict[int, list[int]] = {}
    for entity, key in enumerate(keys.tolist(), start=1):
        mine = order[bounds[entity - 1] : bounds[entity]]
        model.mesh.addElementsByType(entity, 2, [], (triangles[mine] + 1).ravel())
        for region in divmod(key % (base * base), base):
            if region > 0:
                surfaces.setdefault(region, []).append(entity)
    model.mesh.reclassifyNodes()
    for region, entities in sorted(surfaces.items()):
        model.geo.addVolume([model.geo.addSurfaceLoop(entities)], region)
    model.geo.synchronize()
    return sorted(surfaces)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
