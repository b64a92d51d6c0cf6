"""How an organizer finds guests in the attendee list."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.bookings.queries import bookings_for
from bookings_api.models import BookingStatus, MemberRole
from bookings_api.permissions import Actor
from tests.factories import API, Account, book, make_event, make_organizer, make_user, organization_of
from tests.sql import plan_of

_MANY_BOOKINGS = sa.text("""
    INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, confirmed_at)
    SELECT gen_random_uuid(), lpad(n::text, 10, '0'), event_id, user_id, 1, guest_name, n || guest_email, confirmed_at
    FROM bookings, generate_series(1, 10000) AS n
""")


class Attendees:
    """An event with three guests, listed by its organizer."""

    def __init__(self, client: FlaskClient) -> None:
        self._client, self.owner, self.buyer = client, make_organizer(client), make_user(client)
        self._event = make_event(client, self.owner)
        self.grace = self._book("Grace Hopper", "grace@navy.example.com")
        self.zoe = self._book("Zoë Müller", "z.mueller@example.com")
        self.ada = self._book("Ada Lovelace", "ada@example.com")

    def find(self, **query: str) -> list[str]:
        """The names of the guests found."""
        url = f"{API}/events/{self._event['id']}/bookings"
        response = self._client.get(url, query_string=query, headers=self.owner.headers)
        assert response.status_code == 200, response.text
        return [booking["guest_name"].split()[0] for booking in response.json or []]

    def _book(self, name: str, email: str) -> dict[str, Any]:
        booking = book(self._client, self.buyer, self._event, guest_name=name, guest_email=email)
        assert booking.status_code == 201, booking.text
        found: dict[str, Any] = booking.json
        return found


@pytest.fixture
def attendees(client: FlaskClient) -> Attendees:
    return Attendees(client)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("zoe", ["Zoë"]),
        ("muller zoe", ["Zoë"]),
        ("NAVY", ["Grace"]),
        ("hopper navy.example", ["Grace"]),
        ("example.com", ["Grace", "Zoë", "Ada"]),
        ("Müller, Zoë", ["Zoë"]),
        ("Ada Lovelace <ada@example.com>;", ["Ada"]),
        ("Ada < Lovelace", []),
        ("a_a", []),
        ("nobody", []),
    ],
)
def test_guests_are_found_by_name_and_email(attendees: Attendees, q: str, found: list[str]) -> None:
    assert attendees.find(q=q) == found


@pytest.mark.parametrize(
    ("status", "index"), [("held", "ix_bookings_event_id_held_until"), ("waitlisted", "ix_bookings_waiting_list")]
)
def test_an_index_finds_the_few_bookings_that_are_held_or_waiting(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine, status: str, index: str
) -> None:
    event = make_event(client, organizer)
    book(client, make_user(client), event)
    with database.begin() as connection:
        connection.execute(_MANY_BOOKINGS)
        connection.execute(sa.text("ANALYZE bookings"))
    owner = Actor(roles={UUID(organization_of(client, organizer)): MemberRole.OWNER})
    with app.app_context():
        listing = bookings_for(owner, UUID(event["id"]), status=BookingStatus(status)).with_values()

    count = listing.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None)

    assert index in plan_of(database, count)


def test_a_guest_is_found_by_reference(attendees: Attendees) -> None:
    reference = attendees.zoe["reference"]

    assert attendees.find(reference=reference) == attendees.find(reference=reference.lower()) == ["Zoë"]
    assert attendees.find(q=reference[2:7].lower()) == ["Zoë"]
    assert attendees.find(reference=reference[:-1]) == []
    assert attendees.find(reference=reference, status="cancelled") == []


def test_guests_are_found_by_the_status_of_their_latest_email(
    client: FlaskClient, attendees: Attendees, database: sa.Engine
) -> None:
    def deliver(booking: dict[str, Any], status: str) -> None:
        with database.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE outbox_emails SET status = CAST(:status AS text),"
                    " sent_at = CASE WHEN :status = 'sent' THEN now() END"
                    " WHERE booking_id = :id AND status <> 'failed'"
                ),
                {"status": status, "id": booking["id"]},
            )

    def found() -> dict[str, list[str]]:
        return {status: attendees.find(email_status=status) for status in ("pending", "sent", "failed")}

    deliver(attendees.zoe, "failed")
    deliver(attendees.ada, "sending")
    assert found() == {"pending": ["Grace", "Ada"], "sent": [], "failed": ["Zoë"]}

    client.patch(f"{API}/bookings/{attendees.zoe['id']}", json={"ticket_count": 2}, headers=attendees.buyer.headers)
    deliver(attendees.zoe, "dropped")
    assert found() == {"pending": ["Grace", "Ada"], "sent": [], "failed": ["Zoë"]}

    correction = {"guest_email": "zoe.mueller@example.com"}
    client.patch(f"{API}/bookings/{attendees.zoe['id']}", json=correction, headers=attendees.buyer.headers)
    assert found() == {"pending": ["Grace", "Zoë", "Ada"], "sent": [], "failed": []}

    deliver(attendees.zoe, "sent")
    assert found() == {"pending": ["Grace", "Ada"], "sent": ["Zoë"], "failed": []}


@pytest.mark.parametrize("query", ["q=", "reference=", "reference=34679ACDEFG", "email_status=lost"])
def test_an_invalid_filter_is_named(client: FlaskClient, query: str) -> None:
    owner: Account = make_organizer(client)
    event = make_event(client, owner)

    response = client.get(f"{API}/events/{event['id']}/bookings?{query}", headers=owner.headers)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [query.partition("=")[0]]
