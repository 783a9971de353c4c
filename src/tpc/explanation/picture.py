"""A drawing written to a file: as SVG, on a page of HTML, or as PNG by matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from tpc.dsl.diagnostics import fail


@dataclass(frozen=True)
class Picture:
    """What is drawn.

    Attributes
    ----------
    title
        Of the page.
    drawing, table
        An `svg` element, and its figures as text, which stand below it on a page.
    size
        Of the PNG, in pixels.
    plot
        Draws it on axes of matplotlib.
    """

    title: str
    drawing: str
    table: str
    size: tuple[int, int]
    plot: Callable[[Any], None]

    def write(self, path: Path) -> None:
        """Write it in the format that the name of the file says: `.png`, `.svg` or `.html`.

        Raises
        ------
        TpcError
            E1003 for a PNG where matplotlib is not installed, E1004 for another suffix.
        """
        from tpc.results import write_bytes, write_text

        match path.suffix.lower():
            case ".html":
                write_text(path, self._page())
            case ".svg":
                write_text(path, self.drawing)
            case ".png":
                write_bytes(path, self._png())
            case suffix:
                help = "use .png, .svg or .html"
                raise fail("E1004", f"a picture cannot be written as `{suffix or path.name}`", help=help)

    def _page(self) -> str:
        """A page of HTML that needs nothing else."""
        head = f'<meta charset="utf-8"><title>{escape(self.title)}</title>'
        body = f"{self.drawing}<pre>{escape(self.table)}</pre>"
        return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'

    def _png(self) -> bytes:
        from io import BytesIO

        try:
            from matplotlib.figure import Figure
        except ImportError:
            help = "install it with `pip install matplotlib`, or write .svg or .html"
            raise fail("E1003", "matplotlib is not installed", help=help) from None
        width, height = self.size
        figure = Figure(figsize=(width / 100, height / 100), layout="constrained")
        axes: Any = figure.subplots()
        self.plot(axes)
        axes.legend()
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()
