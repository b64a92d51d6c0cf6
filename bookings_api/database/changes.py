"""Applies a client's changes to a row."""

from collections.abc import Mapping
from typing import Any, Protocol


class Versioned(Protocol):
    """A row with the version number that its ETag is made of."""

    version: Any


def apply_changes(row: Versioned, changes: Mapping[str, Any]) -> set[str]:
    """Set the fields whose values differ, and raise the row's version if there are any; return their names."""
    changed = {field for field, value in changes.items() if getattr(row, field) != value}
    for field in changed:
        setattr(row, field, changes[field])
    if changed:
        row.version += 1
    return changed
