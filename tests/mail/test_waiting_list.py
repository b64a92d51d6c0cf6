"""The text of emails about holds and the waiting list."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.extensions import db
from bookings_api.mail.messages import RenderedEmail, render
from bookings_api.models import Booking, EmailKind
from bookings_api.models.payloads import booking_payload
from tests.factories import Account, book, make_event
from tests.mail.composing import PAYLOAD, PRICED

DEADLINE = "Friday, 1 May 2099, 12:00 (Europe/Berlin, UTC+02:00)"
WAITING = {"was_waitlisted": True, "was_confirmed": False, "held_until": None}
HELD = {"was_waitlisted": False, "was_confirmed": False}


def _parts(kind: EmailKind, *joined: dict[str, Any], **payload: Any) -> tuple[str, str]:
    email: RenderedEmail = render(kind, PAYLOAD | payload, joined=[PAYLOAD | each for each in joined])
    return email.text, email.html


@pytest.mark.parametrize(
    ("position", "tickets_ahead", "expected"),
    [
        (1, 0, "you were first on the waiting list."),
        (2, 1, "you were number 2 on the waiting list. The bookings ahead of you were for 1 ticket."),
        (3, 5, "you were number 3 on the waiting list. The bookings ahead of you were for 5 tickets."),
    ],
)
def test_a_waiting_guest_sees_their_position(position: int, tickets_ahead: int, expected: str) -> None:
    for part in _parts(EmailKind.BOOKING_WAITLISTED, position=position, tickets_ahead=tickets_ahead):
        assert expected in part


def test_an_offer_of_free_tickets_must_be_confirmed_before_the_deadline() -> None:
    for part in _parts(EmailKind.BOOKING_OFFERED):
        assert DEADLINE in part
        assert "To keep the tickets, please confirm your booking before this time." in part


def test_an_offer_that_costs_money_must_be_paid_before_the_deadline() -> None:
    for part in _parts(EmailKind.BOOKING_OFFERED, **PRICED):
        assert DEADLINE in part
        assert "To keep the tickets, please pay €105.50 before this time." in part


@pytest.mark.parametrize(("values", "missed"), [({}, "confirmed"), (PRICED, "paid")], ids=["free", "priced"])
def test_an_expired_offer_shows_the_missed_deadline(values: dict[str, Any], missed: str) -> None:
    for part in _parts(EmailKind.BOOKING_EXPIRED, **values):
        assert f"until {DEADLINE}. Your booking was not {missed} in time" in part
        assert "Booking has closed" not in part


def test_a_guest_who_got_no_tickets_learns_that_booking_has_closed() -> None:
    for part in _parts(EmailKind.BOOKING_EXPIRED, held_until=None):
        assert "Booking has closed, and no tickets became available for you." in part
        assert "in time" not in part


@pytest.mark.parametrize("was_waitlisted", [True, False])
def test_the_confirmation_of_a_promoted_booking_says_that_tickets_became_available(*, was_waitlisted: bool) -> None:
    for part in _parts(EmailKind.BOOKING_CONFIRMED, was_waitlisted=was_waitlisted):
        assert ("Tickets have become available, and your booking is now confirmed." in part) == was_waitlisted


def test_only_a_confirmed_booking_had_a_valid_reference() -> None:
    for kind in (EmailKind.BOOKING_CANCELLED, EmailKind.EVENT_CANCELLED):
        for part in _parts(kind):
            assert "no longer valid as a ticket" in part
        for part in _parts(kind, **WAITING):
            assert "no longer valid as a ticket" not in part


def test_a_guest_who_cancels_is_no_longer_on_the_waiting_list() -> None:
    for part in _parts(EmailKind.BOOKING_CANCELLED, **WAITING):
        assert "You are no longer on the waiting list." in part


def test_a_waiting_guest_learns_that_a_changed_event_does_not_affect_their_place() -> None:
    for part in _parts(EmailKind.EVENT_CHANGED, **WAITING):
        assert "an event you have a booking for" in part
        assert "You remain on the waiting list." in part
        assert "valid" not in part


def test_a_guest_with_a_hold_is_reminded_of_the_deadline_when_the_event_changes() -> None:
    for part in _parts(EmailKind.EVENT_CHANGED, **HELD):
        assert f"Your tickets remain held until {DEADLINE}." in part


def test_a_notice_about_several_bookings_does_not_call_a_waiting_one_valid() -> None:
    for part in _parts(EmailKind.EVENT_CHANGED, WAITING):
        assert "Your bookings stay as they are: confirmed, held or on the waiting list." in part
        assert "valid" not in part


def test_a_waiting_guest_of_a_cancelled_event_is_not_called_booked() -> None:
    for part in _parts(EmailKind.EVENT_CANCELLED, **WAITING):
        assert "has cancelled an event you have a booking for, so your booking is cancelled as well" in part


@pytest.mark.usefixtures("context")
def test_the_payload_contains_the_items_with_their_prices(client: FlaskClient, user: Account) -> None:
    book(client, user, make_event(client), ticket_count=2)

    payload = booking_payload(db.session.scalars(sa.select(Booking)).one())

    assert payload["items"] == [{"name": "General admission", "count": 2, "price": 0}]
    assert (payload["amount_due"], payload["held_until"], payload["position"]) == (0, None, None)
    assert (payload["was_waitlisted"], payload["was_confirmed"]) == (False, True)
