"""Draws a series of results off-screen: ``python -m pxm2mesh.report.film SPEC.json``, a process of its own.

Every finished frame is a line ``{"frame": 3, "of": 12}`` on stdout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.report.looks import DISPLACEMENT, Look, look_of
from pxm2mesh.report.render import MATT, cut_box, scene, skin

_OUTLIERS = 0.5
"""Per cent at each end of the values of a field in cells that do not count for its range."""
_OF_SAMPLE = 0.05
"""The largest displacement is drawn as this share of the sample where no factor is given."""


def shoot(spec: dict[str, Any]) -> None:
    """Draw the frames.

    Args:
        spec: ``file``, ``frames`` (which steps), ``field``, ``phases`` (labels that are shown), ``warp`` (factor, or
            None for one that fits), ``time`` (text before the time), ``size`` (pixels), ``into`` (folder for
            ``0000.png``, …).
    """
    import pyvista

    reader: Any = pyvista.PVDReader(spec["file"])
    times = reader.time_values
    look = look_of(spec["field"])
    values, largest, size = [], 0.0, 1.0
    for index in spec["frames"]:  # read twice: all at once may be more than the memory
        grid = _read(reader, times[index], spec["phases"])
        values.append(_values(grid, spec["field"]))
        largest = max(largest, _largest_displacement(grid))
        size = float(max(np.ptp(np.reshape(grid.bounds, (3, 2)), axis=1)))
    ends = look.ends or _ends(values, look)
    fitting = float(f"{_OF_SAMPLE * size / largest:.1g}") if largest else 0.0
    factor = fitting if spec["warp"] is None else spec["warp"]
    for number, index in enumerate(spec["frames"]):
        grid = _read(reader, times[index], spec["phases"])
        told = f"{spec['time']} {times[index]:.4g}".strip()
        if factor and factor != 1 and DISPLACEMENT in grid.point_data:
            told += f", displacement × {factor:.3g}"
        plotter = _frame(grid, spec, look, ends, factor, told)
        plotter.screenshot(str(Path(spec["into"]) / f"{number:04d}.png"))
        plotter.close()  # else each keeps some 100 MB
        print(json.dumps({"frame": number + 1, "of": len(spec["frames"])}), flush=True)


def _read(reader: Any, time: float, labels: list[int]) -> Any:
    reader.set_active_time_value(time)
    grid = reader.read().combine()
    chosen = np.flatnonzero(np.isin(grid.cell_data["phase"], labels))
    if not len(chosen):
        raise ValueError("the phases to be shown have no cells")
    return grid.extract_cells(chosen)


def _values(grid: Any, field: str) -> npt.NDArray[np.float64]:
    table = grid.point_data if field in grid.point_data else grid.cell_data
    values = np.asarray(table[field], dtype=np.float64)
    return values[np.isfinite(values)]


def _ends(values: list[npt.NDArray[np.float64]], look: Look) -> tuple[float, float]:
    """A range for all frames."""
    whole = np.concatenate(values)
    low, high = np.percentile(whole, [_OUTLIERS, 100 - _OUTLIERS]) if len(whole) else (0.0, 1.0)
    if look.centred:
        high = max(abs(low), abs(high))
        low = -high
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _largest_displacement(grid: Any) -> float:
    return float(np.nanmax(np.abs(grid.point_data[DISPLACEMENT]))) if DISPLACEMENT in grid.point_data else 0.0


def _frame(
    grid: Any, spec: dict[str, Any], look: Look, ends: tuple[float, float], factor: float, told: str
) -> Any:
    plotter = scene(grid.bounds, size=spec["size"])
    field = spec["field"]
    shown = skin(grid.clip_box(cut_box(grid.bounds), invert=True) if spec["cut"] else grid)
    if factor and DISPLACEMENT in shown.point_data:
        shown.points = shown.points + factor * np.nan_to_num(shown.point_data[DISPLACEMENT])
    quantity, _, unit = field.rstrip("]").partition(" [")
    title = quantity if unit in ("", "1") else f"{quantity} [{unit}]"
    plotter.add_mesh(
        shown, scalars=field, cmap=look.colours, clim=ends, nan_color="lightgrey", interpolate_before_map=True,
        scalar_bar_args={
            "title": "", "color": "black", "vertical": False, "n_labels": 5, "fmt": "%.3g", "label_font_size": 24,
            "position_x": 0.2, "width": 0.6, "position_y": 0.02, "height": 0.06,
        },
        **MATT,
    )  # fmt: skip
    plotter.add_text(f"{title}\n{told}", position="upper_left", font_size=13, color="black")
    plotter.camera.zoom(0.85)
    plotter.camera.reset_clipping_range()
    return plotter


if __name__ == "__main__":
    shoot(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
