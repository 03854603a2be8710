"""Every Python and console block of the documents runs as it is printed.

The blocks of one page share a namespace and an empty working folder, in a process of their own: pages
about solvers load DOLFINx, others load VTK, and the two do not go together. A block after the comment
``<!-- not run: why -->`` is only looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
    if page.exists() and BLOCK.search(page.read_text(encoding="utf-8"))
]
NEEDS_DOLFINX = re.compile(r"^\$ .*pxm2mesh (run|solve)(?!.*--dry-run)", re.MULTILINE)
SHELL = "def _sh(c):\n    import subprocess\n    subprocess.run(c, shell=True, check=True)\n"


def script_of(text: str) -> str:
    """The blocks of a page as one program, on the lines they have there, so that a traceback points into the page."""
    lines = [""] * text.count("\n")
    for match in BLOCK.finditer(text):
        skipped, kind, content = match.groups()
        if skipped:
            continue
        start = text.count("\n", 0, match.start(3))
        body = content.splitlines()
        if kind == "console":
            body = [f"_sh({line[2:].split('  #')[0]!r})" if line.startswith("$ ") else "" for line in body]
        lines[start : start + len(body)] = body
    return f"exec({SHELL!r})\n" + "\n".join(lines[1:]) + "\n"


def environment(folder: Path) -> dict[str, str]:
    """With a ``pxm2mesh`` on the path that is this one, also as ``.env/bin/pxm2mesh``."""
    command = folder / ".env" / "bin" / "pxm2mesh"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pxm2mesh.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}


def parameters() -> Iterator[Any]:
    """Pages that run a whole study belong to the long tests."""
    for page in PAGES:
        long = NEEDS_DOLFINX.search(page.read_text(encoding="utf-8"))
        yield pytest.param(
            page, id=str(page.relative_to(REPOSITORY)), marks=[pytest.mark.verify] if long else []
        )


@pytest.mark.parametrize("page", list(parameters()))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if NEEDS_DOLFINX.search(text) and find_spec("dolfinx") is None:
        pytest.skip("this environment has no DOLFINx")
    script = tmp_path / "page.py"
    script.write_text(script_of(text), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_there_are_pages_to_run() -> None:
    assert REPOSITORY / "README.md" in PAGES


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    """Catches a script that is empty because the pattern does not match."""
    for broken in ("```python\nraise ValueError\n```\n", "```console\n$ pxm2mesh meesh\n```\n"):
        script = tmp_path / "page.py"
        script.write_text(script_of(f"# A page\n\n{broken}"), encoding="utf-8")
        folder = tmp_path / broken[3:6]
        folder.mkdir()
        command = [sys.executable, str(script)]
        done = subprocess.run(
            command, env=environment(folder), cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert 'page.py", line 4' in done.stderr
