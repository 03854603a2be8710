"""Numbers from labels: fractions, interfaces, sizes, transport, cracks."""

from __future__ import annotations

from pxm2mesh.quantify.areas import interface_areas as interface_areas
from pxm2mesh.quantify.connectivity import Components as Components
from pxm2mesh.quantify.connectivity import find_components as find_components
from pxm2mesh.quantify.measure import quantify as quantify
from pxm2mesh.quantify.measure import quantity_names as quantity_names
from pxm2mesh.quantify.transport import TransportResult as TransportResult
from pxm2mesh.quantify.transport import tortuosity as tortuosity

__all__ = [
    "Components",
    "TransportResult",
    "find_components",
    "interface_areas",
    "quantify",
    "quantity_names",
    "tortuosity",
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
    for conductors in ("void", {"void": 1.0, "NMC": 0.1}):
        tortuosity(volume, conductors, "x", periodic=True, potential=True)
