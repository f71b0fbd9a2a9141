"""Errors of the audit: each says what was wrong, what was given and what is allowed."""

from collections.abc import Iterable
from difflib import get_close_matches


class AuditError(Exception):
    """Evidence and record do not fit, or a record is malformed."""


class UnknownRecord(AuditError, KeyError):
    """No record has this id; the message offers the nearest ones."""

    def __init__(self, kind: str, identifier: object, known: Iterable[str]) -> None:
        names = list(known)
        near = get_close_matches(str(identifier), names, n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(near)}" if near else f"; there are {len(names)}"
        super().__init__(f"no {kind} {identifier!r}{hint}")

    def __str__(self) -> str:
        """The message itself: a KeyError would show it in quotes."""
        return str(self.args[0])
