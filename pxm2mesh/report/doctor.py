"""What this installation can do, and what to do about what it cannot."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
    """Look at Python, packages, DOLFINx, MPI, BLAS, off-screen drawing, extras, processors, memory and disk."""
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
    findings += [_dolfinx(), _mpi(), _blas(), _drawing(), *_extras(), _processors(), _memory(), _disk()]
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


def _blas() -> Finding:
    """The system's BLAS, on which the direct solvers of PETSc stand; numpy's wheels bring their own."""
    if importlib.util.find_spec("dolfinx") is None:
        return Finding("BLAS of the solvers", True, "not needed without DOLFINx")
    name = ctypes.util.find_library("blas")
    try:
        ctypes.CDLL(name or "libblas.so.3")
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Finding("BLAS of the solvers", True, "linked into PETSc")
    loaded = [
        line.split()[-1] for line in maps.splitlines() if re.search(r"/lib\S*(blas|mkl|blis)\S*\.so", line)
    ]
    system = [path for path in loaded if "site-packages" not in path]
    fast = [path for path in system if re.search("openblas|mkl|blis", path)]
    if fast or not system:
        return Finding("BLAS of the solvers", True, Path((fast or ["linked into PETSc"])[0]).name)
    return Finding("BLAS of the solvers", False, f"{Path(system[0]).name}: direct solves take ten times as long",
                   remedy="apt install libopenblas0-pthread, or conda install libblas=*=*openblas")  # fmt: skip


_EXTRAS = {
    "cluster": ("distributed", "sweeps on a cluster"),
    "classifier": ("scikit-learn", "segmentation from scribbles"),
    "movies": ("imageio-ffmpeg", "movies of a series"),
    "zeiss": ("olefile", "Zeiss .txm files"),
}


def _extras() -> list[Finding]:
    """Packages that only some need, and what installs them."""
    return [
        Finding(f"extra: {extra}", bool(_version(package)), f"{what}{'' if _version(package) else ': not installed'}",
                remedy="" if _version(package) else f'pip install "pxm2mesh[{extra}]"')
        for extra, (package, what) in _EXTRAS.items()
    ]  # fmt: skip


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding(
        "disk, here", free >= 2, f"{free:.0f} GiB free", remedy="" if free >= 2 else "make room for results"
    )


def _drawing() -> Finding:
    """Draws a sphere without a screen, in a process of its own: a broken driver ends that one only."""
    code = (
        "import pyvista as p; q = p.Plotter(off_screen=True, window_size=(64, 64)); q.add_mesh(p.Sphere()); "
        "q.screenshot(); print(type(q.render_window).__name__.removesuffix('RenderWindow'))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
        works, how = done.returncode == 0, done.stdout.strip()
    except subprocess.TimeoutExpired:
        works, how = False, ""
    return Finding(
        "off-screen pictures",
        works,
        f"work, by {how}" if works else "do not work: reports have slices only",
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
