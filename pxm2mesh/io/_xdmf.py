"""XDMF files with their HDF5 companions, as DOLFINx and ParaView read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

_KIND = {4: "Tetrahedron", 3: "Triangle"}


def write_xdmf(
    path: Path,
    heavy: Path,
    heavy_name: str,
    grid: str,
    points: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int32],
    *,
    cell_data: Mapping[str, npt.NDArray[Any]],
    point_data: Mapping[str, npt.NDArray[Any]],
    names: Mapping[str, tuple[int, int]],
) -> None:
    """Write one grid.

    Args:
        path: The XML file.
        heavy: Where the HDF5 file is written.
        heavy_name: What the XML calls it.
        grid: Name of the grid.
        points: (n, 3).
        cells: (k, 4) or (k, 3).
        cell_data: Name → (k,).
        point_data: Name → (n,).
        names: Name of a phase or facet group → (dimension, number in ``phase`` or ``pair``).
    """
    import h5py

    with h5py.File(heavy, "w") as file:
        file["points"] = points
        file["cells"] = cells
        for centre, data in (("Cell", cell_data), ("Node", point_data)):
            for name, values in data.items():
                file[f"{centre}/{name}".replace("[", "(").replace("]", ")")] = values
        file.attrs["names"] = json.dumps({k: list(v) for k, v in names.items()}, ensure_ascii=False)
    lines = [
        '<?xml version="1.0"?>', '<Xdmf Version="3.0">', "<Domain>",
        f'<Grid Name={quoteattr(grid)} GridType="Uniform">',
        f'<Topology TopologyType="{_KIND[cells.shape[1]]}" NumberOfElements="{len(cells)}">',
        _item(cells, f"{heavy_name}:/cells"), "</Topology>",
        '<Geometry GeometryType="XYZ">', _item(points, f"{heavy_name}:/points"), "</Geometry>",
    ]  # fmt: skip
    for centre, data in (("Cell", cell_data), ("Node", point_data)):
        for name, values in data.items():
            inside = f"{centre}/{name}".replace("[", "(").replace("]", ")")
            lines += [f'<Attribute Name={quoteattr(name)} AttributeType="Scalar" Center="{centre}">',
                      _item(values, f"{heavy_name}:/{inside}"), "</Attribute>"]  # fmt: skip
    # the form in which meshio keeps names
    maps = "".join(
        f'<map key={quoteattr(k)} dim="{dim}">{number}</map>' for k, (dim, number) in names.items()
    )
    lines.append(
        f'<Information Name="Information" Value="{len(names)}"><![CDATA[<main>{maps}</main>]]></Information>'
    )
    lines += ["</Grid>", "</Domain>", "</Xdmf>", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _item(array: npt.NDArray[Any], place: str) -> str:
    shape = " ".join(map(str, array.shape))
    number = "Float" if array.dtype.kind == "f" else "Int"
    return (f'<DataItem Dimensions="{shape}" NumberType="{number}" Precision="{array.dtype.itemsize}" Format="HDF">'
            f"{place}</DataItem>")  # fmt: skip
