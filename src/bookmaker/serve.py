"""Serves the built book on this machine."""

import argparse
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bookmaker.layout import HTML


class Quiet(SimpleHTTPRequestHandler):
    """Answers without a line per request, and never lets a browser keep an old page."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        """Ask the browser to look again every time."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of a folder on 127.0.0.1; port 0 takes any that is free.

    Raises FileNotFoundError when the folder holds no index.html, OSError when the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise FileNotFoundError(f"no book in {folder}: run `make book` first")
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(folder)))


def main(arguments: list[str]) -> int:
    """Serve the built book until it is interrupted."""
    parser = argparse.ArgumentParser(prog="bookmaker serve", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000, help="default 8000; 0: any free one")
    options = parser.parse_args(arguments)
    try:
        http = server(HTML, options.port)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError:
        http = server(HTML)
    print(f"The book is at http://127.0.0.1:{http.server_port}/ (stop with Ctrl-C)", flush=True)
    try:
        http.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        http.server_close()
    return 0
