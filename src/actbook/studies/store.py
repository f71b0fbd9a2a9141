"""The store of finished groups: one checksummed file each, written in one step.

A file holds the SHA-256 of its payload in the first line and the payload, JSON, in the second.
A file that is torn, foreign or altered is not believed: it reads as absent, and is written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .framework import Row, StudyError

__all__ = ["SESSIONS", "Store", "checked", "write_atomic"]

#: The folder of a run's sessions, beside those of its stages.
SESSIONS = "sessions"
#: The folder of what is being trained.
CHECKPOINTS = "checkpoints"


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` so that even after a crash a reader sees the old file or the whole new."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as output:
                output.write(content.encode() if isinstance(content, str) else content)
                output.flush()
                os.fsync(output.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise StudyError(
            f"cannot write {path}: {error.strerror or error}. What was finished before is kept; "
            "make room or give permission, and run again."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where folders can be synchronised."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Store:
    """Finished groups of one study below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: str, key: str) -> Path:
        """Where the group ``key`` of a stage is kept."""
        return self.folder / stage / f"{key}.json"

    def checkpoint(self, stage: str, key: str) -> Path:
        """The folder that keeps the state of a group while it is trained."""
        return (self.folder / CHECKPOINTS / stage / key).absolute()

    def drop_checkpoint(self, stage: str, key: str) -> None:
        """Remove that folder, if it is there: the group is finished."""
        shutil.rmtree(self.checkpoint(stage, key), ignore_errors=True)

    def drop_checkpoints(self) -> None:
        """Remove what is left of all of them: everything is finished."""
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)

    def put(self, stage: str, key: str, rows: list[list[Row]], session: str = "") -> None:
        """Keep the rows of a finished group, those of each member apart, and who trained it."""
        content = {"stage": stage, "key": key, "session": session, "rows": rows}
        payload = json.dumps(content, separators=(",", ":"))
        digest = hashlib.sha256(payload.encode()).hexdigest()
        write_atomic(self.path(stage, key), f"{digest}\n{payload}\n")

    def get(self, stage: str, key: str) -> list[list[Row]] | None:
        """The rows of a group, or None where no whole and unaltered file of it is there."""
        content = self._read(stage, key)
        return content["rows"] if content else None

    def session(self, stage: str, key: str) -> str:
        """The session that trained a group; empty where it is not there."""
        content = self._read(stage, key)
        return content["session"] if content else ""

    def _read(self, stage: str, key: str) -> dict[str, Any] | None:
        path = self.path(stage, key)
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        except OSError as error:
            raise StudyError(f"cannot read {path}: {error.strerror or error}") from error
        content = checked(text)
        if content is None or (content["stage"], content["key"]) != (stage, key):
            return None
        session = self.folder / SESSIONS / f"{content['session']}.json"
        return content if not content["session"] or session.is_file() else None


def checked(text: str) -> dict[str, Any] | None:
    """The content of a group's file; None where it is torn, altered or something else."""
    digest, _, payload = text.rstrip("\n").partition("\n")
    if hashlib.sha256(payload.encode()).hexdigest() != digest:
        return None
    content = json.loads(payload)
    fields = {"stage", "key", "session", "rows"}
    return content if isinstance(content, dict) and fields <= content.keys() else None
