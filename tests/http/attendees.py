"""An event with as many bookings as a test of its attendee list needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, make_event, make_organizer


@dataclass(frozen=True)
class Attended:
    owner: Account
    event: Mapping[str, Any]

    @property
    def path(self) -> str:
        return f"/events/{self.event['id']}/bookings"

    @property
    def url(self) -> str:
        return f"{API}{self.path}"


def make_attended(client: FlaskClient) -> Attended:
    owner = make_organizer(client)
    return Attended(owner, make_event(client, owner))


def add_bookings(database: sa.Engine, attended: Attended, count: int, guest_name: str = "Grace Hopper") -> None:
    """Further bookings of the owner's, at once; of their tickets the event knows nothing."""
    statement = sa.text("""
        INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email)
        SELECT gen_random_uuid(), left(md5(random()::text || n), 10), :event_id, :user_id, 1, :name, 'g@example.com'
        FROM generate_series(1, :count) n
    """)
    with database.begin() as connection:
        connection.execute(
            statement,
            {"event_id": attended.event["id"], "user_id": attended.owner.id, "name": guest_name, "count": count},
        )
