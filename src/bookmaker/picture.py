"""The picture of README.md: the front page of the built book in a browser."""

import argparse
import io
import sys
import threading
from pathlib import Path

from bookmaker.layout import BOOK, HTML, chromium
from bookmaker.serve import server

TARGET = BOOK / "_static" / "cover.png"
WIDTH, HEIGHT = 1200, 760
COLOURS = 128
LIMIT = 200_000  # bytes


def photograph(folder: Path, browser: str, page_name: str = "book/index.html") -> bytes:
    """A PNG of a page of the book in `folder`, reduced to COLOURS colours."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    http = server(folder)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as play:
            started = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = started.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(f"http://127.0.0.1:{http.server_port}/{page_name}", wait_until="networkidle")
            shot = page.screenshot()
            started.close()
    finally:
        http.shutdown()
        http.server_close()
    small = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def main(arguments: list[str]) -> int:
    """Photograph the front page of the built book for README.md."""
    argparse.ArgumentParser(prog="bookmaker picture", description=main.__doc__).parse_args(
        arguments
    )
    browser = chromium()
    if browser is None:
        print("Chromium is not installed (on Debian: apt install chromium)", file=sys.stderr)
        return 1
    try:
        picture = photograph(HTML, browser)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    if len(picture) > LIMIT:
        print(f"the picture has {len(picture)} bytes; at most {LIMIT} are allowed", file=sys.stderr)
        return 1
    TARGET.write_bytes(picture)
    print(f"{TARGET.name}: {len(picture) / 1000:.0f} kB")
    return 0
