"""Emails that become outdated while they wait: they are dropped, and later ones are not held back."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import tasks
from bookings_api.models import Event, OneTimeToken, OutboxEmail
from tests.factories import API, Account, book, make_event, make_organizer, make_user, new_email
from tests.mail.composing import received
from tests.mail.draining import drain_to, let_time_pass
from tests.mail.smtp_server import ScriptedServer, smtp_server
from tests.times import utcnow


class Delivery:
    """A worker and a mail server that first defers every email."""

    def __init__(self, app: Flask, server: ScriptedServer, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app, self._server, self._port, self._monkeypatch = app, server, port, monkeypatch

    def run(self) -> None:
        with self._app.app_context():
            drain_to(self._port, self._app, self._monkeypatch)

    def remind(self) -> None:
        with self._app.app_context():
            tasks.remind()

    def recover(self) -> None:
        self._server.behave()
        self.run()

    def received(self) -> list[tuple[str, str]]:
        messages = [received(content) for content in self._server.accepted]
        return [(str(message["To"]), str(message["Subject"]).split(":")[0]) for message in messages]


@pytest.fixture
def delivery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivery]:
    server = ScriptedServer(data="451 come back later")
    with smtp_server(server) as port:
        yield Delivery(app, server, port, monkeypatch)


@pytest.fixture
def organizer(client: FlaskClient) -> Account:
    return make_organizer(client)


@pytest.fixture
def user(client: FlaskClient) -> Account:
    return make_user(client)


def _times(**from_now: int) -> dict[str, str]:
    starts_at = utcnow() + timedelta(**from_now)
    return {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}


def _event_tomorrow(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer, **_times(hours=20))


def _patch_event(client: FlaskClient, organizer: Account, event: dict[str, Any], **changes: Any) -> None:
    assert client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json=changes).status_code == 200


def _emails(client: FlaskClient, account: Account, booking: dict[str, Any]) -> list[tuple[str, str]]:
    emails: Any = client.get(f"{API}/bookings/{booking['id']}/emails", headers=account.headers).json
    return [(email["kind"], email["status"]) for email in reversed(emails)]


def test_a_deferred_reminder_of_a_moved_event_is_dropped_and_does_not_hold_back_the_notice(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery
) -> None:
    event = _event_tomorrow(client, organizer)
    booking = book(client, user, event).json
    delivery.remind()
    delivery.run()
    _patch_event(client, organizer, event, **_times(days=40))

    delivery.recover()

    assert _emails(client, user, booking) == [
        ("booking_confirmed", "sent"),
        ("event_reminder", "dropped"),
        ("event_changed", "sent"),
    ]
    assert [subject for _, subject in delivery.received()][1:] == ["Changed"]


def test_only_the_cancellation_is_sent_once_an_event_is_cancelled(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery
) -> None:
    event = _event_tomorrow(client, organizer)
    booking = book(client, user, event).json
    delivery.remind()
    delivery.run()
    client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)

    delivery.recover()

    assert _emails(client, user, booking) == [
        ("booking_confirmed", "dropped"),
        ("event_reminder", "dropped"),
        ("event_cancelled", "sent"),
    ]
    assert delivery.received() == [(user.email, "Cancelled")]


def test_a_dropped_email_shows_the_reason(client: FlaskClient, user: Account, delivery: Delivery) -> None:
    booking = book(client, user, make_event(client)).json
    delivery.run()
    path = f"{API}/bookings/{booking['id']}"
    client.delete(path, headers=user.headers)

    delivery.recover()

    emails: Any = client.get(f"{path}/emails", headers=user.headers).json
    _, confirmation = emails
    assert (confirmation["status"], confirmation["last_error"]) == ("dropped", "The booking was cancelled.")
    assert (confirmation["sent_at"], confirmation["next_attempt_at"]) == (None, None)


def test_a_reminder_with_outdated_details_is_replaced(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery
) -> None:
    booking = book(client, user, _event_tomorrow(client, organizer)).json
    delivery.remind()
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": 3})
    delivery.recover()

    delivery.remind()
    delivery.run()

    assert _emails(client, user, booking) == [
        ("booking_confirmed", "dropped"),
        ("event_reminder", "dropped"),
        ("booking_changed", "sent"),
        ("event_reminder", "sent"),
    ]


def test_only_the_latest_description_of_a_booking_is_sent(
    client: FlaskClient, user: Account, delivery: Delivery
) -> None:
    booking = book(client, user, make_event(client)).json
    delivery.run()
    for count in (2, 3):
        client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": count})

    delivery.recover()

    assert [status for _, status in _emails(client, user, booking)] == ["dropped", "dropped", "sent"]


def test_a_machine_whose_clock_is_ahead_does_not_hide_later_descriptions(
    client: FlaskClient, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    booking = book(client, user, make_event(client)).json
    delivery.run()
    with database.begin() as connection:
        connection.execute(sa.update(OutboxEmail).values(id=UUID("0fffffff-ffff-7fff-bfff-ffffffffffff")))
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": 2})

    delivery.recover()

    statuses = sa.select(OutboxEmail.kind, OutboxEmail.status).order_by(OutboxEmail.created_at)
    with database.connect() as connection:
        rows = connection.execute(statuses).all()
    assert rows == [("booking_confirmed", "dropped"), ("booking_changed", "sent")]


def test_a_description_that_failed_does_not_replace_an_earlier_one(
    client: FlaskClient, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    booking = book(client, user, make_event(client)).json
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": 2})
    with database.begin() as connection:
        changed = sa.update(OutboxEmail).where(OutboxEmail.kind == "booking_changed")
        connection.execute(changed.values(status="failed"))

    delivery.recover()

    assert _emails(client, user, booking) == [("booking_confirmed", "sent"), ("booking_changed", "failed")]


def test_the_case_of_an_address_does_not_matter(client: FlaskClient, user: Account, delivery: Delivery) -> None:
    guest = new_email()
    booking = book(client, user, make_event(client), guest_email=guest).json
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"guest_email": guest.upper()})

    delivery.recover()

    assert _emails(client, user, booking) == [("booking_confirmed", "dropped"), ("booking_changed", "sent")]


def test_a_former_guest_gets_no_outdated_confirmation(client: FlaskClient, user: Account, delivery: Delivery) -> None:
    former, current = new_email(), new_email()
    booking = book(client, user, make_event(client), guest_email=former).json
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"guest_email": current})

    delivery.recover()

    assert (former, f"Your booking {booking['reference']} is confirmed") not in delivery.received()
    assert (current, f"Your booking {booking['reference']} is confirmed") in delivery.received()


def test_only_the_latest_of_two_announced_changes_is_sent(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    booking = book(client, user, event).json
    for place in ("Philharmonie", "Waldbühne"):
        _patch_event(client, organizer, event, location=place)
        delivery.run()
    let_time_pass(database)

    delivery.recover()

    assert _emails(client, user, booking) == [
        ("booking_confirmed", "sent"),
        ("event_changed", "dropped"),
        ("event_changed", "sent"),
    ]


def test_an_early_end_is_announced_even_after_it(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    booking = book(client, user, event).json
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(starts_at=sa.func.now() - timedelta(hours=1)))
    ends_at = utcnow() + timedelta(seconds=1)
    _patch_event(client, organizer, event, ends_at=ends_at.isoformat())
    time.sleep(1)

    delivery.recover()

    assert _emails(client, user, booking) == [("booking_confirmed", "sent"), ("event_changed", "sent")]


def test_a_confirmation_that_is_not_outdated_is_sent_before_later_emails(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    booking = book(client, user, event).json
    delivery.run()
    _patch_event(client, organizer, event, location="Philharmonie")
    delivery.run()
    assert _emails(client, user, booking) == [("booking_confirmed", "pending"), ("event_changed", "pending")]

    let_time_pass(database)
    delivery.recover()

    confirmed = f"Your booking {booking['reference']} is confirmed"
    assert delivery.received() == [(user.email, confirmed), (user.email, "Changed")]


@pytest.mark.parametrize("end", [sa.delete(OneTimeToken), sa.update(OneTimeToken).values(expires_at=sa.func.now())])
def test_an_invitation_whose_token_is_gone_or_expired_is_dropped(
    client: FlaskClient, organizer: Account, delivery: Delivery, database: sa.Engine, end: sa.Executable
) -> None:
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": new_email()})
    delivery.run()
    with database.begin() as connection:
        connection.execute(end)
    let_time_pass(database)

    delivery.recover()

    assert delivery.received() == []
    with database.connect() as connection:
        assert connection.scalars(sa.select(OutboxEmail.status)).one() == "dropped"


def test_only_the_current_role_is_announced(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    for role in ("organizer", "user"):
        client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"role": role})
        delivery.run()
    let_time_pass(database)

    delivery.recover()

    with database.connect() as connection:
        statuses = connection.scalars(sa.select(OutboxEmail.status).order_by(OutboxEmail.id)).all()
    assert statuses == ["dropped", "sent"]
