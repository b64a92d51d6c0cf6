"""Emails about a status that a booking no longer has: they are dropped, and the current status is emailed."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import BookingStatus, EmailKind, OutboxEmail
from tests.factories import API, Account, book, make_event, new_email
from tests.mail.bookings import AN_HOUR_AGO, queue_email_about, set_status
from tests.mail.composing import received
from tests.mail.draining import Delivery, emails_about, let_time_pass
from tests.mailbox import part
from tests.times import utcnow

# The status that each kind of email is about, and the statuses that can follow
NEXT = {
    EmailKind.BOOKING_WAITLISTED: (BookingStatus.WAITLISTED, ["confirmed", "held", "expired", "cancelled"]),
    EmailKind.BOOKING_OFFERED: (BookingStatus.HELD, ["confirmed", "expired", "cancelled"]),
    EmailKind.BOOKING_EXPIRED: (BookingStatus.EXPIRED, ["confirmed"]),
    EmailKind.BOOKING_CONFIRMED: (BookingStatus.CONFIRMED, ["cancelled"]),
    EmailKind.BOOKING_CHANGED: (BookingStatus.CONFIRMED, ["cancelled"]),
}
CASES = [(kind, status, BookingStatus(later)) for kind, (status, others) in NEXT.items() for later in others]

pytestmark = pytest.mark.usefixtures("context")


def _forget_emails(database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.delete(OutboxEmail))


@pytest.mark.parametrize(("kind", "status", "later"), CASES)
def test_an_email_about_an_earlier_status_is_dropped(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery,
    kind: EmailKind, status: BookingStatus, later: BookingStatus,
) -> None:  # fmt: skip
    booking = book(client, user, make_event(client)).json
    _forget_emails(database)
    set_status(database, booking, status)
    queue_email_about(booking, kind)
    set_status(database, booking, later)

    delivery.recover()

    assert emails_about(client, user, booking) == [(kind, "dropped")]
    assert delivery.received() == []


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind, (status, _) in NEXT.items()])
def test_an_email_about_the_current_status_is_sent(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery, kind: EmailKind, status: BookingStatus
) -> None:
    booking = book(client, user, make_event(client)).json
    _forget_emails(database)
    set_status(database, booking, status)
    queue_email_about(booking, kind)

    delivery.recover()

    assert emails_about(client, user, booking) == [(kind, "sent")]


def test_an_offer_is_dropped_once_its_deadline_has_passed(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery
) -> None:
    booking = book(client, user, make_event(client)).json
    _forget_emails(database)
    set_status(database, booking, BookingStatus.HELD)
    queue_email_about(booking, EmailKind.BOOKING_OFFERED)
    set_status(database, booking, BookingStatus.HELD, held_until=AN_HOUR_AGO)

    delivery.recover()

    assert emails_about(client, user, booking) == [("booking_offered", "dropped")]


def test_a_deferred_offer_shows_the_extended_deadline(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery
) -> None:
    booking = book(client, user, make_event(client, timezone="UTC")).json
    _forget_emails(database)
    set_status(database, booking, BookingStatus.HELD)
    queue_email_about(booking, EmailKind.BOOKING_OFFERED)
    extended = utcnow() + timedelta(days=400)
    set_status(database, booking, BookingStatus.HELD, held_until=extended)

    delivery.recover()

    assert f"{extended:%B %Y, %H:%M}" in part(received(delivery.accepted[0]), "plain")


@pytest.mark.parametrize(
    ("kind", "status"),
    [(EmailKind.BOOKING_WAITLISTED, BookingStatus.WAITLISTED), (EmailKind.BOOKING_OFFERED, BookingStatus.HELD)],
)
def test_only_the_latest_description_of_a_booking_that_is_not_confirmed_is_sent(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery, kind: EmailKind, status: BookingStatus
) -> None:
    booking = book(client, user, make_event(client)).json
    _forget_emails(database)
    for _ in range(2):
        set_status(database, booking, status)
        queue_email_about(booking, kind)

    delivery.recover()

    assert emails_about(client, user, booking) == [(kind, "dropped"), (kind, "sent")]


def test_a_promoted_guest_gets_only_the_confirmation(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery
) -> None:
    booking = book(client, user, make_event(client)).json
    _forget_emails(database)
    set_status(database, booking, BookingStatus.WAITLISTED)
    queue_email_about(booking, EmailKind.BOOKING_WAITLISTED)
    delivery.run()
    set_status(database, booking, BookingStatus.CONFIRMED)
    queue_email_about(booking, EmailKind.BOOKING_CONFIRMED)

    delivery.recover()

    assert emails_about(client, user, booking) == [("booking_waitlisted", "dropped"), ("booking_confirmed", "sent")]


@pytest.mark.parametrize("status", [BookingStatus.HELD, BookingStatus.WAITLISTED])
def test_the_notice_of_a_changed_event_is_dropped_once_the_booking_has_expired(
    client: FlaskClient, organizer: Account, user: Account, database: sa.Engine, delivery: Delivery,
    status: BookingStatus,
) -> None:  # fmt: skip
    event = make_event(client, organizer, capacity=1)
    booking = book(client, user, event).json
    _forget_emails(database)
    set_status(database, booking, status)
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
    delivery.run()
    assert emails_about(client, user, booking) == [("event_changed", "pending")]
    set_status(database, booking, BookingStatus.EXPIRED)
    let_time_pass(database)

    delivery.recover()

    assert emails_about(client, user, booking) == [("event_changed", "dropped")]


@pytest.mark.parametrize("is_reached", [True, False])
def test_a_former_guest_on_the_waiting_list_is_notified_only_if_an_email_reached_them(
    client: FlaskClient, user: Account, database: sa.Engine, delivery: Delivery, *, is_reached: bool
) -> None:
    booking = book(client, user, make_event(client), guest_email=new_email()).json
    _forget_emails(database)
    set_status(database, booking, BookingStatus.WAITLISTED)
    queue_email_about(booking, EmailKind.BOOKING_WAITLISTED)
    if is_reached:
        delivery.recover()
    queue_email_about(booking, EmailKind.BOOKING_REASSIGNED)
    set_status(database, booking, BookingStatus.WAITLISTED, guest_email=new_email())

    delivery.recover()

    outcome = "sent" if is_reached else "dropped"
    assert emails_about(client, user, booking) == [("booking_waitlisted", outcome), ("booking_reassigned", outcome)]
