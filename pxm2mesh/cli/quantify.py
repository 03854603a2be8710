"""``pxm2mesh quantify``."""

from __future__ import annotations

from typing import Annotated

import typer

from pxm2mesh.cli.options import Crop, Labels, OptionalOutput, Phases, Spacing, read_labels

EXAMPLE = 'pxm2mesh quantify labels.tif --spacing "0.4 um" --phases "void=0,NMC=1,LPSCl=2" -o quantities.json'


def quantify(
    context: typer.Context,
    labels: Labels,
    phases: Phases,
    spacing: Spacing = None,
    crop: Crop = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this quantity; may be repeated.")] = None,
    output: OptionalOutput = None,
) -> None:
    """Measure fractions, interfaces, sizes and transport on the voxels."""
    from pxm2mesh.quantify import quantify as measure

    with context.obj.progress() as progress:
        found = measure(read_labels(labels, spacing, phases, crop), only=only, progress=progress)
    if output is not None:
        found.write(output)
    context.obj.emit_quantities(found)
