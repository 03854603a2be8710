"""What this installation can do, and what to do about what it cannot."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass

_MESHER = (
    "numpy",
    "scipy",
    "numba",
    "gmsh",
    "vtk",
    "pyvista",
    "scikit-image",
    "tifffile",
    "h5py",
    "meshio",
    "connected-components-3d",
    "edt",
    "trimesh",
    "pymeshlab",
    "pydantic",
    "pint",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What it is.
        ok: Whether it is fine.
        found: Its version, number or state.
        needed: Whether the mesher cannot do without it.
        remedy: What to do where it is not fine.
    """

    what: str
    ok: bool
    found: str = ""
    needed: bool = False
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at Python, packages, DOLFINx, MPI, off-screen drawing, processors and memory."""
    findings = [Finding("Python", sys.version_info >= (3, 11), platform.python_version(), True)]
    missing = [name for name in _MESHER if not _version(name)]
    findings.append(
        Finding(
            "mesher's packages",
            not missing,
            f"{len(_MESHER) - len(missing)} of {len(_MESHER)}",
            True,
            f"pip install {' '.join(missing)}" if missing else "",
        )
    )
    findings += [_dolfinx(), _mpi(), _drawing(), _processors(), _memory()]
    return findings


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _dolfinx() -> Finding:
    there = importlib.util.find_spec("dolfinx") is not None
    found = (_version("fenics-dolfinx") or "installed") if there else "none: no solvers, the mesher works"
    return Finding(
        "DOLFINx",
        there,
        found,
        remedy="" if there else "make env, or conda install -c conda-forge fenics-dolfinx",
    )


def _mpi() -> Finding:
    launcher = shutil.which("mpirun") or shutil.which("mpiexec")
    return Finding(
        "MPI",
        launcher is not None,
        launcher or "no mpirun: one process only",
        remedy="" if launcher else "apt install openmpi-bin",
    )


def _drawing() -> Finding:
    """Draws a sphere without a screen, in a process of its own: a broken driver ends that one only."""
    code = (
        "import pyvista as p; q = p.Plotter(off_screen=True, window_size=(64, 64)); "
        "q.add_mesh(p.Sphere()); q.screenshot()"
    )
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False)
        works = done.returncode == 0
    except subprocess.TimeoutExpired:
        works = False
    return Finding(
        "off-screen pictures",
        works,
        "work" if works else "do not work: reports have slices only",
        remedy="" if works else "apt install libegl1 libosmesa6 libgl1",
    )


def _processors() -> Finding:
    threads = {
        name: os.environ[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS") if name in os.environ
    }
    told = "".join(f", {name}={value}" for name, value in threads.items())
    return Finding("processors", True, f"{len(os.sched_getaffinity(0))}{told}")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Finding(
        "memory",
        total >= 4,
        f"{total:.0f} GiB, for meshes of up to {total / 0.75:.0f} million cells",
        remedy="" if total >= 4 else "crop volumes, or use a larger cell size",
    )
