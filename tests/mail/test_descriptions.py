"""Emails that describe a booking: only the latest is sent, with the current details of the event."""

from uuid import UUID

import icalendar
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import API, Account, book, make_event, new_email
from tests.mail.composing import received
from tests.mail.draining import Delivery, emails_about, let_time_pass
from tests.mailbox import part


def test_only_the_latest_description_of_a_booking_is_sent(
    client: FlaskClient, user: Account, delivery: Delivery
) -> None:
    booking = book(client, user, make_event(client)).json
    delivery.run()
    for count in (2, 3):
        client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": count})

    delivery.recover()

    assert [status for _, status in emails_about(client, user, booking)] == ["dropped", "dropped", "sent"]


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

    assert emails_about(client, user, booking) == [("booking_confirmed", "sent"), ("booking_changed", "failed")]


def test_the_case_of_an_address_does_not_matter(client: FlaskClient, user: Account, delivery: Delivery) -> None:
    guest = new_email()
    booking = book(client, user, make_event(client), guest_email=guest).json
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"guest_email": guest.upper()})

    delivery.recover()

    assert emails_about(client, user, booking) == [("booking_confirmed", "dropped"), ("booking_changed", "sent")]


def test_a_former_guest_gets_no_outdated_confirmation(client: FlaskClient, user: Account, delivery: Delivery) -> None:
    former, current = new_email(), new_email()
    booking = book(client, user, make_event(client), guest_email=former).json
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"guest_email": current})

    delivery.recover()

    assert (former, f"Your booking {booking['reference']} is confirmed") not in delivery.received()
    assert (current, f"Your booking {booking['reference']} is confirmed") in delivery.received()


def test_a_confirmation_that_is_not_outdated_is_sent_before_lateremails_about(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    booking = book(client, user, event).json
    delivery.run()
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
    delivery.run()
    assert emails_about(client, user, booking) == [("booking_confirmed", "pending"), ("event_changed", "pending")]

    let_time_pass(database)
    delivery.recover()

    confirmed = f"Your booking {booking['reference']} is confirmed"
    assert delivery.received() == [(user.email, confirmed), (user.email, "Changed")]


def test_a_deferred_confirmation_shows_the_current_event(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery
) -> None:
    event = make_event(client, organizer)
    book(client, user, event)
    delivery.run()
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})

    delivery.recover()

    confirmation = received(delivery.accepted[0])
    assert confirmation["Subject"].startswith("Your booking")
    assert "Philharmonie" in part(confirmation, "plain")
    (invitation,) = [icalendar.Calendar.from_ical(each.get_content()) for each in confirmation.iter_attachments()]
    (entry,) = invitation.events
    assert (entry["LOCATION"], entry["SEQUENCE"]) == ("Philharmonie", 1)


def test_a_mistyped_address_gets_no_email_once_it_is_corrected(
    client: FlaskClient, user: Account, delivery: Delivery
) -> None:
    mistyped, correct = new_email(), new_email()
    booking = book(client, user, make_event(client), guest_email=mistyped).json
    delivery.run()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"guest_email": correct})

    delivery.recover()

    assert [recipient for recipient, _ in delivery.received()] == [correct]


def test_a_former_guest_who_was_confirmed_is_notified(client: FlaskClient, user: Account, delivery: Delivery) -> None:
    former, current = new_email(), new_email()
    booking = book(client, user, make_event(client), guest_email=former).json
    delivery.recover()
    client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"guest_email": current})

    delivery.run()

    assert (former, "You are no longer booked") in delivery.received()
