"""The catalogue: a lazy mapping from a name to its activation."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property

from actbook.activation import Activation, nearest

FAMILIES = (
    "threshold",
    "sigmoids",
    "rectifiers",
    "exponential",
    "gates",
    "gated",
    "maxima",
)


class Catalogue(Mapping[str, Activation]):
    """All activations by canonical name; aliases are understood, unknown names explained."""

    @cached_property
    def _entries(self) -> dict[str, Activation]:
        entries: dict[str, Activation] = {}
        for family in FAMILIES:
            module = importlib.import_module(f"actbook.families.{family}")
            for activation in module.DECLARATIONS:
                if activation.name in entries:
                    raise ValueError(f"two activations are named {activation.name!r}")
                entries[activation.name] = activation
        return entries

    @cached_property
    def _aliases(self) -> dict[str, str]:
        return {alias: name for name, act in self._entries.items() for alias in act.aliases}

    def names(self) -> list[str]:
        """The canonical names, in the order of the families."""
        return list(self._entries)

    def __getitem__(self, name: str) -> Activation:
        canonical = self._aliases.get(name, name)
        if canonical in self._entries:
            return self._entries[canonical]
        offers = nearest(str(name), [*self._entries, *self._aliases])
        hint = f"; did you mean {' or '.join(map(repr, offers))}?" if offers else ""
        raise KeyError(f"no activation is named {name!r}{hint} (catalogue.names() lists all)")

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<catalogue of {len(self)} activations>"


catalogue = Catalogue()
