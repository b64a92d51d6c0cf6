"""Search and sort events regardless of case and accents."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NOT_DELETED = sa.text("deleted_at IS NULL")
_SEARCHED = "title || ' ' || location || ' ' || description"


def upgrade() -> None:
    # The database owner may create this extension, because it is trusted.
    op.execute("CREATE EXTENSION IF NOT EXISTS unaccent")
    # Indexes need an immutable function, but unaccent() is only stable, because its dictionary can be replaced. A body
    # with RETURN is parsed on creation, so it works with any search_path, for example during a restore. If LC_CTYPE of
    # the database is C, lower() changes only ASCII letters. The function therefore uses the first of these collations
    # that the server has.
    op.execute("""
        DO $$
        DECLARE
            known text[] := ARRAY['pg_c_utf8', 'und-x-icu', 'C.utf8', 'default'];
            chosen text := (
                SELECT collname FROM pg_collation
                WHERE collnamespace = 'pg_catalog'::regnamespace AND collname = ANY (known)
                AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
                ORDER BY array_position(known, collname::text) LIMIT 1
            );
        BEGIN
            EXECUTE format(
                'CREATE FUNCTION fold_text(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                RETURN lower(unaccent(''unaccent'', $1) COLLATE %I)', chosen
            );
        END $$
    """)
    # Folded text is sorted by its bytes, so that all servers have the same order, with or without ICU.
    _replace_indexes('left(fold_text(title COLLATE "C"), 100)', f"fold_text({_SEARCHED}) gin_trgm_ops")


def downgrade() -> None:
    _replace_indexes("title", f"({_SEARCHED}) gin_trgm_ops")
    op.execute("DROP FUNCTION fold_text")


def _replace_indexes(title: str, searched: str) -> None:
    op.drop_index("ix_events_title", "events")
    op.drop_index("ix_events_search", "events")
    op.create_index("ix_events_title", "events", [sa.literal_column(title), "id"], postgresql_where=_NOT_DELETED)
    op.create_index(
        "ix_events_search",
        "events",
        [sa.literal_column(searched)],
        postgresql_using="gin",
        postgresql_where=_NOT_DELETED,
    )
