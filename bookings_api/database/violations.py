"""Identifies the constraint that a statement has violated."""

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError


def violated_unique_constraint(error: IntegrityError) -> str | None:
    """Return the name of the unique constraint or index, or None for any other error."""
    return error.orig.diag.constraint_name if isinstance(error.orig, UniqueViolation) else None
