"""The built book on the loopback, and a Chromium that cannot reach anything else."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bookmaker.layout import HTML
from bookmaker.serve import server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def chromium() -> str | None:
    """The path of a Chromium: CHROMIUM, or the first of the usual names."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def built_pages(html: Path = HTML) -> list[str]:
    """Every page of the built book that shows something itself, as a path below its root."""
    return sorted(
        path.relative_to(html).as_posix()
        for path in html.rglob("*.html")
        if not {"_static", "_sources"} & set(path.relative_to(html).parts)
        and 'http-equiv="Refresh"' not in path.read_text(encoding="utf-8")
    )


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built book."""
    if not (HTML / "index.html").is_file():
        pytest.skip(f"the book is not built (no {HTML.name}/index.html): run `make book` first")
    http = server(HTML)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, cut off from every host but the loopback."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here: install one, or name it in CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()
