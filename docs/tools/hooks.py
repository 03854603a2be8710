"""What mkdocs does besides: the order of the pages, and a gallery of our own runs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import gallery

_SHIM = re.compile(r'<script src="?https://unpkg.com/iframe-worker/shim"?></script>')
DOCS = Path(__file__).resolve().parents[1]
# What comes first in each part; every other page of the folder follows in alphabetical order.
PARTS = {
    "Tutorial": ("tutorial", ["slices-to-report"]),
    "Examples": ("examples", []),
    "How-to": ("how-to", ["dolfinx", "segmentation", "own-segmentation", "choose-cell-size", "mesh-from-python",
                          "transition-zone", "paraview", "pybamm"]),
    "Explanation": ("explanation", ["validation", "limits", "meshing", "surfaces", "measurement", "solvers",
                                    "mechanics", "architecture"]),
    "Reference": ("reference", ["cli", "study-file", "quantities", "volumes", "mesh-files", "materials", "phantoms"]),
}  # fmt: skip


def on_config(config: Any) -> Any:
    """Every page has its place, also the ones that are added later."""
    nav: list[Any] = [{"Start": "index.md"}]
    for title, (folder, first) in PARTS.items():
        names = sorted(page.stem for page in (DOCS / folder).glob("*.md"))
        ordered = [name for name in first if name in names] + [name for name in names if name not in first]
        if ordered:
            nav.append({title: [f"{folder}/{name}.md" for name in ordered]})
    nav[1]["Tutorial"].append("gallery.md")
    nav[-1]["Reference"].append("changelog.md")
    config["nav"] = nav
    return config


def on_files(files: Any, config: Any) -> Any:
    """Pictures of the gallery; PXM2MESH_GALLERY=off builds without them."""
    from mkdocs.structure.files import File

    pictures = [] if os.environ.get("PXM2MESH_GALLERY") == "off" else gallery.pictures()
    config["extra"]["gallery"] = pictures
    for picture in pictures:
        files.append(File.generated(config, f"gallery/{picture.file.name}", abs_src_path=str(picture.file)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Figures in place of the gallery's marker."""
    if page.file.src_uri != "gallery.md":
        return markdown
    return markdown.replace("<!-- gallery -->", gallery.figures(config["extra"]["gallery"]))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The theme fetches a script for searching pages opened from disk; ours comes along."""
    local = page.url.count("/") * "../" + "from-disk.js"
    return _SHIM.sub(f'<script src="{local}"></script>', output)


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    """The same on the page for addresses that do not exist."""
    return (
        _SHIM.sub('<script src="/from-disk.js"></script>', output) if template_name == "404.html" else output
    )
