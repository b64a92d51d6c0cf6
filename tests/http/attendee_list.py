"""An event's attendee list with any number of bookings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, make_event, make_organizer
from tests.sql import execute


@dataclass(frozen=True)
class AttendeeList:
    owner: Account
    event: Mapping[str, Any]

    @property
    def path(self) -> str:
        return f"/events/{self.event['id']}/bookings"

    @property
    def url(self) -> str:
        return f"{API}{self.path}"


def make_attendee_list(client: FlaskClient) -> AttendeeList:
    owner = make_organizer(client)
    return AttendeeList(owner, make_event(client, owner))


def add_bookings(
    database: sa.Engine, attendee_list: AttendeeList, count: int, guest_name: str = "Grace Hopper"
) -> None:
    """Insert bookings of the owner directly, without counting their tickets."""
    statement = sa.text("""
        INSERT INTO bookings
            (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, confirmed_at)
        SELECT
            gen_random_uuid(), left(md5(random()::text || n), 10), :event_id, :user_id, 1, :name, 'g@example.com', now()
        FROM generate_series(1, :count) n
    """)
    with database.begin() as connection:
        connection.execute(
            statement,
            {
                "event_id": attendee_list.event["id"],
                "user_id": attendee_list.owner.id,
                "name": guest_name,
                "count": count,
            },
        )


@contextmanager
def without_bookings_table(database: sa.Engine) -> Iterator[None]:
    """Rename the table temporarily, so that reading bookings fails."""
    execute(database, "ALTER TABLE bookings RENAME TO bookings_away")
    try:
        yield
    finally:
        execute(database, "ALTER TABLE bookings_away RENAME TO bookings")
