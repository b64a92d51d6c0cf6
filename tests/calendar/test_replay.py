"""Sequences of emails, imported by a calendar app as they arrive."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import tasks
from tests.calendar.client import Calendar, Invitation
from tests.factories import API, Account, book, make_event, new_email
from tests.mailbox import Mailbox


class Guest:
    """Someone who imports every invitation they receive."""

    def __init__(self, app: Flask, mailbox: Mailbox, address: str) -> None:
        self.address = address
        self._app, self._mailbox = app, mailbox
        self._calendar = Calendar()
        self._received: set[str] = set()

    def receive(self) -> list[Invitation]:
        """Send all due emails, and import the new ones."""
        with self._app.app_context():
            tasks.drain()
        new = [email for email in self._mailbox.to(self.address) if email["Message-ID"] not in self._received]
        self._received |= {email["Message-ID"] for email in new}
        return self._calendar.receive(new)

    @property
    def entry(self) -> Invitation:
        """The only entry of their calendar."""
        (entry,) = self._calendar.entries.values()
        return entry


@pytest.fixture
def guest(app: Flask, mailbox: Mailbox, user: Account) -> Guest:
    return Guest(app, mailbox, user.email)


def _change(client: FlaskClient, account: Account, path: str, **changes: Any) -> None:
    assert client.patch(f"{API}/{path}", headers=account.headers, json=changes).status_code == 200


def _methods(invitations: list[Invitation]) -> list[str]:
    return [invitation.method for invitation in invitations]


def test_an_entry_appears_changes_and_is_cancelled_with_its_booking(
    client: FlaskClient, organizer: Account, user: Account, guest: Guest
) -> None:
    event = make_event(client, organizer)
    booking = book(client, user, event).json

    assert _methods(guest.receive()) == ["REQUEST"]
    added = guest.entry
    assert (added.uid, added.sequence, added.status) == (f"{booking['id']}@example.com", 0, "CONFIRMED")
    assert (added.attendee, added.title) == (f"mailto:{user.email}", event["title"])

    _change(client, user, f"bookings/{booking['id']}", ticket_count=2)
    assert _methods(guest.receive()) == ["REQUEST"]
    assert (guest.entry.sequence, guest.entry.status) == (1, "CONFIRMED")

    client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)
    assert _methods(guest.receive()) == ["CANCEL"]
    assert (guest.entry.sequence, guest.entry.status) == (2, "CANCELLED")


def test_an_entry_follows_its_event_until_it_is_cancelled(
    client: FlaskClient, organizer: Account, user: Account, guest: Guest
) -> None:
    event = make_event(client, organizer)
    book(client, user, event)
    guest.receive()

    _change(client, organizer, f"events/{event['id']}", location="Philharmonie")
    assert _methods(guest.receive()) == ["REQUEST"]
    assert (guest.entry.sequence, guest.entry.location) == (1, "Philharmonie")

    client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)
    assert _methods(guest.receive()) == ["CANCEL"]
    assert guest.entry.status == "CANCELLED"
    assert guest.entry.sequence > 1


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"title": "Another Evening"}, ("title", "Another Evening")),
        ({"location": "Philharmonie"}, ("location", "Philharmonie")),
        ({"starts_at": "2099-06-19T20:00:00+02:00"}, ("starts_at", datetime(2099, 6, 19, 18, tzinfo=UTC))),
        ({"ends_at": "2099-06-19T23:00:00+02:00"}, ("ends_at", datetime(2099, 6, 19, 21, tzinfo=UTC))),
        ({"contact_name": "Box office"}, ("organizer_name", "Box office")),
        ({"contact_email": "concerts@example.com"}, ("organizer", "mailto:concerts@example.com")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_change_that_calendars_show_updates_them(
    client: FlaskClient,
    organizer: Account,
    user: Account,
    guest: Guest,
    changes: dict[str, str],
    shown: tuple[str, Any],
) -> None:
    event = make_event(client, organizer)
    book(client, user, event)
    guest.receive()
    uid = guest.entry.uid

    _change(client, organizer, f"events/{event['id']}", **changes)

    assert _methods(guest.receive()) == ["REQUEST"]
    name, value = shown
    assert getattr(guest.entry, name) == value
    assert (guest.entry.uid, guest.entry.sequence, guest.entry.status) == (uid, 1, "CONFIRMED")


def test_a_change_that_calendars_do_not_show_sends_no_email(
    client: FlaskClient, organizer: Account, user: Account, guest: Guest
) -> None:
    event = make_event(client, organizer)
    book(client, user, event)
    guest.receive()

    _change(client, organizer, f"events/{event['id']}", description="Three quartets", capacity=20)

    assert guest.receive() == []


def test_a_former_guest_loses_the_entry_and_the_new_one_gets_it(
    app: Flask, client: FlaskClient, mailbox: Mailbox, organizer: Account, user: Account
) -> None:
    former, new = (Guest(app, mailbox, new_email()) for _ in range(2))
    event = make_event(client, organizer)
    booking = book(client, user, event, guest_name="Grace Hopper", guest_email=former.address).json
    assert _methods(former.receive()) == ["REQUEST"]
    added = former.entry

    path = f"bookings/{booking['id']}"
    _change(client, user, path, guest_name="Alan Turing", guest_email=new.address, ticket_count=3)

    assert (_methods(former.receive()), _methods(new.receive())) == (["CANCEL"], ["REQUEST"])
    for entry, status, guest in ((former.entry, "CANCELLED", former), (new.entry, "CONFIRMED", new)):
        assert (entry.uid, entry.status, entry.attendee) == (added.uid, status, f"mailto:{guest.address}")
        assert entry.sequence > added.sequence
    (email,) = [email for email in mailbox.to(former.address) if "no longer" in email["Subject"]]
    assert email["Subject"] == "You are no longer booked: An Evening of Chamber Music"
    assert not any(detail in email.as_string() for detail in ("Turing", new.address, "Tickets: 3"))

    _change(client, user, path, guest_email=former.address)
    assert (_methods(former.receive()), _methods(new.receive())) == (["REQUEST"], ["CANCEL"])
    assert (former.entry.status, new.entry.status) == ("CONFIRMED", "CANCELLED")

    client.delete(f"{API}/{path}", headers=user.headers)
    assert (_methods(former.receive()), _methods(new.receive())) == (["CANCEL"], [])
    assert former.entry.status == "CANCELLED"
