"""Heavy figures as a pair of bitmaps, one for the light and one for the dark page.

A figure of many thousand marks makes an SVG of megabytes. It is then drawn twice as a PNG, the
second time through a renderer that replaces each colour of the palette by its dark twin, and both
travel in one SVG that shows the light one; the build of the book takes them apart.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import to_hex, to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import imsave

from actbook.figures.palette import TWINS

LIMIT = 150_000
"""Bytes above which an SVG becomes a pair of bitmaps."""

_DPI = 200


@cache
def _twin(light: str) -> tuple[float, float, float]:
    return to_rgb(TWINS.get(light, light))


def _recolour(colours: Any) -> Any:
    """Colours (n × 4) with each one of the palette replaced by its twin, transparency kept."""
    found: Any = to_rgba_array(colours) if len(colours) else ()
    return np.array([(*_twin(str(to_hex(tuple(c[:3])))), c[3]) for c in found]).reshape(-1, 4)


class _DarkContext(GraphicsContextBase):
    def set_foreground(self, fg: Any, isRGBA: bool = False) -> None:
        super().set_foreground(fg, isRGBA)
        red, green, blue, alpha = self._rgb  # type: ignore[has-type]
        self._rgb = (*_twin(str(to_hex((red, green, blue)))), alpha)


class _DarkRenderer(RendererAgg):
    """Agg, drawing every colour of the palette as its dark twin."""

    def new_gc(self) -> GraphicsContextBase:
        return _DarkContext()

    def _update_methods(self) -> None:
        super()._update_methods()
        agg = self._renderer
        markers, paths = self._faces(agg.draw_markers), agg.draw_path_collection
        self.draw_markers = markers  # type: ignore[method-assign]
        self.draw_path_collection = self._shapes(paths, (6, 7))  # type: ignore[method-assign]
        self.draw_quad_mesh = self._shapes(agg.draw_quad_mesh, (7, 9))  # type: ignore[method-assign]

    @staticmethod
    def _faces(draw: Callable[..., Any]) -> Callable[..., Any]:
        """Draw markers with the last argument, their face, recoloured."""

        def drawn(gc: Any, *args: Any) -> Any:
            *rest, face = args
            return draw(gc, *rest, face if face is None else tuple(_recolour([face])[0]))

        return drawn

    @staticmethod
    def _shapes(draw: Callable[..., Any], places: tuple[int, ...]) -> Callable[..., Any]:
        """Draw many shapes with the arguments at `places`, their colours, recoloured."""

        def drawn(*args: Any, **keywords: Any) -> Any:
            new = [_recolour(arg) if i in places else arg for i, arg in enumerate(args)]
            return draw(*new, **keywords)

        return drawn

    def draw_path(self, gc: Any, path: Any, transform: Any, rgbFace: Any = None) -> None:
        face = rgbFace if rgbFace is None else tuple(_recolour([rgbFace])[0])
        super().draw_path(gc, path, transform, face)


class _DarkCanvas(FigureCanvasAgg):
    def get_renderer(self) -> RendererAgg:
        if getattr(self, "_dark", None) is None:
            self._dark = _DarkRenderer(*self.get_width_height(physical=True), self.figure.dpi)
        return self._dark


def _png(figure: Figure, canvas: type[FigureCanvasAgg]) -> bytes:
    """The figure without a background, as PNG bytes."""
    drawn = canvas(figure)
    drawn.draw()
    buffer = io.BytesIO()
    imsave(
        buffer,
        np.asarray(drawn.buffer_rgba()),
        format="png",
    )
    return buffer.getvalue()


def pair(figure: Figure) -> str:
    """An SVG that holds the light and the dark PNG of a figure and shows the light one."""
    width, height = (round(72 * inches, 1) for inches in figure.get_size_inches())
    figure.set_dpi(_DPI)
    figure.patch.set_alpha(0)
    images = "".join(
        f'<image id="{theme}" width="{width}" height="{height}"{hidden} '
        f'xlink:href="data:image/png;base64,{base64.b64encode(_png(figure, canvas)).decode()}"/>'
        for theme, canvas, hidden in (
            ("light", FigureCanvasAgg, ""),
            ("dark", _DarkCanvas, ' visibility="hidden"'),
        )
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}pt" height="{height}pt" viewBox="0 0 {width} {height}">{images}</svg>'
    )
