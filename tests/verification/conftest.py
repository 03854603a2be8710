"""Lets the verification of the solvers import the cases that it shares with tests/simulations."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "simulations"))
