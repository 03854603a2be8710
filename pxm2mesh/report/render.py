"""Three-dimensional pictures of a run, off-screen: ``python -m pxm2mesh.report.render RUN FOLDER``.

A process of its own, because VTK shares none with DOLFINx and a broken graphics driver may end it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.report.contents import RunContents
from pxm2mesh.report.looks import look_of, read_series
from pxm2mesh.report.scene import pack_scene, skins

SIZE = (1120, 940)
_BACKGROUND = "white"
MATT = {"ambient": 0.22, "diffuse": 0.86, "specular": 0.08, "specular_power": 12}
_EDGES_SHOWN = 40000
_FEW = 12
"""A field with so few values is one of phases, not worth a picture where there is another."""


def render(run_folder: Path, into: Path) -> None:
    """Draw what the run has: the sample, its mesh, its first field.

    Args:
        run_folder: A run folder.
        into: Where ``sample.png``, ``mesh.png``, ``field.png``, their descriptions (``.json``) and the scene that
            turns (``scene.bin``) go.
    """
    from pxm2mesh.io.meshes import load_arrays

    run = RunContents(run_folder)
    mesh = load_arrays(run_folder / "mesh.npz")
    labels = mesh.cell_phase()
    meshed = [p for p in mesh.phases if np.any(labels == p.label)]
    shown = [p for p in meshed if p.role != "void"] or meshed  # pores look like pores when they are left out
    colours, names = {p.label: p.colour for p in shown}, [p.name for p in shown]
    grid = _grid(mesh.points, mesh.cells, labels)
    _describe(into / "sample", f"{' and '.join(names)} as meshed, with one corner cut away.")
    draw_sample(grid, colours, into / "sample.png")
    _describe(into / "mesh", f"The tetrahedra of one corner; the whole mesh has {len(mesh.cells):,}.")
    draw_mesh(grid, colours, into / "mesh.png")
    named = {p.label: (p.name, p.colour) for p in shown}
    (into / "scene.bin").write_bytes(pack_scene(skins(grid, named)))
    if (run_folder / "results.pvd").exists() and "solve" in run.stages:
        _draw_results(run_folder / "results.pvd", grid, into)


def _grid(points: npt.NDArray[Any], cells: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Any:
    import pyvista

    grid = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: cells}, points)
    grid.cell_data["phase"] = labels
    return grid


def scene(bounds: tuple[float, ...], size: tuple[int, int] = SIZE) -> Any:
    """A scene with soft light, seen from above one corner; ``size`` in pixels."""
    import pyvista

    plotter: Any = pyvista.Plotter(off_screen=True, window_size=list(size), lighting="none")
    plotter.set_background(_BACKGROUND)
    plotter.enable_anti_aliasing("ssaa")
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    centre, edge = (low + high) / 2, float((high - low).max())
    for direction, strength in (((0.6, 1.2, 2.6), 0.72), ((2.6, 0.3, 0.7), 0.6), ((0.2, 2.6, 0.5), 0.28)):
        light = pyvista.Light(
            position=(centre + 8 * edge * np.array(direction)).tolist(),
            focal_point=centre.tolist(),
            intensity=strength,
        )
        light.positional = False
        plotter.add_light(light)
    plotter.camera.position = (centre + edge * np.array((2.1, 2.6, 1.75))).tolist()
    plotter.camera.focal_point = centre.tolist()
    plotter.camera.up = (0.0, 0.0, 1.0)
    plotter.camera.view_angle = 26.0
    return plotter


def _shoot(plotter: Any, file: Path) -> None:
    plotter.camera.reset_clipping_range()
    plotter.screenshot(str(file))
    plotter.close()
    _shrink(file)


def _shrink(file: Path) -> None:
    """A palette of 256 colours: a third of the size, and no difference to be seen."""
    from PIL import Image

    picture = Image.open(file).convert("RGB")
    picture = picture.crop(_without_margin(np.asarray(picture)))
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(
        file, optimize=True
    )
    words = file.with_suffix(".json")
    details = json.loads(words.read_text(encoding="utf-8")) if words.exists() else {}
    words.write_text(
        json.dumps(details | {"width": picture.width, "height": picture.height}), encoding="utf-8"
    )


def _without_margin(pixels: npt.NDArray[np.uint8], margin: int = 16) -> tuple[int, int, int, int]:
    drawn = np.any(pixels < 250, axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if len(rows) == 0:
        return 0, 0, pixels.shape[1], pixels.shape[0]
    left, upper = max(int(columns[0]) - margin, 0), max(int(rows[0]) - margin, 0)
    right, lower = (
        min(int(columns[-1]) + margin, pixels.shape[1]),
        min(int(rows[-1]) + margin, pixels.shape[0]),
    )
    return left, upper, right, lower


def _describe(stem: Path, caption: str, **details: Any) -> None:
    stem.with_suffix(".json").write_text(json.dumps({"caption": caption, **details}), encoding="utf-8")


def cut_box(bounds: tuple[float, ...]) -> tuple[float, ...]:
    """The corner that faces the eye, up to the middle."""
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    middle = low + 0.5 * (high - low)
    return tuple(np.ravel(np.column_stack([middle, high + 1.0])))


def draw_sample(grid: Any, colours: dict[int, str], file: Path) -> None:
    """The phases of ``colours`` with one corner cut away."""
    plotter = scene(grid.bounds)
    for label, colour in colours.items():
        piece = grid.threshold([label - 0.5, label + 0.5], scalars="phase")
        opened = piece.clip_box(cut_box(grid.bounds), invert=True) if piece.n_cells else piece
        if opened.n_cells:
            plotter.add_mesh(skin(opened), color=colour, **MATT)
    _shoot(plotter, file)


def skin(grid: Any) -> Any:
    """The surface of a grid."""
    return grid.extract_surface(algorithm="dataset_surface")


def draw_mesh(grid: Any, colours: dict[int, str], file: Path) -> None:
    """The corner towards the eye with the edges of its tetrahedra, a stair cut out of it."""
    low, high = np.array(grid.bounds[::2]), np.array(grid.bounds[1::2])
    cells = grid.cells_dict[10]
    centres = np.asarray(grid.points)[cells].mean(axis=1)
    size = (high - low) * min(1.0, (_EDGES_SHOWN / max(len(cells), 1)) ** (1 / 3))
    inside = np.all(centres >= high - size, axis=1)
    cut = np.all(centres > high - 0.55 * size, axis=1)
    block = grid.extract_cells(np.flatnonzero(inside & ~cut))
    plotter = scene(block.bounds)
    for label, colour in colours.items():
        piece = block.threshold([label - 0.5, label + 0.5], scalars="phase")
        if piece.n_cells:
            plotter.add_mesh(
                skin(piece),
                color=colour,
                show_edges=True,
                edge_color="#1b2330",
                line_width=0.8,
                edge_opacity=0.6,
                **MATT,
            )
    _shoot(plotter, file)


def _draw_results(results: Path, grid: Any, into: Path) -> None:
    import pyvista

    reader: Any = pyvista.PVDReader(str(results))
    reader.set_active_time_value(reader.time_values[-1])
    blocks = reader.read()
    shown = blocks.combine() if isinstance(blocks, pyvista.MultiBlock) else blocks
    if "vtkGhostType" in shown.cell_data:
        shown = shown.extract_cells(np.flatnonzero(np.asarray(shown.cell_data["vtkGhostType"]) == 0))
    names = read_series(results).scalars
    varying = (name for name in names if len(np.unique(_field(shown, name))) > _FEW)
    if names:
        draw_field(shown, next(varying, names[0]), grid, into / "field.png")


def _field(grid: Any, name: str) -> npt.NDArray[Any]:
    return np.asarray((grid.point_data if name in grid.point_data else grid.cell_data)[name])


def draw_field(shown: Any, name: str, grid: Any, file: Path) -> None:
    """A scalar field on the phase it was solved on, one corner cut away; the rest left out."""
    from matplotlib import colormaps

    values = _field(shown, name)
    look = look_of(name)
    low, high = look.ends or (float(np.nanmin(values)), float(np.nanmax(values)))
    if look.centred and look.ends is None:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    ramp = [_hex(colormaps[look.colours](t)) for t in np.linspace(0, 1, 12)]
    quantity, _, unit = name.partition(" [")
    unit = "" if unit == "1]" else unit.rstrip("]")
    caption = f"{quantity[:1].upper()}{quantity[1:]} where it was computed, one corner cut away."
    _describe(
        file.with_suffix(""),
        caption,
        ramp=ramp,
        low=f"{low:.3g} {unit}".strip(),
        high=f"{high:.3g} {unit}".strip(),
    )
    plotter = scene(grid.bounds)
    opened = shown.clip_box(cut_box(grid.bounds), invert=True)
    plotter.add_mesh(
        skin(opened),
        scalars=name,
        cmap=look.colours,
        clim=(low, high),
        show_scalar_bar=False,
        interpolate_before_map=True,
        **MATT,
    )
    _shoot(plotter, file)


def _hex(colour: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour[:3])


if __name__ == "__main__":
    render(Path(sys.argv[1]), Path(sys.argv[2]))
