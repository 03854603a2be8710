"""What is generated in the documents is what the code would generate now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_reference_is_in_step_with_the_code() -> None:
    """``make reference`` brings it into step."""
    tool = [sys.executable, str(REPOSITORY / "docs" / "tools" / "reference.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrun: make reference"
