"""Events and bookings as iCalendar files."""

from typing import Any

import icalendar
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bookings_api.mail import tasks
from bookings_api.models import BookingStatus
from tests.factories import API, EVENT, Account, book, make_event, make_organizer, make_user
from tests.mail.bookings import set_status
from tests.mailbox import Mailbox


def _event_file(client: FlaskClient, event: Any, account: Account | None = None) -> TestResponse:
    return client.get(f"{API}/events/{event['id']}/calendar.ics", headers=account.headers if account else {})


def _booking_file(client: FlaskClient, booking: Any, account: Account) -> TestResponse:
    return client.get(f"{API}/bookings/{booking['id']}/calendar.ics", headers=account.headers)


def _entry(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    calendar = icalendar.Calendar.from_ical(response.data)
    assert "METHOD" not in calendar
    (entry,) = calendar.events
    return entry


def _properties(entry: Any) -> dict[str, Any]:
    """The properties of an entry as text, without the time stamp."""
    return {name: value.to_ical().decode() for name, value in entry.items() if name != "DTSTAMP"}


def test_an_event_is_a_public_calendar_entry(client: FlaskClient) -> None:
    event = make_event(client, description="Two late quartets;\nbring\ttissues, \\o/ ")

    response = _event_file(client, event)

    assert response.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert response.headers["Content-Disposition"] == f'attachment; filename="event-{event["id"]}.ics"'
    assert _properties(_entry(response)) == {
        "UID": f"{event['id']}@example.com",
        "SEQUENCE": "0",
        "DTSTART": "20990619T173000Z",
        "DTEND": "20990619T200000Z",
        "SUMMARY": EVENT["title"],
        "LOCATION": EVENT["location"],
        "DESCRIPTION": "Two late quartets\\;\\nbring tissues\\, \\\\o/",
        "STATUS": "CONFIRMED",
    }


def test_an_entry_has_no_description_if_the_event_has_none(client: FlaskClient) -> None:
    assert "DESCRIPTION" not in _entry(_event_file(client, make_event(client, description="")))


def test_a_changed_event_is_a_later_version_of_the_same_entry(client: FlaskClient) -> None:
    owner = make_organizer(client)
    event = make_event(client, owner)
    first = _entry(_event_file(client, event))
    client.patch(f"{API}/events/{event['id']}", headers=owner.headers, json={"location": "Philharmonie"})

    changed = _entry(_event_file(client, event))

    assert (changed["UID"], changed["SEQUENCE"], changed["LOCATION"]) == (first["UID"], 1, "Philharmonie")
    assert changed["DTSTAMP"].dt >= first["DTSTAMP"].dt


def test_a_cancelled_event_stays_visible_and_a_deleted_one_does_not(client: FlaskClient) -> None:
    owner = make_organizer(client)
    event = make_event(client, owner)
    client.post(f"{API}/events/{event['id']}/cancel", headers=owner.headers)
    assert _entry(_event_file(client, event))["STATUS"] == "CANCELLED"

    client.delete(f"{API}/events/{event['id']}", headers=owner.headers)
    assert _event_file(client, event, owner).json["code"] == "event-not-found"


def test_a_draft_is_tentative_and_visible_to_its_owner_only(client: FlaskClient) -> None:
    owner = make_organizer(client)
    draft = make_event(client, owner, status="draft")

    assert _entry(_event_file(client, draft, owner))["STATUS"] == "TENTATIVE"
    for other in (None, make_user(client), make_organizer(client)):
        assert _event_file(client, draft, other).json["code"] == "event-not-found"


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["confirmed", "cancelled"])
def test_a_downloaded_booking_equals_the_emailed_entry(
    client: FlaskClient, mailbox: Mailbox, *, is_cancelled: bool
) -> None:
    user, event = make_user(client), make_event(client, title="Träume, Teil 2; \\o/")
    booking = book(client, user, event, guest_name="Füße: Inc").json
    if is_cancelled:
        client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)
    with client.application.app_context():
        tasks.drain()

    response = _booking_file(client, booking, user)

    (email,) = mailbox.wait_for(user.email)
    (file,) = email.iter_attachments()
    mailed = icalendar.Calendar.from_ical(file.get_content()).events[0]
    assert _properties(_entry(response)) == _properties(mailed)
    assert _entry(response)["STATUS"] == ("CANCELLED" if is_cancelled else "CONFIRMED")
    assert response.headers["Content-Disposition"] == f'attachment; filename="booking-{booking["reference"]}.ics"'


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (BookingStatus.HELD, "TENTATIVE"),
        (BookingStatus.WAITLISTED, "TENTATIVE"),
        (BookingStatus.EXPIRED, "CANCELLED"),
        (BookingStatus.CANCELLED, "CANCELLED"),
    ],
)
def test_only_a_confirmed_booking_is_a_confirmed_entry(
    client: FlaskClient, user: Account, database: sa.Engine, status: BookingStatus, shown: str
) -> None:
    booking = book(client, user, make_event(client)).json
    assert _entry(_booking_file(client, booking, user))["STATUS"] == "CONFIRMED"

    set_status(database, booking, status)

    assert _entry(_booking_file(client, booking, user))["STATUS"] == shown


def test_a_booking_follows_its_event_even_after_deletion(client: FlaskClient) -> None:
    owner, user = make_organizer(client), make_user(client)
    event = make_event(client, owner)
    booking = book(client, user, event).json
    tag = _booking_file(client, booking, user).headers["ETag"]

    client.patch(f"{API}/events/{event['id']}", headers=owner.headers, json={"title": "Another"})
    moved = _booking_file(client, booking, user)
    client.delete(f"{API}/events/{event['id']}", headers=owner.headers)

    assert (_entry(moved)["SUMMARY"], _entry(moved)["SEQUENCE"], moved.headers["ETag"] != tag) == ("Another", 1, True)
    for account in (user, owner):
        assert _entry(_booking_file(client, booking, account))["STATUS"] == "CANCELLED"


@pytest.mark.parametrize(
    "text", ["x\nATTENDEE:mailto:eve@example.com", 'a"; b, c\\n \\N ;X=1:', "漢" * 200, "\tend:vevent"]
)
def test_no_text_of_an_event_injects_content(client: FlaskClient, text: str) -> None:
    harmless = _entry(_event_file(client, make_event(client)))

    response = _event_file(client, make_event(client, description=f"x {text}", title=" ".join(text.split())))

    entry = _entry(response)
    assert entry.keys() == harmless.keys()
    assert str(entry["DESCRIPTION"]) == "\n".join(" ".join(line.split()) for line in f"x {text}".split("\n"))
    assert all(len(line) <= 75 for line in response.data.split(b"\r\n"))
    assert b"\n" not in response.data.replace(b"\r\n", b"")
