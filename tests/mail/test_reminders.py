"""Reminders: one per confirmed booking and start time, however often or late the task runs."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.database.transactions import transaction
from bookings_api.mail import reminders, tasks
from bookings_api.models import BookingStatus, Event, OutboxEmail
from tests.factories import API, Account, book, make_event, make_user
from tests.mail.bookings import set_status
from tests.mailbox import Mailbox, part
from tests.service import Service
from tests.sql import execute
from tests.times import utcnow


def _event_in(client: FlaskClient, organizer: Account, **duration: int) -> dict[str, Any]:
    starts_at = utcnow() + timedelta(**duration)
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}
    return make_event(client, organizer, **times)


def _remind(app: Flask) -> None:
    with app.app_context():
        tasks.remind()


def _reminded(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        reminders = sa.select(OutboxEmail.recipient).where(OutboxEmail.kind == "event_reminder")
        return sorted(connection.scalars(reminders))


def test_a_guest_is_reminded_once_per_booking_however_often_the_task_runs(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    user, event = make_user(client), _event_in(client, organizer, hours=23)
    for _ in range(2):
        book(client, user, event)

    for _ in range(3):
        _remind(app)

    assert _reminded(database) == [user.email] * 2  # one per booking


def test_only_confirmed_bookings_are_reminded(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    event = _event_in(client, organizer, hours=1)
    users = {status: make_user(client) for status in BookingStatus}
    buyer = users.pop(BookingStatus.HELD)
    held = book(client, buyer, event, hold_minutes=10).json
    for status, user in users.items():
        set_status(database, book(client, user, event).json, status)
    execute(database, "UPDATE events SET capacity = tickets_booked + tickets_held")  # nobody can be promoted
    _remind(app)
    assert _reminded(database) == [users[BookingStatus.CONFIRMED].email]

    client.post(f"{API}/bookings/{held['id']}/confirm", headers=buyer.headers, json={})
    _remind(app)

    assert _reminded(database) == sorted([users[BookingStatus.CONFIRMED].email, buyer.email])


def test_guests_are_reminded_again_after_the_event_has_moved(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    user, event = make_user(client), _event_in(client, organizer, minutes=20)
    book(client, user, event)
    _remind(app)
    new_start = (utcnow() + timedelta(minutes=61)).isoformat()
    url, headers = f"{API}/events/{event['id']}", organizer.headers
    assert client.patch(url, headers=headers, json={"starts_at": new_start}).status_code == 200

    for _ in range(2):
        _remind(app)

    assert _reminded(database) == [user.email] * 2


def test_a_late_reminder_is_still_sent_before_the_start(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    user = make_user(client)
    book(client, user, _event_in(client, organizer, minutes=1))

    _remind(app)

    assert _reminded(database) == [user.email]


def test_no_reminder_is_sent_too_early_after_the_start_or_after_a_cancellation(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    user = make_user(client)
    book(client, user, _event_in(client, organizer, hours=25))
    started, cancelled, without_booking = (_event_in(client, organizer, hours=1) for _ in range(3))
    for event in (started, cancelled):
        book(client, user, event)
    booking = book(client, user, without_booking).json
    client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)
    client.post(f"{API}/events/{cancelled['id']}/cancel", headers=organizer.headers)
    with database.begin() as connection:
        past = utcnow() - timedelta(seconds=1)
        connection.execute(sa.update(Event).where(Event.id == started["id"]).values(starts_at=past))

    _remind(app)

    assert _reminded(database) == []


def test_reminders_can_be_turned_off(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "REMINDER_HOURS", 0)
    book(client, make_user(client), _event_in(client, organizer, hours=1))

    _remind(app)

    assert _reminded(database) == []


def test_guests_of_a_large_event_are_reminded_in_batches(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "BATCH", 2)
    event = _event_in(client, organizer, hours=1)
    users = [make_user(client) for _ in range(5)]
    for user in users:
        book(client, user, event)

    _remind(app)

    assert _reminded(database) == sorted(user.email for user in users)


def test_two_simultaneous_tasks_remind_each_guest_once(
    app: Flask, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    users = [make_user(client) for _ in range(2)]
    event = _event_in(client, organizer, hours=1)
    for user in users:
        book(client, user, event)
    with app.app_context(), transaction():
        assert reminders.write_next_batch() == 2
        with app.app_context(), transaction():  # another worker, before the first commits
            assert reminders.write_next_batch() == 0

    assert _reminded(database) == sorted(user.email for user in users)


def test_a_reminder_shows_reference_and_location(
    app: Flask, client: FlaskClient, organizer: Account, service: Service, mailbox: Mailbox
) -> None:
    user, event = make_user(client), _event_in(client, organizer, hours=1)
    booking = book(client, user, event).json

    _remind(app)

    (email,) = [email for email in mailbox.wait_for(user.email, count=2) if "Reminder" in email["Subject"]]
    assert email["Subject"] == "Reminder: An Evening of Chamber Music"
    for kind in ("plain", "html"):
        assert booking["reference"] in part(email, kind)
        assert "Konzerthaus Berlin" in part(email, kind)
