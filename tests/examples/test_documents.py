"""Every Python block of the documents runs as it is printed.

The blocks of one page share a namespace and an empty working folder, in a process of their own: pages
about solvers load DOLFINx, others load VTK, and the two do not go together.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
    if page.exists() and BLOCK.search(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_python_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    script = tmp_path / "page.py"
    lines = [""] * text.count("\n")  # keep the page's line numbers, so that a traceback points into it
    for match in BLOCK.finditer(text):
        start = text.count("\n", 0, match.start(1))
        lines[start : start + match.group(1).count("\n")] = match.group(1).splitlines()
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_there_are_pages_to_run() -> None:
    assert REPOSITORY / "README.md" in PAGES
