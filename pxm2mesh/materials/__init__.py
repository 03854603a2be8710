"""Materials: sourced parameters with units, and the checks that keep them consistent."""

from pxm2mesh.materials.consistency import (
    FARADAY,
    GAS_CONSTANT,
    reference_x,
    refuse_unsourced,
    swelling_window,
)
from pxm2mesh.materials.library import (
    library,
    material_entry,
    material_from,
    read_material,
    read_materials,
)
from pxm2mesh.materials.material import (
    Elastic,
    Fracture,
    Kinetics,
    Material,
    Plastic,
    Swelling,
    Transport,
)
from pxm2mesh.materials.parameter import Parameter

__all__ = [
    "FARADAY",
    "GAS_CONSTANT",
    "Elastic",
    "Fracture",
    "Kinetics",
    "Material",
    "Parameter",
    "Plastic",
    "Swelling",
    "Transport",
    "library",
    "material_entry",
    "material_from",
    "read_material",
    "read_materials",
    "reference_x",
    "refuse_unsourced",
    "swelling_window",
]
