"""Lean pages: each script and style sheet once, none for services that the book does not use."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

# In-page execution loads its code from another host; the book offers Colab and a download instead.
UNWANTED = ("thebe",)


def _key(asset: Any) -> tuple[str, str]:
    """What makes two assets the same: the file without its checksum, or the inline text."""
    name = str(getattr(asset, "filename", None) or asset)
    body = dict(getattr(asset, "attributes", {}) or {}).get("body") or ""
    return (name.partition("?")[0] if not body else "", body)


def lean(assets: list[Any]) -> list[Any]:
    """The assets in their order, without repetitions and without the unwanted."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for asset in assets:
        key = _key(asset)
        if key in seen or any(name in part for part in key for name in UNWANTED):
            continue
        seen.add(key)
        kept.append(asset)
    return kept


def _clean(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    for kind in ("script_files", "css_files"):
        context[kind] = lean(context.get(kind, []))


def register(app: Sphinx) -> None:
    """Clean each page after every other extension has added its assets."""
    app.connect("html-page-context", _clean, priority=900)
