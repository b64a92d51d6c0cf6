"""Checks the guarantees of the service after each round."""

from datetime import timedelta

import sqlalchemy as sa

from bookings_api import audit
from scripts.benchmarks.service import Service

# The rows that the benchmark itself inserts violate the other rules.
RULES = (
    "schema",
    "tickets_booked",
    "tickets_held",
    "oversold",
    "ck_events_not_oversold",
    "waiting_although_available",
    "confirmation_email_missing",
)
EMAIL_RETENTION = timedelta(days=90)

_CONFIRMED_TWICE = sa.text("""
    SELECT booking_id FROM outbox_emails WHERE kind = 'booking_confirmed' GROUP BY booking_id HAVING count(*) > 1
""")


def violations(service: Service) -> list[str]:
    """Return a line for each broken guarantee. The bookings that `fill_tables` inserts are too old to need emails."""
    url = sa.make_url(service.database_url).set(drivername="postgresql+psycopg2")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        broken = [
            str(violation) for violation in audit.violations(connection, emails_since=EMAIL_RETENTION, only=RULES)
        ]
        return broken + [f"booking {row} has two confirmations" for row in connection.scalars(_CONFIRMED_TWICE)]
