"""The emails about a booking: their status, and sending the confirmation again."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.mail import claims, tasks
from bookings_api.mail.claims import Outcome
from bookings_api.models import EmailStatus, Event, OutboxEmail
from tests.factories import API, Account, book, make_event, make_organizer, make_user, new_email
from tests.mailbox import Mailbox, part
from tests.service import Service
from tests.times import utcnow


@pytest.fixture
def booking(client: FlaskClient, user: Account, organizer: Account) -> dict[str, Any]:
    made = book(client, user, make_event(client, organizer), ticket_count=2).json
    assert isinstance(made, dict)
    return made


def _emails(client: FlaskClient, account: Account, booking: dict[str, Any], **query: int) -> Any:
    return client.get(f"{API}/bookings/{booking['id']}/emails", headers=account.headers, query_string=query)


def _resend(client: FlaskClient, account: Account, booking: dict[str, Any]) -> Any:
    return client.post(f"{API}/bookings/{booking['id']}/emails", headers=account.headers)


def _resend_as_often_as_allowed(client: FlaskClient, account: Account, booking: dict[str, Any]) -> None:
    assert [_resend(client, account, booking).status_code for _ in range(4)] == [202, 202, 202, 429]


def _cancel(client: FlaskClient, account: Account, booking: dict[str, Any]) -> None:
    assert client.delete(f"{API}/bookings/{booking['id']}", headers=account.headers).status_code == 200


def test_an_email_is_listed_before_it_is_sent(
    client: FlaskClient, user: Account, organizer: Account, booking: dict[str, Any]
) -> None:
    listed = _emails(client, user, booking)

    assert listed.status_code == 200
    (email,) = listed.json
    assert list(email) == [
        "id", "kind", "recipient", "status", "attempts", "created_at", "sent_at", "next_attempt_at", "last_error",
    ]  # fmt: skip
    assert (email["kind"], email["recipient"], email["status"]) == ("booking_confirmed", user.email, "pending")
    assert (email["attempts"], email["sent_at"], email["last_error"]) == (0, None, None)
    assert email["created_at"].endswith("+00:00")
    assert email["next_attempt_at"].endswith("+00:00")
    assert _emails(client, organizer, booking).json == listed.json


def test_a_sent_email_shows_when_and_after_how_many_attempts(
    client: FlaskClient, service: Service, mailbox: Mailbox, user: Account, booking: dict[str, Any]
) -> None:
    mailbox.wait_for(user.email)
    service.pause_worker()  # the worker has recorded what it sent

    (email,) = _emails(client, user, booking).json

    assert (email["status"], email["attempts"], email["next_attempt_at"], email["last_error"]) == (
        "sent",
        1,
        None,
        None,
    )
    assert email["sent_at"] > email["created_at"]


def test_an_unsent_email_shows_its_status_and_the_last_error(
    client: FlaskClient, application: Flask, user: Account, booking: dict[str, Any]
) -> None:
    claimed = _claim(application)
    (sending,) = _emails(client, user, booking).json
    assert (sending["status"], sending["attempts"], sending["last_error"]) == ("sending", 1, None)

    with application.app_context():
        claims.record(claimed, Outcome(EmailStatus.PENDING, "The mail server could not be reached."))
    (waiting,) = _emails(client, user, booking).json
    assert (waiting["status"], waiting["attempts"]) == ("pending", 1)
    assert waiting["last_error"] == "The mail server could not be reached."
    assert waiting["next_attempt_at"] > waiting["created_at"]

    claimed = _claim(application)
    with application.app_context():
        claims.record(
            claimed, Outcome(EmailStatus.FAILED, "The mail server refused the email permanently: 550 no such user")
        )
    (failed,) = _emails(client, user, booking).json
    assert (failed["status"], failed["attempts"]) == ("failed", 2)
    assert (failed["sent_at"], failed["next_attempt_at"]) == (None, None)
    assert failed["last_error"] == "The mail server refused the email permanently: 550 no such user"


def _claim(application: Flask) -> OutboxEmail:
    """Claim the only email as a worker would, as if it were due."""
    with application.app_context(), transaction():
        db.session.execute(sa.update(OutboxEmail).values(next_attempt_at=sa.func.now()))
        claimed = claims.claim_next()
    assert claimed is not None
    return claimed


def test_emails_are_paginated_newest_first(client: FlaskClient, user: Account, booking: dict[str, Any]) -> None:
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": 1})
    _cancel(client, user, booking)

    first, second = (_emails(client, user, booking, page=page, page_size=2) for page in (1, 2))

    assert [email["kind"] for email in first.json] == ["booking_cancelled", "booking_changed"]
    assert [email["kind"] for email in second.json] == ["booking_confirmed"]
    assert '"total": 3' in first.headers["X-Pagination"]
    assert _emails(client, user, booking, page_size=101).status_code == 422


def test_emails_about_other_bookings_are_not_listed(
    client: FlaskClient, user: Account, organizer: Account, booking: dict[str, Any]
) -> None:
    other = book(client, user, make_event(client, organizer), guest_email=new_email()).json
    asked = client.post(f"{API}/auth/password-reset", json={"email": user.email})
    assert asked.status_code == 202

    assert [email["recipient"] for email in _emails(client, user, booking).json] == [user.email]
    assert [email["recipient"] for email in _emails(client, user, other).json] == [other["guest_email"]]


def test_other_accounts_can_neither_list_nor_resend_the_emails(client: FlaskClient, booking: dict[str, Any]) -> None:
    unknown = {"id": UUID(int=0)}
    for account in (make_user(client), make_organizer(client)):
        for found in (booking, unknown):
            for response in (_emails(client, account, found), _resend(client, account, found)):
                assert (response.status_code, response.json["code"]) == (404, "booking-not-found")


def test_a_repeated_confirmation_has_the_current_guest_and_details(
    app: Flask, client: FlaskClient, mailbox: Mailbox, organizer: Account, user: Account, booking: dict[str, Any]
) -> None:
    def send() -> None:
        with app.app_context():
            tasks.drain()

    send()
    guest = new_email()
    changes = {"ticket_count": 1, "guest_name": "Grace Hopper", "guest_email": guest}
    assert client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json=changes).status_code == 200

    responses = []
    for account in (user, organizer):
        send()
        responses.append(_resend(client, account, booking))
    send()

    for response in responses:
        assert response.status_code == 202
        assert (response.json["kind"], response.json["recipient"]) == ("booking_confirmed", guest)
        assert (response.json["status"], response.json["attempts"], response.json["sent_at"]) == ("pending", 0, None)
        assert response.json["next_attempt_at"]
    received = mailbox.wait_for(guest, count=3)
    assert len({email["Message-ID"] for email in received}) == 3
    assert len({email["Subject"] for email in received}) == 1
    for email in received:
        assert "Grace Hopper" in part(email, "plain")
        assert "Tickets:    1" in part(email, "plain")
    assert responses[1].json["id"] == _emails(client, user, booking).json[0]["id"]


def test_a_cancelled_booking_is_not_confirmed_again(
    client: FlaskClient, user: Account, organizer: Account, booking: dict[str, Any]
) -> None:
    other = book(client, user, make_event(client, organizer)).json
    _cancel(client, user, booking)
    client.post(f"{API}/events/{other['event_id']}/cancel", headers=organizer.headers)

    for cancelled in (booking, other):
        response = _resend(client, user, cancelled)
        assert (response.status_code, response.json["code"]) == (409, "booking-cancelled")
    assert [email["kind"] for email in _emails(client, user, booking).json] == [
        "booking_cancelled",
        "booking_confirmed",
    ]


def test_a_booking_is_not_confirmed_again_once_its_event_has_ended(
    client: FlaskClient, database: sa.Engine, user: Account, booking: dict[str, Any]
) -> None:
    with database.begin() as connection:
        started = {"starts_at": utcnow() - timedelta(hours=2), "ends_at": utcnow() + timedelta(hours=1)}
        connection.execute(sa.update(Event).values(**started))
    assert _resend(client, user, booking).status_code == 202  # a guest at the door may need it

    with database.begin() as connection:
        connection.execute(sa.update(Event).values(ends_at=utcnow() - timedelta(seconds=1)))
    response = _resend(client, user, booking)
    assert (response.status_code, response.json["code"]) == (409, "event-ended")


def test_a_confirmation_can_be_sent_again_three_times_an_hour(
    client: FlaskClient, user: Account, booking: dict[str, Any]
) -> None:
    _resend_as_often_as_allowed(client, user, booking)

    refused = _resend(client, user, booking)

    assert refused.status_code == 429
    assert refused.content_type == "application/problem+json"
    assert refused.json["code"] == "too-many-requests"
    assert refused.json["title"] == "Too Many Requests"
    seconds = int(refused.headers["Retry-After"])
    assert 3500 < seconds <= 3600
    assert refused.json["detail"] == f"Limit: 3 per hour. Try again in {seconds} seconds."
    assert not [name for name in refused.headers.keys() if name.startswith("X-RateLimit")]  # noqa: SIM118 - a multidict
    assert len(_emails(client, user, booking).json) == 4


def test_the_limit_applies_per_account_and_booking(
    client: FlaskClient, user: Account, organizer: Account, booking: dict[str, Any]
) -> None:
    other = book(client, user, make_event(client, organizer)).json

    _resend_as_often_as_allowed(client, user, booking)

    _resend_as_often_as_allowed(client, organizer, booking)
    _resend_as_often_as_allowed(client, user, other)


def test_refused_requests_do_not_count(
    client: FlaskClient, user: Account, booking: dict[str, Any], database: sa.Engine
) -> None:
    stranger = make_user(client)
    for _ in range(5):
        assert _resend(client, stranger, booking).status_code == 404
    with database.begin() as connection:  # the booking belongs to the stranger now
        connection.execute(sa.text("UPDATE bookings SET user_id = :user_id"), {"user_id": stranger.id})

    _resend_as_often_as_allowed(client, stranger, booking)

    assert _resend(client, stranger, booking).status_code == 429
    assert _resend(client, user, booking).status_code == 404


def test_retry_after_comes_from_the_limit_that_was_reached(
    client: FlaskClient, application: Flask, user: Account, booking: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(application.config, "MAIL_RESEND_LIMIT", "1 per second; 2 per minute")

    assert _resend(client, user, booking).status_code == 202
    refused = _resend(client, user, booking)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
