"""One message per guest and event, however many bookings the guest has and however often the event changes."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import icalendar
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import broadcasts, tasks
from bookings_api.models import Event, EventBroadcast, OutboxEmail
from tests.factories import API, Account, book, make_event, make_user, new_email
from tests.mail.composing import received
from tests.mail.draining import drain_to, let_time_pass
from tests.mail.smtp_server import ScriptedServer, smtp_server
from tests.mailbox import Mailbox, part
from tests.times import utcnow

pytestmark = pytest.mark.usefixtures("context")


def _book_for(
    client: FlaskClient, user: Account, event: dict[str, Any], guest: str, *, count: int
) -> list[dict[str, Any]]:
    """Book `count` times for a guest, and send the confirmations."""
    bookings = [book(client, user, event, guest_email=guest, guest_name=f"Guest {n}").json for n in range(count)]
    tasks.drain()
    return bookings


def _move(client: FlaskClient, organizer: Account, event: dict[str, Any], place: str) -> None:
    changed = client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": place})
    assert changed.status_code == 200


def _notices(mailbox: Mailbox, guest: str, title: str) -> list[Any]:
    return [email for email in mailbox.to(guest) if email["Subject"].startswith(title)]


def _statuses(client: FlaskClient, user: Account, booking: dict[str, Any]) -> list[tuple[str, str]]:
    emails: Any = client.get(f"{API}/bookings/{booking['id']}/emails", headers=user.headers).json
    return [(email["kind"], email["status"]) for email in reversed(emails)]


def test_a_guest_with_20_bookings_gets_one_notice_that_lists_them(
    client: FlaskClient, organizer: Account, user: Account, mailbox: Mailbox
) -> None:
    event, guest, other = make_event(client, organizer, capacity=30), new_email(), new_email()
    bookings = _book_for(client, user, event, guest, count=20)
    book(client, user, event, guest_email=other)
    _move(client, organizer, event, "Philharmonie")

    tasks.drain()

    (notice,) = _notices(mailbox, guest, "Changed")
    for kind in ("plain", "html"):
        text = part(notice, kind)
        for number, booking in enumerate(bookings):
            assert text.count(booking["reference"]) == 1
            assert f"Guest {number}" in text
    assert len(_notices(mailbox, other, "Changed")) == 1
    for booking in bookings:
        assert set(_statuses(client, user, booking)) == {("booking_confirmed", "sent"), ("event_changed", "sent")}


@pytest.mark.parametrize(
    ("action", "title", "method"), [("change", "Changed", "REQUEST"), ("cancel", "Cancelled", "CANCEL")]
)
def test_a_notice_has_a_calendar_object_for_each_booking(
    client: FlaskClient, organizer: Account, user: Account, mailbox: Mailbox, action: str, title: str, method: str
) -> None:
    event, guest = make_event(client, organizer), new_email()
    bookings = _book_for(client, user, event, guest, count=3)
    if action == "change":
        _move(client, organizer, event, "Philharmonie")
    else:
        client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)

    tasks.drain()

    (notice,) = _notices(mailbox, guest, title)
    calendars = [icalendar.Calendar.from_ical(part.get_content()) for part in notice.iter_attachments()]
    assert {str(calendar["METHOD"]) for calendar in calendars} == {method}
    entries = [entry for calendar in calendars for entry in calendar.events]
    assert {str(entry["UID"]) for entry in entries} == {f"{booking['id']}@example.com" for booking in bookings}
    assert len(entries) == len(calendars) == 3
    assert {entry["SEQUENCE"] for entry in entries} == {2 if action == "cancel" else 1}


def test_bookings_in_different_batches_get_one_notice(
    client: FlaskClient, organizer: Account, user: Account, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "BATCH", 3)
    event, guest, other = make_event(client, organizer), new_email(), new_email()
    for address in (guest, other, guest.upper(), other, guest):
        book(client, user, event, guest_email=address)
    _move(client, organizer, event, "Philharmonie")

    tasks.drain()

    notices = [email for email in mailbox.to("@example.com") if email["To"].lower() in {guest, other}]
    moved = sorted(email["To"].lower() for email in notices if email["Subject"].startswith("Changed"))
    assert moved == sorted([guest, other])


def test_a_guest_who_also_booked_for_others_gets_only_the_notice_for_guests(
    client: FlaskClient, organizer: Account, user: Account, mailbox: Mailbox
) -> None:
    event, friend = make_event(client, organizer), make_user(client)
    book(client, user, event, guest_email=new_email())
    own = book(client, friend, event, guest_email=user.email).json
    tasks.drain()
    _move(client, organizer, event, "Philharmonie")

    tasks.drain()

    (notice,) = _notices(mailbox, user.email, "Changed")
    assert own["reference"] in part(notice, "plain")
    assert "booked for others" not in part(notice, "plain")
    assert len(list(notice.iter_attachments())) == 1


def test_a_guest_with_several_bookings_gets_one_reminder(
    client: FlaskClient, organizer: Account, user: Account, mailbox: Mailbox
) -> None:
    starts_at = utcnow() + timedelta(hours=2)
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}
    event, guest = make_event(client, organizer, **times), new_email()
    bookings = _book_for(client, user, event, guest, count=3)

    tasks.remind()
    tasks.drain()

    (reminder,) = _notices(mailbox, guest, "Reminder")
    assert all(booking["reference"] in part(reminder, "plain") for booking in bookings)


def test_a_cancelled_booking_is_not_listed(
    client: FlaskClient, organizer: Account, user: Account, database: sa.Engine, app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    event, guest = make_event(client, organizer), new_email()
    bookings = _book_for(client, user, event, guest, count=3)
    _move(client, organizer, event, "Philharmonie")
    server = ScriptedServer(data="451 come back later")
    with smtp_server(server) as port:
        drain_to(port, app, monkeypatch)
        client.delete(f"{API}/bookings/{bookings[0]['id']}", headers=user.headers)
        server.behave()
        drain_to(port, app, monkeypatch)
        let_time_pass(database)
        drain_to(port, app, monkeypatch)

    messages = [received(content) for content in server.accepted]
    (notice,) = [each for each in messages if each["To"] == guest and each["Subject"].startswith("Changed")]
    listed = [booking["reference"] in part(notice, "plain") for booking in bookings]
    assert listed == [False, True, True]
    assert ("event_changed", "dropped") in _statuses(client, user, bookings[0])


def test_a_new_notice_does_not_fail_with_one_after_its_last_attempt(
    client: FlaskClient, organizer: Account, user: Account, database: sa.Engine, app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    event, guest = make_event(client, organizer), new_email()
    old, new = _book_for(client, user, event, guest, count=2)
    _move(client, organizer, event, "Philharmonie")
    server = ScriptedServer(data="451 come back later")
    with smtp_server(server) as port:
        drain_to(port, app, monkeypatch)
        with database.begin() as connection:
            is_old = OutboxEmail.booking_id == UUID(old["id"])
            exhausted = sa.update(OutboxEmail).where(OutboxEmail.kind == "event_changed", is_old)
            connection.execute(exhausted.values(attempts=app.config["MAIL_MAX_ATTEMPTS"]))
        let_time_pass(database)
        server.behave()
        drain_to(port, app, monkeypatch)

    assert _statuses(client, user, old)[-1] == ("event_changed", "failed")
    assert _statuses(client, user, new)[-1] == ("event_changed", "sent")


def test_changes_within_a_few_minutes_become_one_notice(
    client: FlaskClient, organizer: Account, user: Account, database: sa.Engine, mailbox: Mailbox, app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "NOTICE_DELAY_SECONDS", 180)
    event, guest = make_event(client, organizer), new_email()
    _book_for(client, user, event, guest, count=2)
    for number in range(10):
        _move(client, organizer, event, f"Hall {number}")
    tasks.drain()
    assert _notices(mailbox, guest, "Changed") == []

    _let_the_delay_pass(database)
    tasks.drain()

    (notice,) = _notices(mailbox, guest, "Changed")
    assert "Hall 9" in part(notice, "plain")


def test_the_notice_of_an_end_within_the_delay_is_not_delayed(
    client: FlaskClient, organizer: Account, user: Account, database: sa.Engine, mailbox: Mailbox, app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "NOTICE_DELAY_SECONDS", 180)
    event, guest = make_event(client, organizer), new_email()
    _book_for(client, user, event, guest, count=1)
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(starts_at=sa.func.now() - timedelta(hours=1)))
    changes = {"ends_at": (utcnow() + timedelta(minutes=1)).isoformat()}
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json=changes)

    tasks.drain()

    assert len(_notices(mailbox, guest, "Changed")) == 1


def test_a_further_change_does_not_delay_the_notice(
    client: FlaskClient, organizer: Account, user: Account, database: sa.Engine, mailbox: Mailbox, app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "NOTICE_DELAY_SECONDS", 180)
    event, guest = make_event(client, organizer), new_email()
    _book_for(client, user, event, guest, count=1)
    _move(client, organizer, event, "Hall 1")
    _let_the_delay_pass(database)

    _move(client, organizer, event, "Hall 2")
    tasks.drain()

    (notice,) = _notices(mailbox, guest, "Changed")
    assert "Hall 2" in part(notice, "plain")


def test_a_cancellation_is_not_delayed(
    client: FlaskClient, organizer: Account, user: Account, mailbox: Mailbox, app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "NOTICE_DELAY_SECONDS", 180)
    event, guest = make_event(client, organizer), new_email()
    _book_for(client, user, event, guest, count=2)
    _move(client, organizer, event, "Philharmonie")
    client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)

    tasks.drain()

    assert len(_notices(mailbox, guest, "Cancelled")) == 1
    assert _notices(mailbox, guest, "Changed") == []


def _let_the_delay_pass(database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(EventBroadcast).values(due_at=sa.func.now()))
