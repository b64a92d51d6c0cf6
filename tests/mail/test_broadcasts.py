"""Emails to all guests of an event: one row per change, expanded into exactly one email per booking."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.inventory.cancellation import cancel_bookings_of
from bookings_api.inventory.locking import lock_event
from bookings_api.mail import broadcasts, tasks
from bookings_api.models import Booking, BookingStatus, Event, EventBroadcast, OutboxEmail
from tests.factories import API, Account, book, make_event, make_user
from tests.mail.bookings import set_status
from tests.mailbox import Mailbox, part
from tests.service import Service


def _change(client: FlaskClient, organizer: Account, event: dict[str, Any], **changes: Any) -> None:
    assert client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json=changes).status_code == 200


def _expand_all(app: Flask) -> None:
    with app.app_context():
        goes_on = True
        while goes_on:
            with transaction():
                goes_on = broadcasts.write_next_batch()


def _recipients(database: sa.Engine, kind: str) -> list[str]:
    with database.connect() as connection:
        emails = sa.select(OutboxEmail.recipient).where(OutboxEmail.kind == kind)
        return sorted(connection.scalars(emails))


def test_each_guest_gets_one_email(app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine) -> None:
    event = make_event(client, organizer)
    early, cancelled, late = (make_user(client) for _ in range(3))
    book(client, early, event)
    off = book(client, cancelled, event).json
    client.delete(f"{API}/bookings/{off['id']}", headers=cancelled.headers)
    _change(client, organizer, event, location="Philharmonie")
    book(client, late, event)  # the confirmation already shows the new location

    for _ in range(3):
        _expand_all(app)

    assert _recipients(database, "event_changed") == [early.email]


def test_guests_with_a_hold_or_on_the_waiting_list_are_notified_of_a_change(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    event = make_event(client, organizer, capacity=len(BookingStatus))
    users = {status: make_user(client) for status in BookingStatus}
    for status, user in users.items():
        set_status(database, book(client, user, event).json, status)
    _change(client, organizer, event, location="Philharmonie")

    _expand_all(app)

    notified = {users[status].email for status in ("confirmed", "held", "waitlisted")}
    assert set(_recipients(database, "event_changed")) == notified


def test_a_guest_promoted_by_a_change_is_not_notified_of_it(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    event = make_event(client, organizer, capacity=1, waitlist="on")
    guest, promoted = make_user(client), make_user(client)
    book(client, guest, event)
    book(client, promoted, event, waitlist=True)
    _change(client, organizer, event, capacity=2, location="Philharmonie")

    _expand_all(app)

    assert _recipients(database, "event_changed") == [guest.email]
    assert _recipients(database, "booking_confirmed") == sorted([guest.email, promoted.email])


def test_a_later_change_replaces_one_that_was_not_emailed_yet(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    event, user = make_event(client, organizer), make_user(client)
    book(client, user, event)
    _change(client, organizer, event, location="Philharmonie")
    _change(client, organizer, event, location="Waldbühne")

    _expand_all(app)

    assert _recipients(database, "event_changed") == [user.email]
    with database.connect() as connection:
        payload = connection.scalars(sa.select(OutboxEmail.payload).where(OutboxEmail.kind == "event_changed")).one()
    assert payload["location"] == "Waldbühne"


def test_each_change_is_emailed(app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine) -> None:
    event, user = make_event(client, organizer), make_user(client)
    book(client, user, event)
    for place in ("Philharmonie", "Waldbühne"):
        _change(client, organizer, event, location=place)
        _expand_all(app)

    assert _recipients(database, "event_changed") == [user.email] * 2


@pytest.mark.parametrize(("method", "action"), [("POST", "/cancel"), ("DELETE", "")])
def test_a_cancellation_is_sent_to_the_guests_of_the_bookings_it_cancels(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine, method: str, action: str
) -> None:
    event = make_event(client, organizer)
    guest, cancelled = make_user(client), make_user(client)
    book(client, guest, event)
    off = book(client, cancelled, event).json
    client.delete(f"{API}/bookings/{off['id']}", headers=cancelled.headers)
    client.open(f"{API}/events/{event['id']}{action}", method=method, headers=organizer.headers)

    _expand_all(app)

    assert _recipients(database, "event_cancelled") == [guest.email]


def test_a_worker_that_dies_between_batches_skips_no_guest(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "BATCH", 2)
    event = make_event(client, organizer)
    users = [make_user(client) for _ in range(5)]
    for user in users:
        book(client, user, event)
    _change(client, organizer, event, location="Philharmonie")
    with app.app_context(), transaction():
        assert broadcasts.write_next_batch()
    assert len(_recipients(database, "event_changed")) == 2

    _expand_all(app)

    assert _recipients(database, "event_changed") == sorted(user.email for user in users)
    with app.app_context(), transaction():
        assert not broadcasts.write_next_batch()


def test_a_broadcast_that_another_worker_is_expanding_is_skipped(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    book(client, make_user(client), event)
    _change(client, organizer, event, location="Philharmonie")
    with database.begin() as elsewhere:
        elsewhere.execute(sa.select(EventBroadcast.id).with_for_update())

        _expand_all(app)

    assert _recipients(database, "event_changed") == []


def test_single_emails_are_sent_before_those_of_a_broadcast(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 0)  # one email per task
    event, user = make_event(client, organizer), make_user(client)
    book(client, user, event)
    _change(client, organizer, event, location="Philharmonie")
    book(client, user, event)

    def sent() -> list[str]:
        with app.app_context():
            tasks.drain()
        with database.connect() as connection:
            kinds = sa.select(OutboxEmail.kind).where(OutboxEmail.status == "sent").order_by(OutboxEmail.sent_at)
            return list(connection.scalars(kinds))

    assert [sent(), sent(), sent()][-1] == ["booking_confirmed", "booking_confirmed", "event_changed"]


def test_the_running_service_emails_guests_about_a_change(
    client: FlaskClient, organizer: Account, service: Service, mailbox: Mailbox
) -> None:
    event, user = make_event(client, organizer), make_user(client)
    book(client, user, event, guest_name="Grace Hopper")
    _change(client, organizer, event, location="Philharmonie", starts_at="2099-06-19T20:30:00+02:00")

    (email,) = [email for email in mailbox.wait_for(user.email, count=2) if "Changed" in email["Subject"]]

    assert email["Subject"] == "Changed: An Evening of Chamber Music"
    for kind in ("plain", "html"):
        assert "Philharmonie" in part(email, kind)
        assert "Friday, 19 June 2099, 20:30 (Europe/Berlin, UTC+02:00)" in part(email, kind)
        assert "Grace Hopper" in part(email, kind)


BOOKINGS, WAITING = 50_000, 5_000
_INSERT = sa.text("""
    INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, confirmed_at,
                          waitlisted_at, status)
    SELECT gen_random_uuid(), lpad(n::text, 10, '0'), event_id, user_id, 1, guest_name, n || guest_email, confirmed_at,
           CASE WHEN n > :confirmed THEN confirmed_at END,
           CASE WHEN n > :confirmed THEN 'waitlisted' ELSE 'confirmed' END
    FROM bookings, generate_series(2, :count) AS n
""")


@pytest.fixture
def large_event(client: FlaskClient, organizer: Account, database: sa.Engine) -> dict[str, Any]:
    """An event with `BOOKINGS` confirmed bookings and `WAITING` waiting ones."""
    event = make_event(client, organizer, capacity=BOOKINGS, waitlist="on")
    book(client, make_user(client), event)
    with database.begin() as connection:
        connection.execute(_INSERT, {"confirmed": BOOKINGS, "count": BOOKINGS + WAITING})
        connection.execute(sa.update(Event).values(tickets_booked=BOOKINGS))
    return event


def test_cancelling_a_large_event_writes_no_index_entries_for_confirmed_bookings(
    app: Flask, large_event: dict[str, Any]
) -> None:
    hot_updates = sa.select(sa.func.pg_stat_get_xact_tuples_hot_updated(sa.text("'bookings'::regclass")))
    with app.app_context(), transaction():
        event, now = lock_event(UUID(large_event["id"]))

        cancel_bookings_of(event, now=now)

        assert db.session.scalar(hot_updates) == BOOKINGS


@pytest.mark.long
def test_cancelling_a_large_event_writes_one_row_and_later_notifies_everyone_once(
    app: Flask, client: FlaskClient, organizer: Account, large_event: dict[str, Any], database: sa.Engine
) -> None:
    cancelled = client.post(f"{API}/events/{large_event['id']}/cancel", headers=organizer.headers)

    assert (cancelled.status_code, cancelled.json["tickets_booked"]) == (200, 0)
    with database.connect() as connection:
        active = sa.select(sa.func.count()).where(Booking.status != "cancelled")
        assert connection.scalars(active).one() == 0
        assert connection.scalars(sa.select(sa.func.count()).select_from(EventBroadcast)).one() == 1
        assert connection.scalars(sa.select(sa.func.count()).select_from(OutboxEmail)).one() == 1
        guests = sorted(connection.scalars(sa.select(Booking.guest_email)))
    _expand_all(app)
    assert _recipients(database, "event_cancelled") == guests
