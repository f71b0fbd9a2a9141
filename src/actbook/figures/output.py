"""The end of every plot cell: check the figure, describe it, show it, close it."""

from __future__ import annotations

import base64
import io
import os
import re
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actbook.figures import bitmap
from actbook.figures.description import data_count, describe, panels, tick_names
from actbook.figures.draw import place_ends
from actbook.figures.page import FigureError, styled
from actbook.figures.palette import TWINS


def _check(figure: Figure) -> None:
    """Raise `FigureError` unless every panel shows data and every axis says what it is."""
    shown = panels(figure)
    if not shown:
        raise FigureError("the figure has no panel (was it shown already? make a new one)")
    for number, ax in enumerate(shown, start=1):
        if not data_count(ax):
            raise FigureError(f"panel {number} of the figure shows no data")
        if ax.axison:
            _check_labels(figure, ax, number)
    for bar in figure.axes:
        if bar.get_label() == "<colorbar>" and not (bar.get_ylabel() or bar.get_xlabel()):
            raise FigureError("a colour bar has no label: give the quantity and its unit")


def _check_labels(figure: Figure, ax: Axes, number: int) -> None:
    common = {"x": figure.get_supxlabel(), "y": figure.get_supylabel()}
    for which in "xy":
        axis = getattr(ax, f"{which}axis")
        if not axis.get_visible():
            continue
        group = getattr(ax, f"get_shared_{which}_axes")().get_siblings(ax)
        labels = [getattr(other, f"{which}axis").get_label_text() for other in group]
        if not any(labels) and not common[which] and not tick_names(ax, which):
            raise FigureError(f"the {which} axis of panel {number} has no label")


class _Shown:
    """What `display` receives: the description, and the picture in one format."""

    def __init__(self, text: str, kind: str, data: str, metadata: dict[str, Any]) -> None:
        self._text, self._kind, self._data, self._metadata = text, kind, data, metadata

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/plain": self._text, self._kind: self._data}, {self._kind: self._metadata}


def show(figure: Figure, exact: bool = True) -> None:
    """Display a figure with its description, and close it; ends every cell that plots.

    Outside a build of the book the picture is a PNG; with ACTBOOK_FIGURES=svg it is an SVG in the
    colours of `PALETTE`, whose twin for the dark page the build derives. `exact=False` is for
    figures whose numbers depend on the machine: the description then gives the structure alone.

    Raises FigureError for a panel without data, for an axis or colour bar without a label, and (in
    a build) for a colour that is not the book's.
    """
    from IPython.display import display

    _check(figure)
    with styled():
        place_ends(figure)
        text = describe(figure, exact)
        wanted = os.environ.get("ACTBOOK_FIGURES", "png")
        if wanted not in ("png", "svg"):
            raise ValueError(f"ACTBOOK_FIGURES must be 'png' or 'svg', not {wanted!r}")
        shown = _svg(figure, text) if wanted == "svg" else _png(figure, text)
    figure.clear()
    display(shown)


def _png(figure: Figure, text: str) -> _Shown:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    data = base64.b64encode(buffer.getvalue()).decode()
    return _Shown(text, "image/png", data, {"width": width, "height": height})


def svg(figure: Figure) -> str:
    """The figure as SVG text without a background: the same bytes from the same figure.

    Raises FigureError for a colour outside `PALETTE`, because it would have no dark twin.
    """
    buffer = io.StringIO()
    with styled():
        place_ends(figure)
        figure.savefig(
            buffer,
            format="svg",
            facecolor="none",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    drawn = _short_numbers(buffer.getvalue())
    foreign = {found.lower() for found in re.findall(r"#[0-9a-fA-F]{6}\b", drawn)} - set(TWINS)
    if foreign:
        raise FigureError(
            f"colours outside the palette: {', '.join(sorted(foreign))}; use figures.colour(name)"
        )
    return drawn


def _short_numbers(drawn: str) -> str:
    """Paths with two decimals (1/7200 inch) instead of six."""

    def shorten(path: re.Match[str]) -> str:
        return re.sub(r"(\.\d\d)\d+", r"\1", path[0])

    return re.sub(r'\bd="[^"]*"', shorten, drawn)


def _svg(figure: Figure, text: str) -> _Shown:
    drawn = svg(figure)
    light_enough = len(drawn) <= bitmap.LIMIT
    return _Shown(text, "image/svg+xml", drawn if light_enough else bitmap.pair(figure), {})
