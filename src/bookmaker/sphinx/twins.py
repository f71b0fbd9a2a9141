"""Figures for both themes: a picture in house colours gets a twin for the dark page.

Chapters draw once, in the light colours of `actbook.figures.PALETTE`. Here each such SVG is written
again with every colour replaced by its dark counterpart; the page shows the one that fits. A figure
that came as a pair of bitmaps (`actbook.figures` makes one of a heavy figure) is unpacked.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from actbook.figures.palette import TWINS

logger = logging.getLogger(__name__)

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_BITMAP = re.compile(r'<image id="(light|dark)"[^>]*xlink:href="data:image/png;base64,([^"]+)"')
_THEMED = {"only-light", "only-dark", "dark-light"}


_WIDE = 6.5 * 72  # points; wider figures have panels side by side and scroll on a phone


def _width(svg: str) -> float:
    """The width of an SVG in points, 0 where it does not say."""
    found = re.search(r'<svg\b[^>]*\bwidth="([\d.]+)pt"', svg)
    return float(found[1]) if found else 0.0


def colours(svg: str) -> set[str]:
    """The colours that an SVG names."""
    return {found.lower() for found in _COLOUR.findall(svg)}


def dark(svg: str) -> str:
    """The SVG in the colours of the dark page.

    Raises KeyError for a colour that is not of the palette.
    """
    return _COLOUR.sub(lambda found: TWINS[found[0].lower()], svg)


def pair(svg: str) -> dict[str, tuple[str, bytes]] | None:
    """theme → (file ending, content) of a house figure; None for any other SVG."""
    bitmaps = dict(_BITMAP.findall(svg))
    if set(bitmaps) == {"light", "dark"}:
        return {theme: (".png", base64.b64decode(data)) for theme, data in bitmaps.items()}
    if not colours(svg) or not colours(svg) <= set(TWINS):
        return None
    return {"light": (".svg", svg.encode()), "dark": (".svg", dark(svg).encode())}


class Twins(SphinxTransform):
    """Replace each picture of a page by its light and its dark form, with the same text."""

    default_priority = 850

    def apply(self, **_: object) -> None:
        if self.app.builder.format != "html":
            return
        for image in list(self.document.findall(nodes.image)):
            self._check(image)
            if not _THEMED & set(image["classes"]) and image["uri"].endswith(".svg"):
                self._twin(image)

    def _check(self, image: nodes.image) -> None:
        if not image.get("alt", "").strip():
            where = "an output figure" if _is_output(image) else image["uri"]
            logger.warning(
                "%s has no alternative text (cells: metadata mystnb.image.alt)",
                where,
                location=image,
                type="actbook",
                subtype="alt",
            )
        elif _is_output(image) and not image["uri"].endswith(".svg"):
            logger.warning(
                "an output figure is a bitmap: end its cell with figures.show, and build with "
                "ACTBOOK_FIGURES=svg",
                location=image,
                type="actbook",
                subtype="bitmap",
            )

    def _twin(self, image: nodes.image) -> None:
        source = self._path(image["uri"])
        if not source.is_file():
            return  # Sphinx itself reports a missing file
        svg = source.read_text(encoding="utf-8")
        themes = pair(svg)
        if themes is None:
            if _is_output(image):
                logger.warning(
                    "an output figure is not in the colours of the book: %s",
                    image["alt"],
                    location=image,
                    type="actbook",
                    subtype="colours",
                )
            return
        width = _width(svg)
        both = [self._themed(image, theme, *content, width) for theme, content in themes.items()]
        image.replace_self(both)

    def _themed(
        self, image: nodes.image, theme: str, ending: str, content: bytes, width: float
    ) -> nodes.image:
        name = hashlib.sha256(content).hexdigest()[:20] + f"-{theme}{ending}"
        path = Path(self.app.outdir).parent / "figures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            path.write_bytes(content)
        copy = image.deepcopy()
        copy["uri"] = os.path.relpath(path, self._folder())
        copy["classes"] = [*image["classes"], f"only-{theme}"]
        if width > _WIDE:
            copy["classes"].append("wide")
        if ending == ".png" and "width" not in copy:
            copy["width"] = f"{width * 96 / 72:.0f}px"  # drawn larger for sharp screens
        return copy

    def _folder(self) -> Path:
        return Path(self.env.doc2path(self.env.docname)).parent

    def _path(self, uri: str) -> Path:
        base = Path(self.app.srcdir) if uri.startswith("/") else self._folder()
        return base / uri.lstrip("/")


def _is_output(image: nodes.image) -> bool:
    """Whether a picture is the output of a cell."""
    node = image.parent
    while node is not None:
        if "cell_output" in node.get("classes", []):
            return True
        node = node.parent
    return False


def register(app: Sphinx) -> None:
    """Let the transform run on every page that is read."""
    app.add_transform(Twins)
