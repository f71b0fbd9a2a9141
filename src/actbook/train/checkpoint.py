"""Keeping the state of a training, so that what is killed goes on to the same bits.

A checkpoint is a folder with one file for each stack of a call of ``train``.  A file holds the
SHA-256 of its payload, then the payload: what was trained so far, in full, and the key of what it
belongs to.  It is written beside the old one and renamed, at most once a minute.  A file that is
torn, altered, or of another call is not believed: training begins anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from .config import Config

if TYPE_CHECKING:
    from .kept import KeptStack
    from .stack import Stack as ModelStack

    Stack: TypeAlias = KeptStack | ModelStack

__all__ = ["SECONDS", "Keeper"]

#: Of work between two checkpoints.
SECONDS = 60.0
#: Of the payload; to be counted up with what it holds.
FORMAT = 1

Row = dict[str, object]


class Keeper:
    """The checkpoints of one call of ``train``; without a folder it keeps nothing.

    What is finished between two writings waits for the next one, so that short work writes nothing.
    """

    def __init__(self, folder: Path | None, key: str = "") -> None:
        self.folder, self.key = folder, key
        self.written = time.monotonic()
        self.waiting: dict[Path, dict[str, Any]] = {}

    @classmethod
    def of(cls, folder: Path | None, configs: Sequence[Config], device: torch.device) -> Keeper:
        """For these configurations on this device."""
        if folder is None:
            return cls(None)
        asked = [[type(config).__name__, config.as_dict()] for config in configs]
        parts = [FORMAT, torch.__version__, device.type, asked]
        text = json.dumps(parts, sort_keys=True)
        return cls(folder, hashlib.sha256(text.encode()).hexdigest())

    def restore(self, stack: Stack, rows: list[list[Row]]) -> int:
        """Put a stack where its checkpoint left off; the epoch that it is in, from 1."""
        path = self._path(stack)
        state = None if path is None else _read(path)
        if state is None or state["key"] != self._key(stack):
            return 1
        stack.load_state(state["stack"])
        for member, (config, measured) in enumerate(zip(stack.configs, state["rows"], strict=True)):
            rows[member][:] = [{**config.as_dict(), **row} for row in measured]
        return state["epoch"]

    def offer(self, stack: Stack, rows: list[list[Row]], epoch: int) -> None:
        """Keep the state of a stack that is in ``epoch``, when it is time to."""
        path = self._path(stack)
        if path is None:
            return
        finished = epoch > stack.configs[0].epochs
        due = time.monotonic() - self.written >= SECONDS
        if not (due or finished):
            return
        fields = set(stack.configs[0].as_dict())
        measured = [
            [{k: v for k, v in row.items() if k not in fields} for row in member] for member in rows
        ]
        state = {"rows": measured, "epoch": epoch, "stack": stack.state()}
        self.waiting[path] = {**state, "key": self._key(stack)}
        if due:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for path, state in self.waiting.items():
            _write(path, state)
        self.waiting.clear()
        self.written = time.monotonic()

    def _path(self, stack: Stack) -> Path | None:
        return None if self.folder is None else self.folder / f"{stack.number}.ckpt"

    def _key(self, stack: Stack) -> str:
        """Of the call, the place of the stack in it, and the data: all that it depends on."""
        sums = [zlib.crc32(part.cpu().numpy().data) for part in (stack.x, stack.y)]
        members = [config.as_dict() for config in stack.configs]
        text = json.dumps([self.key, stack.number, members, sums], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, state: dict[str, Any]) -> None:
    """As a whole or not at all."""
    payload = io.BytesIO()
    torch.save(state, payload)
    content = payload.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as output:
            output.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
            output.flush()
            os.fsync(output.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Any] | None:
    """What a file holds; None where there is none, or where it is not what was written."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            return None
        state = torch.load(io.BytesIO(content), weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
        return None
    whole = isinstance(state, dict) and {"rows", "epoch", "stack", "key"} <= state.keys()
    return state if whole else None
