"""An event from its first day to a booking that is cancelled, by the client that openapi-python-client generates.

    python flow.py http://localhost:8000 olivia@example.com uri@example.com

Nothing but that client is used, and `mypy --strict` has to agree; flow.mts does the same in TypeScript.
"""

import datetime as dt
import sys
from http import HTTPStatus
from typing import TypeVar

from event_booking_client import AuthenticatedClient, Client
from event_booking_client.api.auth import login, logout, signup
from event_booking_client.api.bookings import cancel_booking, change_booking, create_booking
from event_booking_client.api.events import create_event, list_attendees, list_upcoming_events
from event_booking_client.api.users import get_profile
from event_booking_client.models import (
    Booking,
    BookingChange,
    BookingCreate,
    BookingStatus,
    Event,
    EventCreate,
    Login,
    Problem,
    Signup,
    User,
)

PASSWORD = "correct horse battery"

Answer = TypeVar("Answer")


def given(answer: Answer | Problem | None) -> Answer:
    """What was asked for, where it was not refused."""
    assert answer is not None, "an empty answer"
    assert not isinstance(answer, Problem), answer
    return answer


def code_of(answer: object) -> str:
    """Why it was refused."""
    assert isinstance(answer, Problem), answer
    return answer.code


def sign_up_and_log_in(url: str, email: str, *, is_organizer: bool) -> AuthenticatedClient:
    with Client(url) as anyone:
        user = given(signup.sync(client=anyone, body=Signup(email=email, password=PASSWORD, is_organizer=is_organizer)))
        assert user.email == email
        token = given(login.sync(client=anyone, body=Login(email=email, password=PASSWORD)))
    return AuthenticatedClient(url, token=token.access_token)


def create_and_find(organizer: AuthenticatedClient) -> Event:
    start = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=30)
    wanted = EventCreate(
        title="Schubert by Candlelight",
        location="Kammermusiksaal",
        timezone="Europe/Berlin",
        starts_at=start,
        ends_at=start + dt.timedelta(hours=2),
        capacity=3,
    )
    created = given(create_event.sync(client=organizer, body=wanted))
    listed = given(list_upcoming_events.sync(client=organizer, q="candlelight", organizer_id=created.organizer_id))
    assert listed == [created]
    assert (created.starts_at, created.tickets_available) == (start, 3)
    return created


def book(user: AuthenticatedClient, event: Event) -> Booking:
    """Take two of the three seats, twice with one key; two more are one too many."""
    order = BookingCreate(event_id=event.id, ticket_count=2)
    booking = given(create_booking.sync(client=user, body=order, idempotency_key="two-seats"))
    assert booking.ticket_count == 2

    again = create_booking.sync_detailed(client=user, body=order, idempotency_key="two-seats")
    assert again.status_code is HTTPStatus.CREATED
    assert again.headers["Idempotency-Replayed"] == "true"
    assert given(again.parsed) == booking

    refused = create_booking.sync(client=user, body=order, idempotency_key="two-more")
    assert code_of(refused) == "sold-out"
    return booking


def cancel(organizer: AuthenticatedClient, user: AuthenticatedClient, booking: Booking) -> None:
    """Give one ticket back, then the other; the organizer sees it, as nobody else does."""
    changed = given(change_booking.sync(booking.id, client=user, body=BookingChange(ticket_count=1)))
    assert (changed.ticket_count, changed.status) == (1, BookingStatus.CONFIRMED)
    cancelled = given(cancel_booking.sync(booking.id, client=user))
    assert (cancelled.status, cancelled.cancelled_at is None) == (BookingStatus.CANCELLED, False)

    assert given(list_attendees.sync(booking.event_id, client=organizer)) == [cancelled]
    assert code_of(list_attendees.sync(booking.event_id, client=user)) == "not-allowed"


def end(user: AuthenticatedClient, booking: Booking) -> None:
    """After the log-out the token is worth nothing."""
    profile = get_profile.sync(client=user)
    assert isinstance(profile, User)
    assert profile.id == booking.user_id
    assert logout.sync_detailed(client=user).status_code is HTTPStatus.NO_CONTENT
    assert code_of(get_profile.sync(client=user)) == "unauthenticated"


def main(url: str, organizer_email: str, user_email: str) -> None:
    """Print the reference of the booking that was made, changed and cancelled."""
    with (
        sign_up_and_log_in(url, organizer_email, is_organizer=True) as organizer,
        sign_up_and_log_in(url, user_email, is_organizer=False) as user,
    ):
        booking = book(user, create_and_find(organizer))
        cancel(organizer, user, booking)
        end(user, booking)
    sys.stdout.write(f"{booking.reference}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
