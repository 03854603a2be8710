"""``python -m simulations RUN_FOLDER``: solve what the study in a run folder asks for.

Reads ``study.toml`` and ``mesh.npz``; writes results, tables and quantities beside them. Progress and
errors are JSON lines on standard output, everything else is log text.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_INTERRUPTED = 130
_PATIENCE = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Solve the study in a run folder.

    Args:
        arguments: Those of the command line if None.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
    parser.add_argument("folder", type=Path, help="run folder with study.toml and mesh.npz")
    parser.add_argument("--fresh", action="store_true", help="do not go on from a checkpoint")
    given = parser.parse_args(arguments)
    try:
        from mpi4py import MPI
    except ImportError as error:
        return _say({"error": f"the solver cannot start: {error}", "hint": "make env prepares DOLFINx.",
                     "exit_code": 7}, 7)  # fmt: skip
    comm = MPI.COMM_WORLD
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO if comm.rank == 0 else logging.CRITICAL,
        format="%(levelname)s %(message)s",
    )
    logging.getLogger("FFCx").setLevel(logging.WARNING)
    logging.getLogger("UFL").setLevel(logging.WARNING)
    try:
        from simulations.studies.run import run

        run(given.folder, comm, fresh=given.fresh)
    except BaseException as error:
        message = _describe(error)
        code = int(message["exit_code"])
        if comm.rank == 0:
            _say(message, code)
        if not _together(comm):  # others wait for us in a collective call: end them
            _say(message, code)
            comm.Abort(code)
        return code
    return 0


def _say(message: dict[str, Any], code: int) -> int:
    sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return code


def _describe(error: BaseException) -> dict[str, Any]:
    from pxm2mesh.errors import Pxm2meshError

    if isinstance(error, Pxm2meshError):
        return {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    if isinstance(error, KeyboardInterrupt):
        return {"error": "interrupted", "hint": "", "exit_code": _INTERRUPTED}
    if isinstance(error, SystemExit):
        return {"error": f"ended early: {error.code}", "hint": "", "exit_code": 1}
    traceback.print_exception(error)
    if isinstance(error, ImportError):
        return {
            "error": f"the solver cannot start: {error}",
            "hint": "make env prepares DOLFINx.",
            "exit_code": 7,
        }
    if isinstance(error, MemoryError):
        hint = "use a larger cell size, a smaller crop or more machines."
        return {"error": "there is not enough memory for this mesh;", "hint": hint, "exit_code": 1}
    return {"error": f"{type(error).__name__}: {error}", "hint": "log.txt has the details.", "exit_code": 1}


def _together(comm: Any) -> bool:
    """Whether every rank gets here within a few seconds."""
    if comm.size == 1:
        return True
    request, end = comm.Ibarrier(), time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if request.Test():
            return True
        time.sleep(0.01)
    return False


if __name__ == "__main__":
    sys.exit(main())
