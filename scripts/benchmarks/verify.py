"""What must hold after each round."""

from datetime import timedelta

import sqlalchemy as sa

from bookings_api import audit
from scripts.benchmarks.site import Site

# The others are of rows that no service wrote: those that were there from the start.
RULES = ("schema", "tickets_booked", "oversold", "ck_events_not_oversold", "confirmation_email_missing")
MAILS_KEPT = timedelta(days=90)

_MAILED_TWICE = sa.text("""
    SELECT booking_id FROM outbox_emails WHERE kind = 'booking_confirmed' GROUP BY booking_id HAVING count(*) > 1
""")


def mistakes(site: Site) -> list[str]:
    """One line for each promise that was broken. Bookings that were there from the start had their mail long ago."""
    url = sa.make_url(site.database_url).set(drivername="postgresql+psycopg2")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        broken = [str(violation) for violation in audit.violations(connection, emails_since=MAILS_KEPT, only=RULES)]
        return broken + [f"booking {row} has two confirmations" for row in connection.scalars(_MAILED_TWICE)]
