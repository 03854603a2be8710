"""Many runs of one study with something varied: planned, run side by side, resumed, and put into one table."""

from __future__ import annotations

from pxm2mesh.sweep.execute import UP_TO_DATE, CaseState, run_sweep
from pxm2mesh.sweep.plan import Case, Sweep, read_sweep
from pxm2mesh.sweep.results import SweepResult, write_results

__all__ = [
    "UP_TO_DATE",
    "Case",
    "CaseState",
    "Sweep",
    "SweepResult",
    "read_sweep",
    "run_sweep",
    "write_results",
]
