"""Emails that become outdated while they wait: they are dropped, and later ones are not held back."""

import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Event, OneTimeToken, OutboxEmail
from tests.factories import API, Account, add_to_team, book, make_event, new_email, verify_email
from tests.mail.draining import Delivery, emails_about, let_time_pass
from tests.times import utcnow


def _times(**from_now: int) -> dict[str, str]:
    starts_at = utcnow() + timedelta(**from_now)
    return {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}


def _event_tomorrow(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer, **_times(hours=20))


def _patch_event(client: FlaskClient, organizer: Account, event: dict[str, Any], **changes: Any) -> None:
    assert client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json=changes).status_code == 200


def test_a_deferred_reminder_of_a_moved_event_is_dropped_and_does_not_hold_back_the_notice(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery
) -> None:
    event = _event_tomorrow(client, organizer)
    booking = book(client, user, event).json
    delivery.remind()
    delivery.run()
    _patch_event(client, organizer, event, **_times(days=40))

    delivery.recover()

    assert emails_about(client, user, booking) == [
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

    assert emails_about(client, user, booking) == [
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

    assert emails_about(client, user, booking) == [
        ("booking_confirmed", "dropped"),
        ("event_reminder", "dropped"),
        ("booking_changed", "sent"),
        ("event_reminder", "sent"),
    ]


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

    assert emails_about(client, user, booking) == [
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

    assert emails_about(client, user, booking) == [("booking_confirmed", "sent"), ("event_changed", "sent")]


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


def test_only_the_current_role_in_a_team_is_announced(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    add_to_team(client, organizer, event, user)
    delivery.run()
    path = f"{API}/events/{event['id']}/team/{user.id}"
    client.patch(path, headers=organizer.headers, json={"role": "check_in"})
    delivery.run()
    client.delete(path, headers=organizer.headers)
    delivery.run()
    let_time_pass(database)

    delivery.recover()

    with database.connect() as connection:
        emails = sa.select(OutboxEmail.status).where(OutboxEmail.kind == "team_changed").order_by(OutboxEmail.id)
        assert [*connection.scalars(emails)] == ["dropped", "dropped", "sent"]


def test_a_revoked_invitation_to_a_team_is_dropped(
    client: FlaskClient, organizer: Account, delivery: Delivery, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    path, address = f"{API}/events/{event['id']}/team", new_email()
    member: Any = client.post(path, headers=organizer.headers, json={"email": address, "role": "check_in"}).json
    delivery.run()
    client.delete(f"{path}/{member['user_id']}", headers=organizer.headers)
    let_time_pass(database)

    delivery.recover()

    assert address not in [recipient for recipient, _ in delivery.received()]


def test_only_the_current_role_is_announced(
    client: FlaskClient, organizer: Account, user: Account, delivery: Delivery, database: sa.Engine
) -> None:
    verify_email(client, user)
    for role in ("organizer", "user"):
        client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"role": role})
        delivery.run()
    let_time_pass(database)

    delivery.recover()

    with database.connect() as connection:
        statuses = connection.scalars(sa.select(OutboxEmail.status).order_by(OutboxEmail.id)).all()
    assert statuses == ["dropped", "sent"]
