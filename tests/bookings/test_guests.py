"""Emails to guests who are not the account that booked."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import broadcasts, tasks
from bookings_api.models import Booking, Event
from tests.calendar.client import calendar_body
from tests.factories import API, Account, book, make_account, make_event, new_email
from tests.mailbox import Mailbox, part
from tests.times import utcnow


def _send(app: Flask) -> None:
    with app.app_context():
        tasks.drain()


def _remind(app: Flask, database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(starts_at=utcnow() + timedelta(hours=1)))
    with app.app_context():
        tasks.remind()


@pytest.mark.parametrize("name", ["Ada Lovelace", None])
def test_every_email_to_another_address_says_who_booked(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox, organizer: Account, name: str | None
) -> None:
    buyer, guest = make_account(client, name=name), new_email()
    event = make_event(client, organizer)
    booking = book(client, buyer, event, guest_name="Grace Hopper", guest_email=guest).json
    path = f"{API}/bookings/{booking['id']}"
    _send(app)
    client.patch(path, headers=buyer.headers, json={"ticket_count": 2})
    _send(app)
    assert client.post(f"{path}/emails", headers=organizer.headers).status_code == 202
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
    _send(app)
    _remind(app, database)
    _send(app)
    client.delete(path, headers=buyer.headers)
    _send(app)

    emails = mailbox.to(guest)

    assert len(emails) == 6
    who = f"Ada Lovelace ({buyer.email})" if name else buyer.email
    for email in emails:
        for kind in ("plain", "html"):
            assert f"{who} made this booking for you." in part(email, kind)


def test_every_email_to_a_guest_whom_an_organizer_entered_names_that_organizer(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox, organizer: Account
) -> None:
    buyer, guest = make_account(client), new_email()
    event = make_event(client, organizer)
    path = f"{API}/bookings/{book(client, buyer, event).json['id']}"
    _remind(app, database)
    _send(app)
    client.patch(path, headers=organizer.headers, json={"guest_email": guest})
    _send(app)
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
    _send(app)
    with database.begin() as connection:
        connection.execute(sa.update(Booking).values(reminded_for=None))
    _remind(app, database)
    _send(app)
    client.patch(path, headers=buyer.headers, json={"ticket_count": 2})
    _send(app)
    client.patch(path, headers=buyer.headers, json={"guest_email": buyer.email})
    _send(app)

    emails = mailbox.to(guest)

    assert len(emails) == 5
    for email in emails:
        assert f"by Olivia Organizer ({organizer.email})" in part(email, "plain") or (
            f"Olivia Organizer ({organizer.email}) made this booking for you." in part(email, "plain")
        )
    assert all("made this booking" not in part(email, "plain") for email in mailbox.to(buyer.email))


@pytest.mark.parametrize("order", [{}, {"guest_name": "Grace Hopper"}])
def test_an_email_to_the_accounts_own_address_does_not_say_who_booked(
    app: Flask, client: FlaskClient, mailbox: Mailbox, organizer: Account, order: dict[str, Any]
) -> None:
    buyer = make_account(client)
    book(client, buyer, make_event(client, organizer), guest_email=buyer.email.upper(), **order)
    _send(app)

    (email,) = mailbox.to(buyer.email.upper().replace("EXAMPLE.COM", "example.com"))

    assert "made this booking" not in part(email, "plain")


def _end_or_move(client: FlaskClient, organizer: Account, event: dict[str, Any], *, is_cancelled: bool) -> None:
    url = f"{API}/events/{event['id']}"
    if is_cancelled:
        assert client.post(f"{url}/cancel", headers=organizer.headers).status_code == 200
    else:
        change = client.patch(url, headers=organizer.headers, json={"location": "Philharmonie"})
        assert change.status_code == 200


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "changed"])
def test_an_account_that_booked_for_others_is_notified_once(
    app: Flask,
    client: FlaskClient,
    mailbox: Mailbox,
    organizer: Account,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_cancelled: bool,
) -> None:
    monkeypatch.setattr(broadcasts, "BATCH", 2)
    buyer, event, guests = make_account(client), make_event(client, organizer), [new_email() for _ in range(5)]
    for guest in guests:
        book(client, buyer, event, guest_email=guest, guest_name="Grace Hopper")
    _send(app)
    _end_or_move(client, organizer, event, is_cancelled=is_cancelled)
    _send(app)

    (email,) = mailbox.to(buyer.email)

    assert email["Subject"] == ("Cancelled" if is_cancelled else "Changed") + ": An Evening of Chamber Music"
    assert email["Reply-To"] is None
    assert calendar_body(email) is None
    for kind in ("plain", "html"):
        assert "Hello Ada Lovelace," in part(email, kind)
        assert "an event you booked for others" in part(email, kind)
        assert "Reference" not in part(email, kind)
        assert "Hopper" not in part(email, kind)
    assert {len(mailbox.to(guest)) for guest in guests} == {2}


def test_a_guest_who_also_booked_for_others_gets_only_their_own_email(
    app: Flask, client: FlaskClient, mailbox: Mailbox, organizer: Account
) -> None:
    buyer, event = make_account(client), make_event(client, organizer)
    book(client, buyer, event, guest_email=new_email())
    book(client, buyer, event)
    _send(app)
    _end_or_move(client, organizer, event, is_cancelled=True)
    _send(app)

    emails = mailbox.to(buyer.email)

    assert sorted(email["Subject"].split(":")[0].split()[0] for email in emails) == ["Cancelled", "Your"]
    assert all(calendar_body(email) for email in emails)
