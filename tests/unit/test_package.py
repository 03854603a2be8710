"""The package as a whole: what importing it costs and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pxm2mesh

HEAVY = ("vtk", "pyvista", "gmsh", "meshio", "trimesh", "pymeshlab", "matplotlib", "skimage", "numba", "pint",
         "pydantic", "scipy", "dolfinx", "dask")  # fmt: skip


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, pxm2mesh; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_asking_for_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pxm2mesh.cli import main\nsys.argv = ['pxm2mesh', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert "quantify" in done.stdout


def test_every_public_name_can_be_reached() -> None:
    for name in pxm2mesh.__all__:
        assert getattr(pxm2mesh, name) is not None
    assert set(pxm2mesh.__all__) <= set(dir(pxm2mesh))
