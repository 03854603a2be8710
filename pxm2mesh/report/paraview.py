"""A state for ParaView: a script that opens a series with sensible colours, warped by its displacement."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from pprint import pformat
from typing import Any

from pxm2mesh.files import replacing
from pxm2mesh.report.looks import DISPLACEMENT, Series, look_of, read_series


def write_paraview_states(folder: Path) -> list[Path]:
    """Write ``state.py`` (``state-2.py``, …) beside each series of a run.

    Args:
        folder: A run folder.

    Returns:
        The scripts, for *File › Load State* or ``paraview --script``.

    Raises:
        DataError: A series cannot be read.
    """
    written = []
    for results in sorted(folder.glob("results*.pvd")):
        script = results.with_name(results.name.replace("results", "state")).with_suffix(".py")
        template = resources.files(__package__).joinpath("paraview_state.py.txt").read_text(encoding="utf-8")
        told = pformat(_described(read_series(results)), width=100, sort_dicts=False)
        with replacing(script) as part:
            part.write_text(template.replace("SERIES = {}", f"SERIES = {told}"), encoding="utf-8")
        written.append(script)
    return written


def _described(series: Series) -> dict[str, Any]:
    """What the script has to know."""
    looks = {name: look_of(name) for name in series.scalars}
    return {
        "file": series.file.name,
        "folder": str(series.file.parent.resolve()),
        "warp": DISPLACEMENT if DISPLACEMENT in series.points else None,
        "times": [series.times[0], series.times[-1]],
        "phases": series.phases,
        "fields": [
            {"name": name, "at": "POINTS" if name in series.points else "CELLS", "preset": look.preset,
             "centred": look.centred, "ends": look.ends}
            for name, look in looks.items()
        ],
    }  # fmt: skip
