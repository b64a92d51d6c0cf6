"""Reads the database's clock. Stored times are compared only with this clock, because the clocks of machines differ.

SQL statements use `now()`, or `clock_timestamp()` after waiting for a lock. Only the expiry of access and refresh
tokens is compared with the local machine's clock.
"""

from datetime import datetime

import sqlalchemy as sa

from bookings_api.database.prepared import Prepared

_NOW = Prepared("database_time", sa.select(sa.func.clock_timestamp()))


def database_time() -> datetime:
    """Return the current time of the database's clock, in UTC."""
    [(now,)] = _NOW()
    return now  # type: ignore[no-any-return] # psycopg2's rows are untyped
