"""``pxm2mesh mesh``."""

from __future__ import annotations

from typing import Annotated

import typer

from pxm2mesh.cli.options import CellSize, Crop, Labels, Method, Only, Output, Phases, Spacing, read_labels

EXAMPLE = (
    'pxm2mesh mesh labels.tif --spacing "0.4 um" --phases "void=0,NMC=1,LPSCl=2" -o mesh.vtu --cell-size 2'
)


def mesh(
    context: typer.Context,
    labels: Labels,
    phases: Phases,
    output: Output,
    spacing: Spacing = None,
    crop: Crop = None,
    cell_size: CellSize = "2",
    zone: Annotated[
        list[str] | None,
        typer.Option(help='Transition zone "NMC|void:1.2 um", or "NMC|LPSCl:0.2 um:layer"; may be repeated.'),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help='Double the nodes on "NMC|LPSCl"; may be repeated.')
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Phase to leave empty; may be repeated.")] = None,
    method: Method = "nets",
    only: Only = None,
) -> None:
    """Fill the sample with tetrahedra that know phases, regions and interfaces."""
    from pxm2mesh.meshing import MeshOptions, mesh_volume

    options = MeshOptions.from_text(
        cell_size=cell_size,
        zone=zone or (),
        split=split or (),
        exclude=exclude or (),
        method=method,
        only=only or (),
    )
    with context.obj.progress() as progress:
        made = mesh_volume(read_labels(labels, spacing, phases, crop), options, progress=progress)
    made.write(output)
    context.obj.emit({"written": str(output), **made.record}, f"{made!r}\nwritten: {output}")
