"""``python -m pxm2mesh.cli``."""

from pxm2mesh.cli import main

main()
