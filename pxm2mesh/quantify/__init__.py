"""Numbers from labels: fractions, interfaces, sizes, transport, cracks."""

from __future__ import annotations

import sys
import types
from typing import Any

from pxm2mesh.quantify.areas import AreaMethod as AreaMethod
from pxm2mesh.quantify.areas import interface_areas as interface_areas
from pxm2mesh.quantify.blocks import quantify_blocks as quantify_blocks
from pxm2mesh.quantify.compare import Comparison as Comparison
from pxm2mesh.quantify.compare import add_intervals as add_intervals
from pxm2mesh.quantify.compare import all_boundary_variants as all_boundary_variants
from pxm2mesh.quantify.compare import boundary_variants as boundary_variants
from pxm2mesh.quantify.compare import compare as compare
from pxm2mesh.quantify.compare import quantify_with_intervals as quantify_with_intervals
from pxm2mesh.quantify.connectivity import Components as Components
from pxm2mesh.quantify.connectivity import euler_number as euler_number
from pxm2mesh.quantify.connectivity import find_components as find_components
from pxm2mesh.quantify.cracks import CrackNetwork as CrackNetwork
from pxm2mesh.quantify.cracks import crack_network as crack_network
from pxm2mesh.quantify.electrode import Delamination as Delamination
from pxm2mesh.quantify.electrode import LayerThickness as LayerThickness
from pxm2mesh.quantify.electrode import Overhang as Overhang
from pxm2mesh.quantify.electrode import delamination as delamination
from pxm2mesh.quantify.electrode import layer_thickness as layer_thickness
from pxm2mesh.quantify.electrode import overhang as overhang
from pxm2mesh.quantify.measure import quantify as quantify
from pxm2mesh.quantify.measure import quantity_names as quantity_names
from pxm2mesh.quantify.particles import ConnectedSurface as ConnectedSurface
from pxm2mesh.quantify.particles import ParticleTable as ParticleTable
from pxm2mesh.quantify.particles import connected_surface as connected_surface
from pxm2mesh.quantify.particles import measure_particles as measure_particles
from pxm2mesh.quantify.paths import Constrictivity as Constrictivity
from pxm2mesh.quantify.paths import constrictivity as constrictivity
from pxm2mesh.quantify.paths import geodesic_tortuosity as geodesic_tortuosity
from pxm2mesh.quantify.paths import triple_line_lengths as triple_line_lengths
from pxm2mesh.quantify.pores import Representativeness as Representativeness
from pxm2mesh.quantify.pores import chord_lengths as chord_lengths
from pxm2mesh.quantify.pores import correlation_length as correlation_length
from pxm2mesh.quantify.pores import fraction_profile as fraction_profile
from pxm2mesh.quantify.pores import local_thickness as local_thickness
from pxm2mesh.quantify.pores import mean_chord as mean_chord
from pxm2mesh.quantify.pores import representative_volume as representative_volume
from pxm2mesh.quantify.pores import two_point_correlation as two_point_correlation
from pxm2mesh.quantify.transport import TransportResult as TransportResult
from pxm2mesh.quantify.transport import tortuosity as tortuosity

__all__ = [
    "AreaMethod",
    "Comparison",
    "Components",
    "ConnectedSurface",
    "Constrictivity",
    "CrackNetwork",
    "Delamination",
    "LayerThickness",
    "Overhang",
    "ParticleTable",
    "Representativeness",
    "TransportResult",
    "add_intervals",
    "all_boundary_variants",
    "boundary_variants",
    "chord_lengths",
    "compare",
    "connected_surface",
    "constrictivity",
    "correlation_length",
    "crack_network",
    "delamination",
    "euler_number",
    "find_components",
    "fraction_profile",
    "geodesic_tortuosity",
    "interface_areas",
    "layer_thickness",
    "local_thickness",
    "mean_chord",
    "measure_particles",
    "overhang",
    "quantify",
    "quantify_blocks",
    "quantify_with_intervals",
    "quantity_names",
    "representative_volume",
    "tortuosity",
    "triple_line_lengths",
    "two_point_correlation",
    "warm",
]


def warm() -> None:
    """Compile every loop of this package once, on a few voxels; later processes find them in the cache.

    Example:
        >>> warm()
    """
    import numpy as np

    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.volume import LabelVolume

    labels = np.zeros((12, 12, 12), np.uint8)
    labels[3:, 2:8, 4:] = 1
    labels[:5, 7:, 3:] = 2
    volume = LabelVolume(labels, PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2}), np.ones(3))
    quantify(volume, only=quantity_names())
    cells = LabelVolume(labels, PhaseTable({"void": 0, "anode": 1, "NMC": 2}), np.ones(3))
    quantify(cells, only=["particles", "layers"])
    for contrast in (0.1, 1e-4):  # by blocks, and as a graph
        tortuosity(volume, {"void": 1.0, "NMC": contrast}, "x", periodic=True, potential=True)
    tortuosity(volume, "void", "x", periodic=True, potential=True)


class _CallableModule(types.ModuleType):
    """``pxm2mesh.quantify(volume)`` measures although importing this package puts it in the function's place."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return quantify(*arguments, **keywords)


sys.modules[__name__].__class__ = _CallableModule
