"""From a booking to the email, through the running service: gunicorn, Valkey, a Celery worker, SMTP."""

import time

import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import EmailStatus, OutboxEmail
from tests.factories import book, make_event, make_user
from tests.mailbox import Mailbox, part
from tests.service import Service


def _statuses(database: sa.Engine) -> list[EmailStatus]:
    with database.connect() as connection:
        return list(connection.scalars(sa.select(OutboxEmail.status)))


def _wait_until_sent(database: sa.Engine, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _statuses(database) != [EmailStatus.SENT]:
        assert time.monotonic() < deadline, _statuses(database)
        time.sleep(0.1)


def test_a_booking_is_confirmed_by_email(
    client: FlaskClient, service: Service, mailbox: Mailbox, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client)

    booking = book(client, user, event, ticket_count=2, guest_name="Grace Hopper").json

    (email,) = mailbox.wait_for(user.email, seconds=5)
    assert booking["reference"] in email["Subject"]
    for kind in ("plain", "html"):
        text = part(email, kind)
        for fact in (booking["reference"], "Grace Hopper", event["title"], event["location"], "2"):
            assert fact in text
        assert "Friday, 19 June 2099, 19:30 (Europe/Berlin, UTC+02:00)" in text
    _wait_until_sent(database, seconds=5)


def test_the_workers_log_lines_have_the_id_of_the_request_that_caused_the_email(
    client: FlaskClient, service: Service, mailbox: Mailbox
) -> None:
    user, event = make_user(client), make_event(client)

    response = book(client, user, event)
    mailbox.wait_for(user.email, seconds=5)

    request_id = response.headers["X-Request-ID"]
    deadline = time.monotonic() + 5
    while not (lines := [line for line in service.log_lines() if line["request_id"] == request_id]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {line["logger"] for line in lines} == {"bookings_api.mail.delivery"}
    assert lines[-1]["message"].endswith("sent")
    assert lines[-1]["kind"] == "booking_confirmed"
