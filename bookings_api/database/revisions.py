"""Compares the schema revisions of this release with those of the database."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def missing_revisions(connection: sa.Connection) -> set[str]:
    """Return the newest revisions of this release that the database lacks.

    Empty if a newer release has migrated the database. Raises `ProgrammingError` if it was never migrated.
    """
    present = set(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
    heads, known = _revisions()
    # An unknown revision comes from a newer release that is being rolled out.
    return set() if present - known else set(heads - present)


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """Return the newest revisions of this release, and all of them."""
    script = ScriptDirectory(str(MIGRATIONS))
    return frozenset(script.get_heads()), frozenset(revision.revision for revision in script.walk_revisions())
