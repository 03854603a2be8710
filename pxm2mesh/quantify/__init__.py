"""Numbers from labels: fractions, interfaces, sizes, transport, cracks."""

from __future__ import annotations

from pxm2mesh.quantify.areas import interface_areas as interface_areas
from pxm2mesh.quantify.connectivity import Components as Components
from pxm2mesh.quantify.connectivity import find_components as find_components
from pxm2mesh.quantify.measure import quantify as quantify
from pxm2mesh.quantify.measure import quantity_names as quantity_names

__all__ = ["Components", "find_components", "interface_areas", "quantify", "quantity_names"]
