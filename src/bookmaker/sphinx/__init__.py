"""The book's own Sphinx extension: figures for both themes, chapter numbers, lean pages.

- `twins`: every house figure gets its twin for the dark theme; every picture must have a text.
- `numbers`: a chapter has the number that its file name gives, whatever stands before it.
- `scripts`: each script once per page, and none that asks another host.
"""

from sphinx.application import Sphinx

from bookmaker.sphinx import numbers, scripts, twins


def setup(app: Sphinx) -> dict[str, object]:
    """Register all parts."""
    for part in (twins, numbers, scripts):
        part.register(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
