"""Migrations from 0007 on keep what existing events sell and what is booked, and can be reverted."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api import audit, create_app
from bookings_api.extensions import db
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.database.migrating import connected, flask_db
from tests.documented import DocumentedClient
from tests.factories import (
    API,
    EVENT,
    book,
    items,
    make_event,
    make_organizer,
    make_ticket_type,
    make_user,
    ticket_types_of,
    types_path,
)

EVENT_ID, ORGANIZER_ID, BUYER_ID, BOOKING_ID = (str(uuid4()) for _ in range(4))

FILL = """
INSERT INTO users (id, email, name, password_hash)
VALUES (%(organizer)s, 'olivia@example.com', 'Olivia', 'hash'), (%(buyer)s, 'uri@example.com', 'Uri', 'hash');
INSERT INTO memberships (organization_id, user_id, role, version)
SELECT organizations.id, users.id, CASE users.name WHEN 'Olivia' THEN 'owner' ELSE 'user' END, 1
FROM users, organizations;
INSERT INTO events (id, organization_id, organizer_id, title, location, timezone, starts_at, ends_at, capacity,
                    tickets_booked, status)
SELECT %(event)s, organizations.id, %(organizer)s, 'Quartets', 'Konzerthaus', 'Europe/Berlin', %(starts_at)s,
       %(ends_at)s, 10, 2, 'published' FROM organizations;
INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, status, cancelled_at)
VALUES (%(booking)s, 'K7M3PTW9XA', %(event)s, %(buyer)s, 2, 'Uri', 'uri@example.com', 'confirmed', NULL),
       (gen_random_uuid(), 'K7M3PTW9XC', %(event)s, %(buyer)s, 3, 'Uri', 'uri@example.com', 'cancelled', now());
"""


@pytest.fixture
def migrated(empty_database: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A service whose database was filled before the migration."""
    assert flask_db("upgrade 0006", empty_database).returncode == 0
    with connected(empty_database) as cursor:
        values = {"event": EVENT_ID, "organizer": ORGANIZER_ID, "buyer": BUYER_ID, "booking": BOOKING_ID}
        cursor.execute(FILL, values | {name: EVENT[name] for name in ("starts_at", "ends_at")})
    up = flask_db("upgrade", empty_database)
    assert up.returncode == 0, up.stderr
    monkeypatch.setenv("DATABASE_URL", empty_database["DATABASE_URL"])
    service = create_app(Config.from_environment(NO_ENV_FILE))
    service.test_client_class = DocumentedClient
    yield service
    with service.app_context():
        db.engine.dispose()


def test_an_existing_event_sells_one_type_and_its_bookings_have_items(migrated: Flask) -> None:
    client = migrated.test_client()

    [general] = ticket_types_of(client, {"id": EVENT_ID})
    booked = book(client, make_user(client), {"id": EVENT_ID}, ticket_count=3)

    assert (general["name"], general["capacity"], general["tickets_available"]) == ("General admission", None, 8)
    assert booked.status_code == 201, booked.text
    assert [item["count"] for item in booked.json["items"]] == [3]
    engine = sa.create_engine(migrated.config["DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        items = connection.execute(sa.text("SELECT count, count(*) FROM booking_items GROUP BY 1 ORDER BY 1"))
        assert items.all() == [(2, 1), (3, 2)]
        assert [*audit.violations(connection, emails_since=timedelta(0))] == []


def test_reverting_the_migration_keeps_events_and_bookings(migrated: Flask, empty_database: dict[str, str]) -> None:
    client = migrated.test_client()
    event = make_event(client, make_organizer(client))
    assert client.get(f"{API}/events/{event['id']}").status_code == 200

    down = flask_db("downgrade 0006", empty_database)

    assert down.returncode == 0, down.stderr
    with connected(empty_database) as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM events), (SELECT sum(ticket_count) FROM bookings)")
        assert cursor.fetchall() == [(2, 5)]
    assert flask_db("upgrade", empty_database).returncode == 0


def test_reverting_ends_holds_and_waiting_lists(migrated: Flask, empty_database: dict[str, str]) -> None:
    client = migrated.test_client()
    organizer, user = make_organizer(client), make_user(client)
    event = make_event(client, organizer, capacity=3, currency="EUR", waitlist="on")
    make_ticket_type(client, organizer, event, name="Free", price=0)
    [general, free] = ticket_types_of(client, event)
    path = f"{types_path(event)}/{general['id']}"
    client.patch(path, headers=organizer.headers, json={"price": 1800})
    held, confirmed = (book(client, user, event, items=items((one, 1))).json for one in (general, free))
    waiting = book(client, user, event, items=items((free, 2)), waitlist=True).json
    payment = {"provider": "stripe", "reference": "pi_1", "amount": 1, "currency": "EUR"}
    paid = client.post(f"{API}/bookings/{held['id']}/confirm", headers=organizer.headers, json={"payment": payment})
    assert [held["status"], waiting["status"], paid.status_code] == ["held", "waitlisted", 409]

    down = flask_db("downgrade 0008", empty_database)

    assert down.returncode == 0, down.stderr
    with connected(empty_database) as cursor:
        cursor.execute("SELECT status, ticket_count FROM bookings WHERE event_id = %s ORDER BY id", [event["id"]])
        assert cursor.fetchall() == [("cancelled", 1), ("confirmed", 1), ("cancelled", 2)]
        cursor.execute("SELECT tickets_booked FROM events WHERE id = %s", [event["id"]])
        assert cursor.fetchone() == (confirmed["ticket_count"],)
    assert flask_db("upgrade", empty_database).returncode == 0
    engine = sa.create_engine(migrated.config["DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert [str(one) for one in audit.violations(connection, emails_since=timedelta(0))] == []
