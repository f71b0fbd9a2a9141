"""The one plotting style of the book.

Every figure of the book is made in three steps::

    fig, ax = figures.new()
    figures.curves(ax, ["sigmoid", "tanh"], -6, 6)
    figures.show(fig)

`new` applies the style to that figure alone; nothing global is changed. `colour` and `style` give
each activation and each role one fixed look, told apart by colour-blind readers and in print.
`show` writes a *description* of the figure beside the picture, so that tests compare it as text.
"""

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as error:  # the rest of the package does not need it
    raise ModuleNotFoundError(
        "figures need matplotlib: pip install 'actbook[notebooks]'", name="matplotlib"
    ) from error

from actbook.figures.description import describe
from actbook.figures.draw import (
    band,
    curves,
    forest,
    heatmap,
    label_ends,
    picture,
    profile,
    short_title,
    through_origin,
)
from actbook.figures.output import FigureError, show, svg
from actbook.figures.page import new
from actbook.figures.palette import PALETTE, TWINS, colour, colour_map, contrast, style

__all__ = [
    "PALETTE",
    "TWINS",
    "FigureError",
    "band",
    "colour",
    "colour_map",
    "contrast",
    "curves",
    "describe",
    "forest",
    "heatmap",
    "label_ends",
    "new",
    "picture",
    "profile",
    "short_title",
    "show",
    "style",
    "svg",
    "through_origin",
]
