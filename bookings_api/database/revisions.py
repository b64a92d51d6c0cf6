"""The revisions of the schema: which this release brings, and which the database has."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def missing_revisions(connection: sa.Connection) -> set[str]:
    """The newest of our revisions that the database has not; none of one that a newer release has migrated.

    Raises `ProgrammingError` for a database that was never migrated.
    """
    present = set(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
    heads, known = _revisions()
    # A revision that we do not know is from a newer release, which is just being rolled out beside us.
    return set() if present - known else set(heads - present)


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """The newest revisions of our migrations, and all of them."""
    script = ScriptDirectory(str(MIGRATIONS))
    return frozenset(script.get_heads()), frozenset(revision.revision for revision in script.walk_revisions())
