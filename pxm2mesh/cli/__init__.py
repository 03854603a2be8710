"""The command line: one verb, one module, one function; no logic in any of them."""

from __future__ import annotations


def main() -> None:
    """Entry point of ``pxm2mesh``: runs the verb and ends the process with its exit code."""
    import sys

    from pxm2mesh.cli.app import run
    from pxm2mesh.processes import end_on_request

    end_on_request()
    sys.exit(run(sys.argv[1:]))
