"""Everything that a number depends on beside its backbone -> what two results differ in."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Settings = dict[str, Any]
"""Dotted name -> a plain value."""

UNKNOWN = "unknown"
"""The training of a model whose checkpoint does not say how it was trained."""


def flat(values: Any, prefix: str = "") -> Settings:
    """Nested mappings and sequences of mappings as one mapping, by dotted names.

    Whatever JSON has no type for becomes its text; tuples are lists.
    """
    if isinstance(values, Mapping):
        items: Iterable[tuple[object, Any]] = values.items()
    elif isinstance(values, list | tuple) and any(isinstance(v, Mapping | list) for v in values):
        items = enumerate(values)
    else:
        return {prefix: plain(values)}
    found: Settings = {}
    for name, value in items:
        found |= flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found


def plain(value: Any) -> Any:
    """A value as JSON would give it back."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def digest(settings: Settings) -> str:
    """SHA-256 of all names and values."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def differences(own: Settings, others: Sequence[Settings], most: int = 4) -> list[str]:
    """``name=value`` of what ``own`` does not share with all of ``others``, the first few.

    Of a dotted name only as many last parts are said as tell it from the others.
    """
    names = sorted({name for settings in (own, *others) for name in settings})
    differing = [
        name
        for name in names
        if any(settings.get(name, ...) != own.get(name, ...) for settings in others)
    ]
    parts = [
        f"{short(name, differing)}={shown(own[name])}"
        if name in own
        else f"no {short(name, differing)}"
        for name in differing
    ]
    more = [f"{len(parts) - most} more"] if len(parts) > most else []
    return parts[:most] + more


def short(name: str, others: Iterable[str]) -> str:
    """The fewest last parts of a dotted name that no other one ends with."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        ending = ".".join(parts[-count:])
        rivals = (o for o in others if o != name and (o == ending or o.endswith(f".{ending}")))
        if not parts[-count].isdigit() and not any(rivals):
            return ending
    return name


def shown(value: Any, most: int = 24) -> str:
    """A value as text, cut where it is long, as that of a hash or a list."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
