"""Lets the solver tests import what they share (`meshes`, `closed_forms_mechanics`), and ends runs from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Ends the run when its table has so many rows; called with None it lets it go on."""
    from killing import Killed

    from simulations.base.output import ScalarTable

    limit: list[int | None] = [None]
    append = ScalarTable.append

    def until(self: ScalarTable, row: Any) -> None:
        append(self, row)
        if limit[0] is not None and self.rows > limit[0]:
            raise Killed

    monkeypatch.setattr(ScalarTable, "append", until)
    return lambda rows: limit.__setitem__(0, rows)
