"""Compares the database's schema revision with the revision that this release requires."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parents[2] / "migrations"

_scripts = cache(ScriptDirectory)


def missing_revisions(connection: sa.Connection) -> set[str]:
    """Return the head revisions of this release that are missing from the database.

    Returns an empty set if a newer release has migrated the database. Raises `ProgrammingError` if the database was
    never migrated.
    """
    present = set(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
    scripts = _scripts(str(MIGRATIONS))
    # an unknown revision belongs to a newer release, for example during a rolling update
    is_newer = bool(present - {revision.revision for revision in scripts.walk_revisions()})
    return set() if is_newer else set(scripts.get_heads()) - present
