"""Pages from templates, and figures as SVG: what every page we write has in common."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxm2mesh.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_page(page: Path, template: str, **values: Any) -> None:
    """Write a page from a template; every name it uses must be among ``values``.

    Args:
        page: The file.
        template: A file of this package, ``"report/report.html.j2"``. It may include ``report/style.css``.
        **values: What the template names.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("pxm2mesh", "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    with replacing(page) as part:
        part.write_text(environment.get_template(template).render(**values), encoding="utf-8")


def svg_of(figure: Figure) -> str:
    """A figure as an SVG element; the same figure gives the same bytes."""
    import matplotlib as mpl

    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "pxm2mesh", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure into a file of its own."""
    with replacing(path) as part:
        part.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{svg_of(figure)}', encoding="utf-8")
