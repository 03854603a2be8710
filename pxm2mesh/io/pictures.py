"""The nouns as one sees them in a notebook: a table and slices as HTML, and drawings that `plot` returns."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.phases import PhaseTable

if TYPE_CHECKING:
    from pxm2mesh.surface import InterfaceSurface
    from pxm2mesh.tetmesh import TetMesh
    from pxm2mesh.volume import GreyVolume, LabelVolume


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """``content`` as an address that needs no request."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def slice_png(labels: npt.NDArray[Any], phases: PhaseTable, *, least: int = 480) -> bytes:
    """A slice in the colours of its phases.

    Args:
        labels: (columns, rows) labels; the first axis runs to the right, the second up.
        phases: Their colours.
        least: Pixels of the longer edge at least; voxels stay sharp squares.

    Returns:
        A PNG with a palette.
    """
    from PIL import Image

    place = {p.label: i for i, p in enumerate(phases)}
    lookup = np.zeros(max(place) + 1, dtype=np.uint8)
    for label, index in place.items():
        lookup[label] = index
    picture = Image.fromarray(np.ascontiguousarray(lookup[labels].T[::-1]))
    picture.putpalette([int(p.colour[i : i + 2], 16) for p in phases for i in (1, 3, 5)])
    factor = max(1, math.ceil(least / max(picture.size)))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def middle_slices(labels: npt.NDArray[Any]) -> Mapping[str, tuple[npt.NDArray[Any], int, tuple[str, str]]]:
    """The three slices through the middle: name → (2-D labels, index, names of the axes right and up)."""
    nx, ny, nz = labels.shape
    return {
        "z": (labels[:, :, nz // 2], nz // 2, ("x", "y")),
        "y": (labels[:, ny // 2, :], ny // 2, ("x", "z")),
        "x": (labels[nx // 2, :, :], nx // 2, ("y", "z")),
    }


def html_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], below: str = "") -> str:
    """A table for a notebook; cells are escaped, except those that begin with ``<span``."""
    cells = [[c if c.startswith("<span") else html.escape(c) for c in row] for row in rows]
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in cells)
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f"<div><strong>{html.escape(caption)}</strong><table><tr>{top}</tr>{body}</table>{below}</div>"


def swatch(name: str, colour: str) -> str:
    """A phase's name with its colour before it."""
    box = f"display:inline-block;width:.8em;height:.8em;border-radius:2px;background:{colour}"
    return f'<span><span style="{box}"></span> {html.escape(name)}</span>'


def volume_html(volume: LabelVolume) -> str:
    """Phases with their shares, and the three slices through the middle."""
    counts, total = volume.voxel_counts(), volume.labels.size
    rows = [
        (swatch(p.name, p.colour), str(p.label), p.role, f"{100 * counts[p.name] / total:.2f} %")
        for p in volume.phases
    ]
    pictures = "".join(
        f'<img src="{data_uri(slice_png(plane, volume.phases, least=160))}" height="160" '
        f'style="image-rendering:pixelated;margin-right:8px" alt="Slice {index} across {axis}, {right} to the right.">'
        for axis, (plane, index, (right, _)) in middle_slices(volume.labels).items()
    )
    size = f"{' × '.join(map(str, volume.shape))} voxels of {' × '.join(f'{s:g}' for s in volume.spacing)} µm"
    return html_table(
        f"LabelVolume: {size}", ("phase", "label", "role", "share"), rows, f"<div>{pictures}</div>"
    )


def surface_html(surface: InterfaceSurface) -> str:
    """Areas of the interfaces."""
    rows = [(pair, f"{area:.4g}") for pair, area in surface.pair_areas().items()]
    size = f"{len(surface.triangles):,} triangles, {len(surface.region_phase) - 1:,} regions"
    return html_table(f"InterfaceSurface: {size}", ("interface", "area [µm²]"), rows)


def mesh_html(mesh: TetMesh) -> str:
    """Volumes of the phases, and the worst angle where the record has it."""
    rows = [(swatch(name, mesh.phases[name].colour), f"{v:.4g}") for name, v in mesh.phase_volumes().items()]
    quality = mesh.record.get("quality", {}).get("min_dihedral")
    size = f"{len(mesh.cells):,} cells, {len(mesh.points):,} points"
    size += f", worst angle {quality:.1f}°" if quality is not None else ""
    return html_table(f"TetMesh: {size}", ("phase", "volume [µm³]"), rows)


def grey_html(volume: GreyVolume) -> str:
    """Range and mean of the grey values, and the three slices through the middle."""
    low, high = grey_window(volume.values)
    pictures = "".join(
        f'<img src="{data_uri(grey_png(plane, low, high))}" height="160" style="margin-right:8px" '
        f'alt="Slice {index} across {axis}, {right} to the right.">'
        for axis, (plane, index, (right, _)) in middle_slices(volume.values).items()
    )
    rows = [(str(volume.values.dtype), *(f"{v:.5g}" for v in (volume.values.min(), volume.values.mean(),
             volume.values.max())))]  # fmt: skip
    size = f"{' × '.join(map(str, volume.shape))} voxels of {' × '.join(f'{s:g}' for s in volume.spacing)} µm"
    return html_table(
        f"GreyVolume: {size}", ("type", "darkest", "mean", "brightest"), rows, f"<div>{pictures}</div>"
    )


def grey_window(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Grey values to draw as black and as white: all but the darkest and the brightest half per cent."""
    low, high = (float(v) for v in np.nanpercentile(values, (0.5, 99.5)))
    return low, high if high > low else low + 1.0


def grey_png(plane: npt.NDArray[Any], low: float, high: float) -> bytes:
    """A slice of a scan from black (``low``) to white (``high``); the first axis runs to the right, the second up."""
    from PIL import Image

    shade = np.clip((np.nan_to_num(plane.astype(np.float64)) - low) / (high - low), 0, 1)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray((255 * shade).astype(np.uint8).T[::-1])).save(buffer, "PNG")
    return buffer.getvalue()


def plot_volume(volume: LabelVolume) -> Any:
    """The three slices through the middle, with a scale in µm, as a matplotlib figure."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    colours = [p.colour for p in volume.phases]
    place = np.zeros(max(p.label for p in volume.phases) + 1, dtype=int)
    place[[p.label for p in volume.phases]] = range(len(colours))
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    _draw_slices(axes, volume, lambda labels: place[labels], cmap=ListedColormap(colours), norm=norm)
    handles = [Patch(color=p.colour, label=p.name) for p in volume.phases]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def plot_grey(volume: GreyVolume) -> Any:
    """The three slices through the middle and the histogram of the grey values, as a matplotlib figure."""
    import matplotlib.pyplot as plt

    low, high = grey_window(volume.values)
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.8), layout="constrained")
    _draw_slices(axes, volume, np.asarray, cmap="gray", vmin=low, vmax=high)
    axes[3].hist(
        volume.values[np.isfinite(volume.values)].ravel(), bins=128, range=(low, high), color="#4c72b0"
    )
    axes[3].set(xlabel="grey value", ylabel="voxels")
    axes[3].spines[["top", "right"]].set_visible(False)
    return figure


def _draw_slices(
    axes: Sequence[Any],
    volume: GreyVolume | LabelVolume,
    shade: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    **options: Any,
) -> None:
    """The middle slices in their place in space; ``shade`` makes numbers to draw of the voxels of a slice."""
    voxels = volume.labels if hasattr(volume, "labels") else volume.values
    for ax, (axis, (plane, index, (right, up))) in zip(axes, middle_slices(voxels).items(), strict=False):
        i, j, k = ("xyz".index(name) for name in (right, up, axis))
        extent = [volume.origin[n] + s * volume.spacing[n] for n in (i, j) for s in (0, volume.shape[n])]
        ax.imshow(shade(plane).T, origin="lower", extent=extent, interpolation="none", **options)
        ax.set(xlabel=f"{right} [µm]", ylabel=f"{up} [µm]")
        ax.set_title(f"{axis} = {volume.origin[k] + (index + 0.5) * volume.spacing[k]:.4g} µm", fontsize=10)


def plot_surface(surface: InterfaceSurface, *, pairs: Sequence[str] | None = None, **options: Any) -> Any:
    """The interfaces in space, each pair in a colour of its own, as a pyvista plotter that has been shown."""
    import pyvista

    names = [name for name in surface.pair_areas() if pairs is None or name in pairs]
    plotter: Any = pyvista.Plotter(off_screen=options.pop("off_screen", None))
    palette = ("#4c72b0", "#e3b04b", "#55a868", "#c44e52", "#8c6bb1", "#7fbf9f")
    labels = {p.name: p.label for p in surface.phases}
    sides = np.asarray(surface.region_phase)[np.asarray(surface.sides)]
    inside = np.all(np.asarray(surface.sides) > 0, axis=1)
    for i, name in enumerate(names):
        wanted = {labels[part.strip()] for part in name.split("|") if part.strip() in labels}
        chosen = inside & np.isin(sides, list(wanted)).all(axis=1) & (sides[:, 0] != sides[:, 1])
        if len(wanted) == 2 and chosen.any():
            faces = np.column_stack([np.full(chosen.sum(), 3), np.asarray(surface.triangles)[chosen]])
            skin = pyvista.PolyData(np.asarray(surface.points), faces.ravel())
            plotter.add_mesh(skin, color=palette[i % len(palette)], label=name, smooth_shading=False)
    return _shown(plotter, options)


def plot_mesh(mesh: TetMesh, *, cut: bool = True, **options: Any) -> Any:
    """The cells in the colours of their phases, one corner cut away, as a pyvista plotter that has been shown."""
    import pyvista

    points, cells, labels = np.asarray(mesh.points), np.asarray(mesh.cells), np.asarray(mesh.cell_phase())
    if cut:
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        kept = ~np.all(points[cells].mean(axis=1) > middle, axis=1)
        cells, labels = cells[kept], labels[kept]
    grid: Any = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: cells}, points)
    plotter: Any = pyvista.Plotter(off_screen=options.pop("off_screen", None))
    for phase in mesh.phases:
        chosen = np.flatnonzero(labels == phase.label)
        if len(chosen):
            skin = grid.extract_cells(chosen).extract_surface(algorithm="dataset_surface")
            plotter.add_mesh(skin, color=phase.colour, show_edges=True, edge_opacity=0.4, label=phase.name)
    return _shown(plotter, options)


def _shown(plotter: Any, options: dict[str, Any]) -> Any:
    """Shown with a legend, which only a scene that holds something can have."""
    if plotter.actors:
        plotter.add_legend(bcolor=None, face="rectangle")
    plotter.show(auto_close=False, **options)
    return plotter
