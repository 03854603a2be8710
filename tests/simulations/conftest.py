"""Lets the solver tests import what they share (`meshes`, `closed_forms_mechanics`)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
