"""Makes the environment `.venv` that everything runs in; uses the standard library alone.

Run as a script by the Python that the environment is to have. It does nothing where the
environment already is what requirements.txt and pyproject.toml ask for.
"""

from __future__ import annotations  # so that an older Python gets as far as saying so

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "installed-for"
LOG = ROOT / "_build" / "install.log"
OLDEST = (3, 11)
UNREACHABLE = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ProxyError",
    "Failed to establish a new connection",
    "Failed to resolve",
)


def program(venv: Path = VENV) -> Path:
    """The Python of an environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted() -> str:
    """Digest of all that the environment is made from; the folder counts, as scripts name it."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether the environment exists, runs, and was made from the present files."""
    if not (STAMP.is_file() and program().exists() and STAMP.read_text() == wanted()):
        return False
    return subprocess.run([program(), "-c", ""], check=False).returncode == 0


def explain(log: str) -> str:
    """One line on why pip failed."""
    if any(sign in log for sign in UNREACHABLE):
        return "the package index cannot be reached: is there a network?"
    errors = [line for line in log.splitlines() if line.startswith("ERROR:")]
    return errors[-1] if errors else "pip failed"


def _run(command: list, log: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    with open(log, "a+", encoding="utf-8") as file:
        begin = file.seek(0, os.SEEK_END)
        code = subprocess.run(command, stdout=file, stderr=file, env=env, check=False).returncode
        file.seek(begin)
        if code:
            raise SystemExit(f"No environment: {explain(file.read())} (all of it: {log})")


def make() -> None:
    """Create the environment and install the pinned packages and the project, editable."""
    started = time.monotonic()
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    if _version_of(program()) < OLDEST:
        shutil.rmtree(VENV, ignore_errors=True)
        _create()
    version = ".".join(map(str, _version_of(program())))
    print(f"Python {version}: installing the pinned packages into .venv (minutes)", flush=True)
    pip = [str(program()), "-m", "pip", "install", "--compile"]
    _run([*pip, "--requirement", str(ROOT / "requirements.txt")], LOG)
    _run([*pip, "--no-deps", "--editable", str(ROOT)], LOG)
    STAMP.write_text(wanted())
    print(f"installed in {time.monotonic() - started:.0f} s", flush=True)


def _version_of(python: Path) -> tuple[int, ...]:
    """Its version; () where it does not run."""
    if not python.exists():
        return ()
    code = "import sys; print(*sys.version_info[:3])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, found.stdout.split()))


def _create() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SystemExit(
            f"No environment: {sys.executable} has no working venv module "
            "(on Debian and Ubuntu: apt install python3-venv)"
        )


def main() -> None:
    """Make the environment where it is not current."""
    if sys.version_info < OLDEST:
        asked = ".".join(map(str, OLDEST))
        raise SystemExit(f"Python {asked} or newer is needed, this is {sys.version.split()[0]}")
    if not is_current():
        make()


if __name__ == "__main__":
    main()
