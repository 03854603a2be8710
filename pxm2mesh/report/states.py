"""States of one sample seen through their labels: profiles, size distributions, and what became of each voxel."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.files import replacing
from pxm2mesh.report.contents import RunContents
from pxm2mesh.report.templates import save_svg
from pxm2mesh.volume import LabelVolume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

COLOURS = ("#4c72b0", "#e3b04b", "#55a868", "#c44e52", "#8c6bb1", "#7fbf9f")
"""One per state, in order."""
Float = npt.NDArray[np.float64]
Curve = tuple[Float, Float]


def state_names(runs: Sequence[Path]) -> dict[str, Path]:
    """The runs by the name of their folder or file, with as much of the path before it as tells them apart.

    Raises:
        UsageError: One of them is named twice.
    """
    places = [run.resolve() for run in runs]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise UsageError(f"the run {twice.name!r} is named twice;", hint="name each run once.")
    parts = [(*place.parts[1:-1], place.name if run.is_dir() else place.stem)
             for place, run in zip(places, runs, strict=True)]  # fmt: skip
    names: list[str] = []
    for deep in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-deep:]) for part in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, runs, strict=True))
    raise UsageError(f"two runs are called {names[0]!r};", hint="rename one of the files.")


def state_volumes(runs: Sequence[Path]) -> dict[str, LabelVolume]:
    """The labels of those runs that have them, by the names that `state_names` gives."""
    found = {}
    for name, run in state_names(runs).items():
        if run.is_dir() and (run / "labels.npz").exists() and (run / "record.json").exists():
            contents = RunContents(run)
            if contents.phases is not None:
                from pxm2mesh.io.images import read_volume

                found[name] = read_volume(run / "labels.npz", contents.phases)
    return found


def write_states(volumes: Mapping[str, LabelVolume], folder: Path) -> list[Path]:
    """Draw what two or more states of a sample look like beside each other.

    Args:
        volumes: Labels by state, in order.
        folder: Where to write ``profiles.svg`` (fractions along z), ``sizes.svg`` (pores, and particles of the
            active phases, separated where they are not yet), and, for states on one lattice,
            ``changes.csv`` (voxels that went from one phase to another).

    Returns:
        The files.
    """
    profiles, sizes = folder / "profiles.svg", folder / "sizes.svg"
    _draw_profiles(volumes, profiles)
    _draw_sizes(volumes, sizes)
    written = [profiles, sizes]
    pairs = list(zip(list(volumes)[:-1], list(volumes)[1:], strict=True))
    registered = [(a, b) for a, b in pairs if _on_one_lattice(volumes[a], volumes[b])]
    if registered:
        changes = folder / "changes.csv"
        with replacing(changes) as part, part.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["from state", "to state", "from phase", "to phase", "share of the volume"])
            for a, b in registered:
                for (old, new), share in voxel_changes(volumes[a], volumes[b]).items():
                    writer.writerow([a, b, old, new, share])
        written.append(changes)
    return written


def voxel_changes(before: LabelVolume, after: LabelVolume) -> dict[tuple[str, str], float]:
    """What became of each voxel, for two states that are registered on one lattice.

    Args:
        before: The earlier state.
        after: The later state, of the same shape.

    Returns:
        Share of the volume by (phase before, phase after), without pairs that do not occur.
    """
    shares = {}
    for old in before.phases:
        here = before.labels == old.label
        for new in after.phases:
            count = int(np.count_nonzero(here & (after.labels == new.label)))
            if count:
                shares[old.name, new.name] = count / before.labels.size
    return shares


def _on_one_lattice(a: LabelVolume, b: LabelVolume) -> bool:
    return a.shape == b.shape and bool(np.allclose(a.spacing, b.spacing) and np.allclose(a.origin, b.origin))


def _draw_profiles(volumes: Mapping[str, LabelVolume], path: Path) -> None:
    from pxm2mesh.quantify import fraction_profile

    names = list(dict.fromkeys(p.name for v in volumes.values() for p in v.phases))
    with _figure(path, len(names)) as axes:
        for ax, name in zip(axes, names, strict=True):
            for style, (state, volume) in zip(_styles(), volumes.items(), strict=False):
                position, shares = fraction_profile(volume, "z")
                if name in shares:
                    ax.plot(position, shares[name], label=state, **style)
            ax.set_ylim(bottom=0)
            ax.set_ylabel(f"share of {name}")
            ax.set_xlabel("z [µm]")


def _draw_sizes(volumes: Mapping[str, LabelVolume], path: Path) -> None:
    panels: list[tuple[str, Callable[[LabelVolume], Curve | None]]] = []
    roles = {p.name: p.role for v in volumes.values() for p in v.phases}
    for name, role in roles.items():
        if role == "active":
            panels.append((f"{name} particles, diameter [µm]", lambda v, n=name: _particle_curve(v, n)))  # type: ignore[misc]
    panels.append(("pores, local thickness [µm]", _pore_curve))
    with _figure(path, len(panels)) as axes:
        for ax, (title, measure) in zip(axes, panels, strict=True):
            for style, (state, volume) in zip(_styles(), volumes.items(), strict=False):
                curve = measure(volume)
                if curve is not None:
                    ax.plot(*curve, label=state, drawstyle="steps-post", **style)
            ax.set_ylim(0, 1)
            ax.set_xlim(left=0)
            ax.set_ylabel("share of the volume below")
            ax.set_xlabel(title)


def _particle_curve(volume: LabelVolume, name: str) -> Curve | None:
    """Cumulative volume over diameter, whole particles weighted for those the box cuts."""
    from pxm2mesh.quantify import measure_particles
    from pxm2mesh.segment import separate_particles

    if name not in volume.phases or not volume.voxel_counts()[name]:
        return None
    if volume.particles is None:
        volume = separate_particles(volume, name)
    table = measure_particles(volume, name)
    weight = table.volume * (table.weight if np.any(table.weight > 0) else 1.0)
    order = np.argsort(table.diameter)
    return _cumulative(table.diameter[order], weight[order])


def _pore_curve(volume: LabelVolume) -> Curve | None:
    from pxm2mesh.quantify import local_thickness

    counts = volume.voxel_counts()
    voids = [p.name for p in volume.phases if p.role == "void" and counts[p.name]]
    if not voids or sum(counts[v] for v in voids) == volume.labels.size:
        return None
    thickness = local_thickness(volume, *voids)
    sizes, voxels = np.unique(thickness[thickness > 0], return_counts=True)
    return _cumulative(sizes.astype(np.float64), voxels.astype(np.float64))


def _cumulative(sizes: Float, weight: Float) -> Curve:
    """Share below each size, from 0 on."""
    return np.concatenate([sizes[:1], sizes]), np.concatenate([[0.0], np.cumsum(weight) / weight.sum()])


def _styles() -> list[dict[str, Any]]:
    """Colour and dashes of each state; lines that coincide are still seen."""
    dashes = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)))
    return [
        {"color": COLOURS[i % len(COLOURS)], "linestyle": dashes[i % len(dashes)], "linewidth": 1.6}
        for i in range(24)
    ]


@contextmanager
def _figure(path: Path, panels: int) -> Iterator[list[Axes]]:
    """Panels side by side, at most three a row, with one legend; written when the block ends."""
    from matplotlib.figure import Figure

    columns = min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(3.4 * columns + 0.6, 2.7 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    yield list(grid[:panels])
    for ax in grid[:panels]:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in grid[panels:]:
        ax.set_axis_off()
    handles = {
        label: line for ax in grid for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside upper center",
            ncols=len(handles),
            frameon=False,
        )
    save_svg(figure, path)
