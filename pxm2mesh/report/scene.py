"""The scene that turns in the report: decimated skins of the phases, small enough to travel inside the page."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_TRIANGLES = 24_000
"""Of all phases together: about 150 kB in the page."""


def pack_scene(parts: list[tuple[str, str, npt.NDArray[Any], npt.NDArray[Any]]]) -> bytes:
    """Pack skins for the page: a line of JSON, then points and triangles of each part, deflated.

    Args:
        parts: Name, colour, points (n, 3) µm and triangles (m, 3) of each phase.

    Returns:
        zlib-compressed bytes; points as uint16 on the common box, triangles as uint32.
    """
    every = np.concatenate([points for _, _, points, _ in parts])
    low, high = every.min(axis=0), every.max(axis=0)
    edge = float((high - low).max()) or 1.0
    head: dict[str, Any] = {"box": ((high - low) / edge).tolist(), "parts": []}
    blocks = []
    for name, colour, points, triangles in parts:
        scaled = np.round((points - low) / edge * 65535).astype("<u2")
        head["parts"].append(
            {"name": name, "colour": colour, "points": len(points), "triangles": len(triangles)}
        )
        blocks += [_padded(scaled.tobytes()), np.ascontiguousarray(triangles, dtype="<u4").tobytes()]
    text = json.dumps(head).encode()
    return zlib.compress(len(text).to_bytes(4, "little") + _padded(text) + b"".join(blocks), 9)


def _padded(content: bytes) -> bytes:
    return content + b" " * (-len(content) % 4)


def skins(grid: Any, colours: dict[int, tuple[str, str]]) -> list[tuple[str, str, Any, Any]]:
    """The outer skin of each phase of a grid, decimated in proportion.

    Args:
        grid: A pyvista grid with the cell array ``phase``.
        colours: Label → name and colour.

    Returns:
        Name, colour, points and triangles of each phase that has cells.
    """
    found = []
    for label, (name, colour) in colours.items():
        piece = grid.threshold([label - 0.5, label + 0.5], scalars="phase")
        if piece.n_cells:
            found.append((name, colour, piece.extract_surface(algorithm="dataset_surface").triangulate()))
    total = sum(skin.n_cells for _, _, skin in found)
    made = []
    for name, colour, skin in found:
        slim = skin.decimate(1 - MOST_TRIANGLES / total) if total > MOST_TRIANGLES else skin
        made.append((name, colour, np.asarray(slim.points), slim.faces.reshape(-1, 4)[:, 1:]))
    return made
