"""Whom to cite for a run: the programs that made it, and the sources of its material values."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

from pxm2mesh import __version__
from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.report.contents import RunContents

logger = logging.getLogger(__name__)

_OURS = (
    f"pxm2mesh developers, pxm2mesh {__version__}: X-ray tomography of battery electrodes, measured, meshed with "
    "certified tetrahedra, and simulated."
)
_OF_STAGES = {
    "surface": (
        "S. F. F. Gibson, Constrained elastic surface nets: generating smooth surfaces from binary segmented data, "
        "MICCAI 1998, 888–898. doi:10.1007/BFb0056277",
    ),
    "mesh": (
        "C. Geuzaine, J.-F. Remacle, Gmsh: a 3-D finite element mesh generator with built-in pre- and post-processing "
        "facilities, Int. J. Numer. Methods Eng. 79 (2009) 1309–1331. doi:10.1002/nme.2579",
        "C. Marot, J. Pellerin, J.-F. Remacle, One machine, one minute, three billion tetrahedra, Int. J. Numer. "
        "Methods Eng. 117 (2019) 967–990. doi:10.1002/nme.5987",
    ),
    "solve": (
        "I. A. Baratta et al., DOLFINx: the next generation FEniCS problem solving environment (2023). "
        "doi:10.5281/zenodo.10447666",
        "M. S. Alnæs et al., Unified Form Language, ACM Trans. Math. Softw. 40 (2014) 9. doi:10.1145/2566630",
        "S. Balay et al., PETSc/TAO users manual, Argonne National Laboratory, ANL-21/39.",
    ),
}


def citations(run: RunContents, study: dict[str, Any]) -> list[str]:
    """What a publication with these results should cite.

    Args:
        run: The run.
        study: Its resolved study.

    Returns:
        One line each: this program, the programs of the stages that were done, the sources of the materials.
    """
    programs = [line for stage, lines in _OF_STAGES.items() if stage in run.stages for line in lines]
    return list(dict.fromkeys([_OURS, *programs, *_material_sources(study)]))


def _material_sources(study: dict[str, Any]) -> Iterator[str]:
    """Only of materials that a computation was given."""
    from pxm2mesh.materials import read_material

    if not study.get("physics"):
        return
    for phase, name in study.get("materials", {}).items():
        try:
            material = read_material(name)
        except Pxm2meshError as error:  # moved or changed since the run
            logger.info("no sources of %s: %s", name, error.message)
            continue
        sources: dict[str, list[str]] = {}
        for parameter in material:
            if parameter.sourced and re.search(r"10\.\d{4,}/", parameter.source):
                sources.setdefault(parameter.source, []).append(
                    parameter.name.rpartition(".")[2].replace("_", " ")
                )
        for source, names in sources.items():
            yield f"{phase}, {', '.join(names)}: {source}"
