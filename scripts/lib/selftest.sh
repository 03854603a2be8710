# What must work before an environment takes its place, and what had better.
# shellcheck shell=bash

self_test() {
  summary="Python $("$part/bin/python" -c 'import platform; print(platform.python_version())')"
  if [ "$chosen" = mesher ]; then
    summary="$summary, without DOLFINx: meshing and measuring only (docs/how-to/dolfinx.md)"
  else
    find_mpirun
    step 'self-test: DOLFINx on two ranks' -- dolfinx_works
    summary="$summary, DOLFINx $("$part/bin/python" -c 'import dolfinx; print(dolfinx.__version__)') ($chosen)"
  fi
  step 'self-test: drawing without a screen' -- drawing_works
  if grep -q "^headless=''" "$part/bin/settings"; then
    note 'warning: nothing can be drawn without a screen here; reports will lack pictures (docs/how-to/dolfinx.md, "Pictures")'
  fi
  echo "$summary" >"$part/summary"
}

# Compiles a form as well, so that a missing C compiler is found here and not in the middle of a run.
dolfinx_works() {
  "$part/bin/mpirun" -n 2 "$part/bin/python" -c '
from mpi4py import MPI
import dolfinx.fem.petsc, dolfinx.mesh, ufl
mesh = dolfinx.mesh.create_unit_square(MPI.COMM_WORLD, 4, 4)
volume = dolfinx.fem.assemble_scalar(dolfinx.fem.form(dolfinx.fem.Constant(mesh, 1.0) * ufl.dx))
assert MPI.COMM_WORLD.size == 2, "mpirun and mpi4py do not belong together"
assert abs(MPI.COMM_WORLD.allreduce(volume) - 1) < 1e-12
'
}

drawing_works() {
  local window
  for window in vtkEGLRenderWindow vtkOSOpenGLRenderWindow; do
    if VTK_DEFAULT_OPENGL_WINDOW=$window "$part/bin/python" -c '
import sys, pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(64, 64))
plotter.add_mesh(pyvista.Sphere())
image = plotter.screenshot(None, return_img=True)
sys.exit(0 if type(plotter.render_window).__name__ == sys.argv[1] and image.std() > 10 else 1)
' "$window"; then
      setting headless "$window"
      return
    fi
  done
}
