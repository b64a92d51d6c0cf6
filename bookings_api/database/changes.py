"""Applies a client's changes to a row."""

from collections.abc import Mapping
from typing import Any


def apply_changes(row: Any, changes: Mapping[str, Any]) -> set[str]:
    """Set the fields whose values differ, and return their names. Increments `row.version` if any field differs."""
    changed = {field for field, value in changes.items() if getattr(row, field) != value}
    for field in changed:
        setattr(row, field, changes[field])
    if changed:
        row.version += 1
    return changed
