"""Which code makes a result: digests of our own source, versions of what it stands on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pxm2mesh

NOUNS = ("phases.py", "volume.py", "regions.py", "surface.py", "tetmesh.py", "quantities.py", "units.py")
_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "connected-components-3d",
    "edt",
    "gmsh",
    "fenics-dolfinx",
    "petsc4py",
)


@cache
def code_digest(*rooms: str) -> str:
    """SHA-256 of the source below ``rooms``, of the nouns, and of the versions that can change a number.

    Args:
        rooms: Folders of `pxm2mesh`, or ``"simulations"``.

    Returns:
        64 hexadecimal digits.
    """
    state = hashlib.sha256(repr(sorted(versions().items())).encode())
    home = Path(pxm2mesh.__file__).parent
    for room in (*NOUNS, *rooms):
        place = home / room if room != "simulations" else simulations_home()
        if place is None:
            continue
        files = [place] if place.is_file() else sorted(place.rglob("*.*"))
        for file in files:
            if file.is_dir() or file.suffix == ".pyc":
                continue
            state.update(f"{room}/{file.name}\0".encode())
            state.update(file.read_bytes())
    return state.hexdigest()


@cache
def versions() -> Mapping[str, str]:
    """Versions of Python, of this package and of the packages that decide numbers, where installed."""
    found = {"pxm2mesh": pxm2mesh.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def simulations_home() -> Path | None:
    """The folder of the `simulations` package, or None; it is not imported."""
    spec = importlib.util.find_spec("simulations")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
