"""Which layers are laid in the voxels and which are cut into the mesh, and the cell size that this takes."""

from __future__ import annotations

import logging
from dataclasses import replace

from pxm2mesh.meshing.options import MeshOptions
from pxm2mesh.units import parse_quantity
from pxm2mesh.volume import LabelVolume

log = logging.getLogger(__name__)

_THICK = 2.0  # cells: layers from here on are laid in the voxels


def with_layers(volume: LabelVolume, options: MeshOptions) -> tuple[LabelVolume, MeshOptions]:
    """Lay thick layers in the voxels; thin ones are cut into the mesh later, whose cells must not be much larger.

    Args:
        volume: The sample.
        options: With ``zones``.

    Returns:
        The sample with the thick layers, and the options without them: doing it again changes nothing.
    """
    layers = [zone for zone in options.zones if zone.kind == "layer"]
    if not layers:
        return volume, options
    from pxm2mesh.meshing.transition import add_layers

    size, finest = options.cell_size, float(volume.spacing.min())
    wanted = parse_quantity(size, "length") if isinstance(size, str) else float(size) * finest
    thin = [] if options.method == "marching-cubes" else [z for z in layers if z.length < _THICK * wanted]
    volume = add_layers(volume, [zone for zone in layers if zone not in thin])
    thinnest = min(zone.length for zone in layers)
    length = min(wanted, max((2.0 if thin else 0.5) * thinnest, finest))
    if length < wanted:
        log.info("cell size %.4g µm instead of %.4g for the layer", length, wanted)
    others = tuple(zone for zone in options.zones if zone.kind != "layer" or zone in thin)
    return volume, replace(options, cell_size=f"{length:.9g} um", target_cells=None, zones=others)
