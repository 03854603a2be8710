"""Closed shells by marching cubes: one per phase or particle, each by itself.

The shells of two neighbours do not share triangles; where phases have to fit together use the net
(`pxm2mesh.surfacing.extract_surface`) and `pxm2mesh.surfacing.shells_of`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, GeometryError, UsageError, did_you_mean
from pxm2mesh.io.surfaces import poly_data
from pxm2mesh.phases import PhaseTable
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.regions import find_regions
from pxm2mesh.surfacing import meshlab
from pxm2mesh.surfacing.indicators import indicator_fields
from pxm2mesh.surfacing.shells import By, Shell, check_by, chosen_phases, enclosed_volume, is_closed
from pxm2mesh.units import parse_quantity
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

Smoothing = Literal["projection", "taubin", "windowed-sinc", "none"]
_MARGIN = 4  # voxels around a body: the blur's reach


@dataclass(frozen=True)
class ShellOptions:
    """How marching-cubes shells are made.

    Attributes:
        smoothing: ``"projection"``: the isosurface of the indicator, at the level that keeps the volume;
            ``"taubin"`` and ``"windowed-sinc"``: filters on the surface of the bare voxels; ``"none"``.
        iterations: Of the two filters.
        edge: Remesh to triangles of this edge, ``"0.8 um"`` or a number of voxels; None leaves them.
        decimate: Keep about this share of the triangles, 0 to 1; None keeps all.
        smallest: Voxels; smaller particles are left out, and counted in the log.
    """

    smoothing: Smoothing = "projection"
    iterations: int = 20
    edge: str | float | None = None
    decimate: float | None = None
    smallest: int = 1

    def __post_init__(self) -> None:
        if self.smoothing not in get_args(Smoothing):
            raise UsageError(f"unknown smoothing {self.smoothing!r};",
                             hint=did_you_mean(self.smoothing, get_args(Smoothing)))  # fmt: skip
        if self.iterations < 1:
            raise UsageError(f"iterations {self.iterations!r} must be 1 or more.")
        if self.decimate is not None and not 0 < self.decimate <= 1:
            raise UsageError(
                f"decimate {self.decimate!r} must be a share from 0 to 1;", hint="0.25 keeps a quarter."
            )
        self.edge_length(1.0)

    def edge_length(self, voxel: float) -> float | None:
        """Target edge in µm for voxels of that edge; None where no remeshing is wanted.

        Raises:
            UsageError: Not positive.
        """
        if self.edge is None:
            return None
        if isinstance(self.edge, str):
            length = parse_quantity(self.edge, "length", where="edge")
        else:
            length = float(self.edge) * voxel
        if not length > 0:
            raise UsageError(
                f"edge {self.edge!r} must be positive;", hint='write "0.8 um" or a number of voxels.'
            )
        return length


def marching_cubes_surfaces(
    volume: LabelVolume,
    *,
    only: str | Sequence[str] | None = None,
    by: By = "phase",
    options: ShellOptions | None = None,
    progress: Progress = SILENT,
) -> tuple[Shell, ...]:
    """Closed shells of phases or particles.

    Args:
        volume: The sample.
        only: Phases; None is all but voids.
        by: One shell per ``"phase"`` or per ``"particle"``.
        options: How; None is the default.
        progress: Where to show the bodies.

    Returns:
        Watertight shells, closed by the box where the body is cut by it. Each record has ``volume_error``
        against the voxels and ``hausdorff`` (µm), the largest distance to the unfiltered isosurface.

    Raises:
        UsageError: Unknown phase or choice.
        DataError: A named phase has no voxel.
        GeometryError: A body whose surface cannot be closed.
        MissingDependencyError: Remeshing or decimation without pymeshlab.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> x, y, z = np.indices((16, 16, 16)) - 7.5
        >>> ball = (x**2 + y**2 + z**2 < 36).astype(np.uint8)
        >>> shells = marching_cubes_surfaces(LabelVolume(ball, {"void": 0, "NMC": 1}, "1 um"))
        >>> shells[0].name, shells[0].is_watertight()
        ('NMC', True)

    References:
        T. Lewiner et al., Efficient implementation of marching cubes' cases with topological guarantees,
        J. Graphics Tools 8 (2003) 1–15. G. Taubin, A signal processing approach to fair surface design, SIGGRAPH 1995.
    """
    chosen = options or ShellOptions()
    check_by(by)
    counts = volume.voxel_counts()
    names = chosen_phases(volume.phases, only, [n for n, c in counts.items() if c])
    for name in names:
        volume.require(name)
    bodies = _bodies(volume, names, by, chosen.smallest)
    with progress.task("Marching cubes", len(bodies)) as task:
        raw = []
        for name, region, window, mask in bodies:
            raw.append(_shell(volume, name, region, window, mask, chosen))
            task.advance(1, name)
    return tuple(_finish(raw, volume, chosen))


def _bodies(
    volume: LabelVolume, names: Sequence[str], by: By, smallest: int
) -> list[tuple[str, int, tuple[slice, ...], npt.NDArray[np.bool_]]]:
    """(phase, region, window, mask in it) of every body."""
    from scipy import ndimage

    whole = tuple(slice(0, n) for n in volume.shape)
    if by == "phase":
        return [(name, 0, whole, volume.mask(name)) for name in names]
    regions = find_regions(volume)
    windows = ndimage.find_objects(regions.ids)
    bodies, left_out = [], 0
    for name in names:
        for region in regions.of(name).tolist():
            if regions.voxels[region] < smallest:
                left_out += 1
                continue
            window = tuple(
                slice(max(0, s.start - _MARGIN), min(n, s.stop + _MARGIN))
                for s, n in zip(windows[region - 1], volume.shape, strict=True)
            )
            bodies.append((name, region, window, regions.ids[window] == region))
    if left_out:
        logger.warning("%d particles of fewer than %d voxels were left out.", left_out, smallest)
    if not bodies:
        raise DataError(f"no particle has {smallest} voxels;", hint="ask for smaller ones.")
    return bodies


def _shell(
    volume: LabelVolume, name: str, region: int, window: tuple[slice, ...], mask: npt.NDArray[np.bool_],
    options: ShellOptions,
) -> tuple[Shell, Shell]:  # fmt: skip
    """(filtered, reference) shell of one body; they are the same where the smoothing is the projection."""
    start = np.array([s.start for s in window])
    voxels = int(mask.sum())
    target = voxels * volume.voxel_volume

    def placed(vertices: npt.NDArray[Any], faces: npt.NDArray[Any]) -> Shell:
        points = volume.origin + (vertices + start) * volume.spacing
        record = {"method": "marching-cubes", "voxel_volume": target, **asdict(options)}
        return Shell(name, region, points, faces, record)

    if options.smoothing == "projection" or mask.all():
        made = placed(*_isosurface(mask, voxels))
        reference = made
    else:
        made = placed(*_clean(*_cubes(_closed(mask.astype(np.float32), 0.5), 0.5)))
        reference = made
        if options.smoothing != "none":
            made = replace(made, points=_in_box(made, _filtered(made, options), volume))
    if not is_closed(made.triangles):
        raise GeometryError(f"the surface of {made.name} cannot be closed;", hint="use the method nets.")
    return made, reference


def _isosurface(mask: npt.NDArray[np.bool_], voxels: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The isosurface of the indicator at the level at which it encloses as many voxels as the body has."""
    if mask.all():
        return _clean(*_cubes(_closed(np.ones(mask.shape, np.float32), 0.5), 0.5))
    volume = LabelVolume(mask.astype(np.uint8), PhaseTable({"rest": 0, "body": 1}), np.ones(3))
    body = indicator_fields(volume).values[1]
    low, high, level = 0.02, 0.98, 0.5
    best: tuple[float, npt.NDArray[Any], npt.NDArray[Any]] | None = None
    for _ in range(12):
        if not (body > level).any():
            high, level = level, (low + level) / 2
            continue
        points, faces = _cubes(_closed(body, level), level)
        error = enclosed_volume(points, faces) / voxels - 1
        if best is None or abs(error) < abs(best[0]):
            best = (error, points, faces)
        if abs(error) < 1e-4:
            break
        if error > 0:
            low = level
        else:
            high = level
        first, second = (points[faces[:, i]] - points[faces[:, 0]] for i in (1, 2))
        area = np.linalg.norm(np.cross(first, second), axis=1).sum() / 2
        guess = level + 0.5 * error * voxels / max(area, 1e-9)  # the indicator falls by ½ per voxel
        level = guess if low < guess < high else (low + high) / 2
    if best is None:
        return _clean(*_cubes(_closed(mask.astype(np.float32), 0.5), 0.5))
    return _clean(best[1], best[2])


def _closed(field: npt.NDArray[np.float32], level: float) -> npt.NDArray[np.float32]:
    """Two more layers all around: the values on the box itself, and beyond it what closes the surface there."""
    for axis in range(3):
        field = np.pad(field, [(2, 2) if a == axis else (0, 0) for a in range(3)], mode="edge")
        for end in (0, -1):
            rim = field[(slice(None),) * axis + (end,)]
            inside = rim > level
            rim[inside] = 2 * level - rim[inside]
    return field


def _cubes(
    field: npt.NDArray[np.float32], level: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Marching cubes of a field from `_closed`; positions in voxels from the corner of the unpadded field.

    The outermost layers fall together on the box, so that its edges come out sharp.
    """
    from skimage.measure import marching_cubes

    points, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call]
        field, level, gradient_direction="descent", allow_degenerate=True
    )
    placed = points.astype(np.float64)
    for axis, size in enumerate(field.shape):
        voxels = size - 4
        known = np.concatenate([[0.0, 0.0], np.arange(voxels) + 0.5, [voxels, voxels]])
        placed[:, axis] = np.interp(points[:, axis], np.arange(size), known)
    return placed, faces.astype(np.int64)[:, ::-1]


def _clean(
    points: npt.NDArray[np.float64], faces: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Weld coincident points, drop collapsed triangles and unused points, turn the normals outwards."""
    import trimesh

    mesh = trimesh.Trimesh(points, faces, process=False, validate=False)
    mesh.merge_vertices(digits_vertex=6)
    kept = np.asarray(mesh.faces)
    kept = kept[(kept[:, 0] != kept[:, 1]) & (kept[:, 1] != kept[:, 2]) & (kept[:, 2] != kept[:, 0])]
    used, index = np.unique(kept, return_inverse=True)
    clean = np.asarray(mesh.vertices, np.float64)[used], index.reshape(-1, 3).astype(np.int32)
    if len(kept) and enclosed_volume(*clean) < 0:
        clean = clean[0], np.ascontiguousarray(clean[1][:, ::-1])
    return clean


def _in_box(shell: Shell, points: npt.NDArray[np.float64], volume: LabelVolume) -> npt.NDArray[np.float64]:
    """Filtered points, those on the box still on it, and none outside."""
    lower, upper = volume.box
    made = np.clip(points, lower, upper)
    for plane in (lower, upper):
        made = np.where(np.abs(shell.points - plane) <= 1e-6 * volume.spacing, plane, made)
    return made


def _filtered(shell: Shell, options: ShellOptions) -> npt.NDArray[np.float64]:
    if options.smoothing == "taubin":
        import trimesh

        mesh = trimesh.Trimesh(shell.points, shell.triangles, process=False)
        trimesh.smoothing.filter_taubin(  # type: ignore[no-untyped-call]
            mesh, lamb=0.5, nu=0.53, iterations=options.iterations
        )
        return np.asarray(mesh.vertices, np.float64)
    smooth = poly_data(shell.points, shell.triangles).smooth_taubin(
        n_iter=options.iterations, pass_band=0.05, boundary_smoothing=False
    )
    return np.asarray(smooth.points, np.float64)


def _finish(pairs: list[tuple[Shell, Shell]], volume: LabelVolume, options: ShellOptions) -> list[Shell]:
    """Remesh and decimate where asked for, then measure what all of it did."""
    made = [shell for shell, _ in pairs]
    edge = options.edge_length(float(volume.spacing.min()))
    if edge is not None or options.decimate is not None:
        made = meshlab.remesh(made, edge=edge, keep=options.decimate)
    distances = meshlab.hausdorff([(m, reference) for m, (_, reference) in zip(made, pairs, strict=True)])
    done = []
    for shell, distance in zip(made, distances, strict=True):
        error = shell.volume() / shell.record["voxel_volume"] - 1
        closed = shell.is_watertight()
        if not closed:
            logger.warning("%s is no longer watertight after remeshing.", shell.name)
        facts = {"volume_error": error, "hausdorff": distance, "area": shell.area(), "watertight": closed}
        done.append(replace(shell, record={**shell.record, **facts}))
    return done
