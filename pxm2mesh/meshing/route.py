"""From labels to a mesh: the whole route, and the ladder that always ends in a valid mesh.

The interfaces are smoothed under a certificate, the regions filled by gmsh, the cells improved, and the
result checked. If gmsh rejects the surface, or a check fails, the next rung keeps more of the staircase
(which is easier to fill), down to the exact cell faces; the last rung is the lattice mesher, which cannot
fail. Errors that have nothing to do with the surface (no gmsh, no disk space, time out) end the run at
once. Every rung is logged and stands in the mesh's record.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from pxm2mesh.errors import MeshingError, UsageError
from pxm2mesh.meshing import checks
from pxm2mesh.meshing.assembly import Draft, draft, finish
from pxm2mesh.meshing.cost import predict_cost, reach_target, refuse_excess, too_many_pairs
from pxm2mesh.meshing.gmsh_mesher import SurfaceRejectedError, fill_regions
from pxm2mesh.meshing.improve import ImproveOptions, improve
from pxm2mesh.meshing.lattice import lattice_cells
from pxm2mesh.meshing.layer_plan import with_layers
from pxm2mesh.meshing.options import DEFAULTS, MeshOptions, Sizing
from pxm2mesh.meshing.quality import summarize
from pxm2mesh.meshing.sizing import size_field
from pxm2mesh.meshing.topology import topology_record
from pxm2mesh.meshing.transition import TransitionZone
from pxm2mesh.progress import SILENT, Progress, Task
from pxm2mesh.surface import InterfaceSurface
from pxm2mesh.surfacing import SmoothOptions, extract_surface, smooth
from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.volume import LabelVolume

log = logging.getLogger(__name__)

_RUNGS = (0.3, 0.5, 0.8, 1.0)


def mesh_volume(
    volume: LabelVolume,
    options: MeshOptions = DEFAULTS,
    *,
    surface: InterfaceSurface | None = None,
    progress: Progress = SILENT,
) -> TetMesh:
    """Fill a label volume with tetrahedra.

    Args:
        volume: The sample.
        options: Cell size, sizing, what to leave out.
        surface: The smoothed surface of ``volume``, where there is one already: it is used if its cell size and
            certificate are those of ``options``, which saves making it again. The mesh is the same, bit for bit.
        progress: Where to show the parts.

    Returns:
        The mesh, with its passport in ``record``.

    Raises:
        UsageError: Unknown phase or interface, impossible cell size.
        MeshingError: No time or memory, or (a bug) no rung of the ladder passed the checks.
        MissingDependencyError: gmsh is not installed.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> x, y, z = np.indices((12, 12, 12)) - 5.5
        >>> ball = (x**2 + y**2 + z**2 < 16).astype(np.uint8)
        >>> mesh = mesh_volume(LabelVolume(ball, {"void": 0, "NMC": 1}, "1 um"))
        >>> abs(mesh.phase_volumes()["NMC"] / ball.sum() - 1) < 0.001
        True
    """
    _check_names(volume, options)
    started = time.perf_counter()
    volume, options = with_layers(volume, options)
    if options.target_cells is not None:
        options = reach_target(volume, options)
    cost = predict_cost(volume, options)
    log.info("about %s cells, %.0f s, %.2g GB", f"{cost.cells:,}", cost.seconds, cost.memory_gb)
    refuse_excess(volume, options, cost)
    if options.method == "marching-cubes":
        return _stamped(_from_shells(volume, options, progress), started)
    sizes = options.voxels(volume)
    with progress.task("Meshing", 5) as task:
        task.advance(0, "extracting interfaces")
        smoothing = SmoothOptions(certificate=options.certificate)
        if surface is not None and _is_of(surface, volume, sizes, smoothing):
            task.advance(1)
            first = surface
        else:
            rough = extract_surface(volume, cell_size=sizes)
            task.advance(1, "smoothing interfaces")
            first = smooth(rough, smoothing)
        rungs = [options.certificate, *(r for r in _RUNGS if r > options.certificate)]
        mesh = _climb_down(first, rungs, options, task)
    return _stamped(mesh, started)


def tetrahedralize(
    surface: InterfaceSurface,
    sizing: Sizing | None = None,
    *,
    zone: TransitionZone | None = None,
    split: Sequence[str] = (),
    exclude: Sequence[str] = (),
    options: MeshOptions | None = None,
    progress: Progress = SILENT,
) -> TetMesh:
    """Fill the regions of a surface with tetrahedra.

    Args:
        surface: What `pxm2mesh.surfacing.smooth` returned (or any conforming surface).
        sizing: Edge lengths inside the regions.
        zone: A graded transition zone. (A layer has a phase of its own, so it has to be there before the
            surface is: give it to `mesh_volume`.)
        split: Interfaces on which nodes are doubled.
        exclude: Phases to leave empty.
        options: Everything else; ``sizing``, ``zone``, ``split`` and ``exclude`` above take precedence.
        progress: Where to show the parts.

    Returns:
        The mesh.

    Raises:
        UsageError: Unknown phase or interface, or a zone of kind layer.
        MeshingError: See `mesh_volume`.
    """
    base = options or MeshOptions()
    zones = base.zones if zone is None else (zone,)
    if any(z.kind == "layer" for z in zones):
        raise UsageError(
            "a layer cannot be laid once the surface is made;", hint="use mesh_volume with zones=…"
        )
    chosen = replace(
        base, sizing=sizing or base.sizing, zones=zones, split=tuple(split), exclude=tuple(exclude)
    )
    for name in chosen.exclude:
        surface.phases[name]
    for pair in chosen.split:
        surface.phases.pair(pair)
    started = time.perf_counter()
    rungs: list[float] = []
    if surface.lattice is not None:
        used = float(surface.record.get("smoothing", {}).get("options", {}).get("certificate", 1.0))
        rungs = [used, *(r for r in _RUNGS if r > used)]
        if surface.lattice.corners is None:
            surface = smooth(surface, SmoothOptions(certificate=1.0))
    with progress.task("Meshing", 3) as task:
        if surface.lattice is None:
            mesh = _one_rung(surface, "gmsh", chosen, task, [])
        else:
            mesh = _climb_down(surface, rungs, chosen, task)
    return _stamped(mesh, started)


def _is_of(
    surface: InterfaceSurface, volume: LabelVolume, sizes: tuple[int, int, int], smoothing: SmoothOptions
) -> bool:
    """Whether a surface is what would be made of the volume with these options."""
    source = None if surface.lattice is None else surface.lattice.volume
    if source is None or (source is not volume and source.digest() != volume.digest()):
        return False
    how = dict(surface.record.get("smoothing", {})).get("options")
    return list(surface.record.get("cell_size", ())) == list(sizes) and how == _plain(asdict(smoothing))


def _stamped(mesh: TetMesh, started: float) -> TetMesh:
    """With quality, time and memory in its record."""
    tail = {"seconds": round(time.perf_counter() - started, 3), "peak_rss_mb": _peak_rss()}
    return replace(mesh, record={**mesh.record, "quality": summarize(mesh), **tail})


def _from_shells(volume: LabelVolume, options: MeshOptions, progress: Progress) -> TetMesh:
    """The phases of ``only``, every particle inside its own marching-cubes surface.

    If gmsh rejects the remeshed shells (remeshing can make them intersect themselves) it gets them as marching
    cubes made them, and last the conforming net of the same phases.
    """
    from pxm2mesh.surfacing import ShellOptions, marching_cubes_surfaces, surface_of_shells

    tried: list[dict[str, Any]] = []
    length = float(np.prod(np.array(options.voxels(volume)) * volume.spacing) ** (1 / 3))
    with progress.task("Meshing", 4) as task:
        for name, edge in (("remeshed", f"{length:.9g} um"), ("as they are", None)):
            task.advance(0, f"marching cubes, {name}")
            shells = marching_cubes_surfaces(
                volume, only=options.only, by="particle", options=ShellOptions(edge=edge, smallest=27)
            )
            rung = f"gmsh, marching cubes {name}"
            try:
                surface = _at_volume(surface_of_shells(shells, volume))
                return _one_rung(surface, rung, options, task, tried)
            except (SurfaceRejectedError, checks.GateError) as error:
                log.warning("marching cubes, %s: %s Trying the next rung.", name, error)
                tried.append({"rung": rung, "failed": str(error)})
    others = tuple(p.name for p in volume.phases if p.name not in options.only)
    mesh = mesh_volume(volume, replace(options, method="nets", only=(), exclude=others), progress=progress)
    route = {**mesh.record["route"], "rungs": [*tried, *mesh.record["route"]["rungs"]]}
    return replace(mesh, record={**mesh.record, "route": route})


def _at_volume(surface: InterfaceSurface) -> InterfaceSurface:
    """Every shell moved along its normals until it holds the volume of its voxels."""
    points = surface.points.copy()
    count = len(surface.region_phase)
    triangles, region = surface.triangles, surface.sides[:, 0]
    corner, owner = triangles.ravel(), np.repeat(region, 3)
    for _ in range(4):
        p = points[triangles]
        vector = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) / 2
        volume = np.bincount(region, np.einsum("ij,ij->i", p[:, 0] - surface.lower, vector) / 3, count)
        area = np.bincount(region, np.linalg.norm(vector, axis=1), count)
        inwards = np.clip(
            (volume - surface.region_volume) / np.maximum(area, 1e-300), -0.1 * _cell_size(surface), None
        )
        normal = np.stack(
            [np.bincount(corner, np.repeat(vector[:, k], 3), len(points)) for k in range(3)], axis=1
        )
        normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
        step = np.zeros(len(points))
        step[corner] = inwards[owner]
        points -= normal * step[:, None]
    return replace(surface, points=np.clip(points, surface.lower, surface.upper))


def _check_names(volume: LabelVolume, options: MeshOptions) -> None:
    for name in (*options.exclude, *options.only):
        volume.phases[name]
    for pair in options.split:
        volume.phases.pair(pair)
    present = {name for name, count in volume.voxel_counts().items() if count}
    if present and present <= set(options.exclude):
        raise UsageError("every phase is excluded;", hint="leave one to mesh.")


def _climb_down(surface: InterfaceSurface, rungs: list[float], options: MeshOptions, task: Task) -> TetMesh:
    """Try the rungs in turn; the lattice is the last, or the first where gmsh would take for ever."""
    tried: list[dict[str, Any]] = []
    why = _why_lattice(surface, options)
    if why:
        log.info("lattice at once: %s", why)
        rungs = []
    for position, rung in enumerate(rungs):
        if position:
            task.advance(0, f"smoothing interfaces (certificate {rung:g})")
            surface = smooth(surface, SmoothOptions(certificate=rung))
        try:
            return _one_rung(surface, f"gmsh, certificate {rung:g}", options, task, tried)
        except (SurfaceRejectedError, checks.GateError) as error:
            log.warning("certificate %g: %s Trying the next rung.", rung, error)
            tried.append({"rung": f"gmsh, certificate {rung:g}", "failed": str(error)})
    task.advance(0, "lattice cells")
    if rungs:
        surface = smooth(surface, SmoothOptions(certificate=rungs[0]))
    return _one_rung(surface, "lattice", options, task, tried, why=why)


def _why_lattice(surface: InterfaceSurface, options: MeshOptions) -> str:
    """Why gmsh is not even tried; empty where it is."""
    if options.method == "lattice":
        return "asked for"
    assert surface.lattice is not None
    low, high = surface.sides.min(axis=1).astype(np.int64), surface.sides.max(axis=1)
    pairs = len(np.unique(low * len(surface.region_phase) + high))
    cells = surface.lattice.cells.size
    if too_many_pairs(pairs, cells):
        return (
            f"{pairs:,} pairs of regions in {cells:,} cells are more than gmsh's time, which grows with the square of "
            "their number, allows"
        )
    return ""


def _one_rung(
    surface: InterfaceSurface,
    name: str,
    options: MeshOptions,
    task: Task,
    tried: list[dict[str, Any]],
    *,
    why: str = "",
) -> TetMesh:
    start = time.perf_counter()
    route: dict[str, Any] = {"rung": name} | ({"why": why} if why else {})
    cell_size = _cell_size(surface)
    if name == "lattice":
        made = draft(*lattice_cells(surface))
    else:
        task.advance(1, "filling regions (gmsh)")
        made, route["gmsh"] = _filled(surface, options, cell_size)
    route["fill_seconds"] = round(time.perf_counter() - start, 3)
    task.advance(1, "improving cells")
    route["improve"] = improve(made, surface, ImproveOptions())
    task.advance(1, "checking")
    layers = [zone for zone in options.zones if zone.kind == "layer"]
    laid: list[dict[str, Any]] = []
    try:
        checks.check(made, surface)
        if layers:
            from pxm2mesh.meshing.layers import insert_layers

            made, surface, laid = insert_layers(made, surface, layers)
            checks.check(made, surface)
    except checks.GateError as error:
        if name != "lattice":
            raise
        place = checks.explain(made, error.cells, options.diagnostics)
        raise MeshingError(f"no rung of the ladder gave a valid mesh: {error.message}",
                           hint=f"Please report this; {place}") from error  # fmt: skip
    route["seconds"] = round(time.perf_counter() - start, 3)
    record = _record(made, surface, options, [*tried, route], cell_size) | ({"zones": laid} if laid else {})
    exclude = np.isin(surface.region_phase, [surface.phases[n].label for n in options.exclude])
    mesh = finish(made, surface, exclude=exclude, record=record)
    return _with_zones(mesh, surface, options)


def _filled(
    surface: InterfaceSurface, options: MeshOptions, cell_size: float
) -> tuple[Draft, dict[str, Any]]:
    size = None if surface.lattice is None else size_field(surface.lattice, options.sizing, cell_size)
    filling = fill_regions(
        surface.points, surface.triangles, surface.sides,
        scale=cell_size, separate=surface.lattice is None, size=size, seed=options.seed, timeout=options.timeout,
    )  # fmt: skip
    facts = {
        "version": filling.version,
        "seconds": round(filling.seconds, 3),
        "peak_rss_mb": round(filling.peak_rss_mb),
    }
    return draft(filling.points, filling.cells, filling.cell_region, surface.triangles, surface.sides), facts


def _cell_size(surface: InterfaceSurface) -> float:
    """µm: geometric mean of the lattice cell's edges, or what the triangles' areas suggest."""
    if surface.lattice is None:
        return float(np.sqrt(2 * np.median(surface.triangle_areas())))
    return float(np.prod(surface.lattice.cell_size * surface.lattice.volume.spacing) ** (1 / 3))


def _with_zones(mesh: TetMesh, surface: InterfaceSurface, options: MeshOptions) -> TetMesh:
    """Graded zones, then splits."""
    graded = [zone for zone in options.zones if zone.kind == "graded"]
    if graded:
        from pxm2mesh.meshing.transition import add_graded

        spacing = None if surface.lattice is None else surface.lattice.volume.spacing
        for zone in graded:
            mesh = add_graded(mesh, zone, spacing=spacing)
    if options.split:
        from pxm2mesh.meshing.splitting import split_interfaces

        mesh = split_interfaces(mesh, options.split)
    return mesh


def _record(
    made: Draft,
    surface: InterfaceSurface,
    options: MeshOptions,
    rungs: list[dict[str, Any]],
    cell_size: float,
) -> dict[str, Any]:
    geometry = checks.geometry_record(made, surface)
    for phase in geometry["phases"]:
        if phase["voxel_volume"] > 0 and abs(phase["relative_error"]) > 2e-3:
            log.warning(
                "phase %s differs by %.2f %% from its voxels: its parts are hardly larger than the cells; "
                "use a smaller cell size.", phase["name"], 100 * phase["relative_error"],
            )  # fmt: skip
    smoothing = dict(surface.record.get("smoothing", {}))
    return {
        **geometry,
        "topology": topology_record(made, surface),
        "ledger": surface.record.get("regions", {}),
        "thin": surface.record.get("thin", {}),
        "route": {
            "rungs": rungs,
            "cell_size": list(surface.record.get("cell_size", [])),
            "cell_size_um": cell_size,
            "certificate": smoothing.get("certificate"),
            "options": _plain(asdict(options)),
        },
    }


def _plain(value: Any) -> Any:
    """Tuples to lists, so that a record equals what is read back from JSON."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


def _peak_rss() -> int:
    """MB of this process and of the largest it started."""
    own, children = (
        resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(max(own, children) / 1024)


__all__ = ["Draft", "mesh_volume", "tetrahedralize"]
