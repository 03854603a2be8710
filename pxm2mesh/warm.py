"""Compiles the numba kernels once: ``python -m pxm2mesh.warm``, which ``make env`` does.

numba keeps what it compiled, so that a first run does not wait for it.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Sequence

logger = logging.getLogger("pxm2mesh.warm")

ROOMS: Sequence[str] = ("quantify", "surfacing.warm", "segment", "meshing")
"""Where there are kernels; each has a function ``warm``."""


def warm() -> float:
    """Compile all kernels on tiny inputs.

    Returns:
        Seconds it took; few when everything was compiled before.
    """
    start = time.perf_counter()
    for room in ROOMS:
        module = importlib.import_module(f"pxm2mesh.{room}")
        hook = getattr(module, "warm", None)
        if hook is None:
            logger.debug("%s has nothing to compile", room)
            continue
        begin = time.perf_counter()
        hook()
        logger.info("%s: %.1f s", room, time.perf_counter() - begin)
    return time.perf_counter() - start


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="pxm2mesh: kernels of %(message)s")
    logging.getLogger("pxm2mesh").setLevel(logging.ERROR)  # what the tiny inputs look like is of no interest
    logger.setLevel(logging.INFO)
    warm()
