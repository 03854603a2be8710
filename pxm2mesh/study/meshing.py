"""What ``[mesh]`` and ``[[zone]]`` mean to the mesher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pxm2mesh.study.model import Study

if TYPE_CHECKING:
    from pxm2mesh.meshing import MeshOptions
    from pxm2mesh.meshing.transition import TransitionZone


def mesh_options(study: Study) -> MeshOptions:
    """The mesher's options that a study asks for."""
    from pxm2mesh.meshing import MeshOptions, Sizing

    section = study.mesh
    return MeshOptions(
        cell_size=section.cell_size,
        target_cells=section.target_cells,
        sizing=Sizing(**section.sizing.model_dump()),
        exclude=section.exclude,
        zones=_zones(study),
        split=section.split,
        method=section.method,
        only=section.only,
        certificate=section.certificate,
        seed=section.seed,
        diagnostics=str(study.folder / "diagnostics"),
    )


def _zones(study: Study) -> tuple[TransitionZone, ...]:
    if not study.zone:
        return ()
    from pxm2mesh.meshing.transition import TransitionZone

    return tuple(TransitionZone(**zone.model_dump()) for zone in study.zone)
