"""Erasing the personal data of an account."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.cleanup import delete_expired
from bookings_api.mail.tasks import drain
from bookings_api.models import Booking, EmailKind, EmailStatus, Event, OutboxEmail
from tests.factories import (
    API,
    PASSWORD,
    Account,
    add_to_team,
    book,
    book_for_guest,
    make_account,
    make_event,
    make_key,
    make_organizer,
    make_owner,
    make_unverified,
    make_user,
    new_email,
)
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.sql import waiting_sessions
from tests.tokens import token_sent_to

NAME, OLD_NAME = "Zuleika Dobson", "Zuleika Smith"
METADATA = "customer 4711"


def _delete(client: FlaskClient, account: Account, **body: Any) -> Any:
    body = {"current_password": PASSWORD} | body
    return client.delete(f"{API}/users/me", headers=account.headers, json=body)


def _occurrences(database: sa.Engine, *texts: str) -> dict[str, int]:
    """Count the values that contain one of these texts, ignoring case, by column of all tables."""
    columns = sa.text("""
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY')
    """)
    found = {}
    with database.connect() as connection:
        for table, column in connection.execute(columns).all():
            values = connection.scalars(sa.text(f'SELECT "{column}"::text FROM "{table}"')).all()
            matches = [value for value in values if any(text.lower() in (value or "").lower() for text in texts)]
            if matches:
                found[f"{table}.{column}"] = len(matches)
    return found


def _change_name_and_email(client: FlaskClient, database: sa.Engine, account: Account) -> Account:
    email = new_email()
    changes = {"name": NAME, "email": email, "current_password": PASSWORD}
    client.patch(f"{API}/users/me", headers=account.headers, json=changes)
    token = token_sent_to(client, database, email)
    assert client.post(f"{API}/auth/verify-email", json={"token": token}).status_code == 204
    return replace(account, email=email)


def _run_hourly_cleanup(app: Flask) -> None:
    with app.app_context():
        drain()
        delete_expired()


def _end_event(database: sa.Engine, event: Any) -> None:
    ended = {"starts_at": Event.starts_at - timedelta(days=30000), "ends_at": Event.ends_at - timedelta(days=30000)}
    with database.begin() as connection:
        connection.execute(sa.update(Event).where(Event.id == UUID(event["id"])).values(ended))


def test_after_erasure_no_column_contains_the_name_or_the_email(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    owner, friend = make_owner(client), make_user(client)
    person = make_account(client, is_organizer=True, name=OLD_NAME)
    earlier = [make_event(client, person, contact_email=person.email), make_event(client, owner)]
    for event in earlier:
        book(client, person, event)
        book(client, person, event, guest_name="Grace Hopper", guest_email=new_email())
    person, first_email = _change_name_and_email(client, database, person), person.email
    names = (first_email, person.email, OLD_NAME, NAME, METADATA)
    past = make_event(client, person, contact_email=person.email)
    attended, upcoming = make_event(client, owner), make_event(client, owner)
    add_to_team(client, owner, attended, person)
    book_for_guest(client, make_key(client, owner), attended, guest_email=person.email, metadata={"account": METADATA})
    for number, (account, event, guest) in enumerate(
        (
            (person, attended, {}),
            (person, upcoming, {}),
            (person, upcoming, {"guest_name": "Grace Hopper", "guest_email": new_email()}),
            (friend, attended, {"guest_name": NAME, "guest_email": person.email}),
            (friend, past, {}),
        )
    ):
        headers, order = {**account.headers, "Idempotency-Key": str(number)}, {"event_id": event["id"], **guest}
        booked = client.post(f"{API}/bookings/", headers=headers, json=order)
        assert booked.status_code == 201, booked.text
    client.post(f"{API}/users/", headers=person.headers, json={"email": new_email()})
    client.patch(f"{API}/users/me", headers=person.headers, json={"email": new_email(), "current_password": PASSWORD})
    client.post(f"{API}/auth/password-reset", json={"email": person.email})
    with app.app_context():
        drain()
    client.post(f"{API}/auth/password-reset", json={"email": person.email})
    for event in (*earlier, past, attended):
        _end_event(database, event)
    totals = _totals(database)
    assert {"users.email", "users.name", "bookings.guest_email", "outbox_emails.payload"} <= {
        *_occurrences(database, *names)
    }

    assert _delete(client, person, cancel_bookings=True).status_code == 204
    _run_hourly_cleanup(app)

    assert _occurrences(database, *names) == {}
    cancelled = {**totals, UUID(upcoming["id"]): (0, 2)}
    assert _totals(database) == cancelled
    audit = app.test_cli_runner().invoke(args=["audit"])
    assert audit.exit_code == 0, audit.output


def _totals(database: sa.Engine) -> dict[UUID, tuple[int, int]]:
    """Return the number of booked tickets and of bookings, by event."""
    bookings = sa.select(sa.func.count()).where(Booking.event_id == Event.id).scalar_subquery()
    with database.connect() as connection:
        rows = connection.execute(sa.select(Event.id, Event.tickets_booked, bookings)).all()
    return {event_id: (tickets, count) for event_id, tickets, count in rows}


def test_cancellations_are_sent_before_the_address_is_erased(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    person = make_account(client, name=NAME)
    book(client, person, make_event(client))

    _delete(client, person, cancel_bookings=True)
    with app.app_context():
        delete_expired()  # before the worker has sent anything
    _run_hourly_cleanup(app)

    [cancellation] = mailbox.wait_for(person.email)
    assert "cancelled" in str(cancellation["Subject"])
    assert _occurrences(database, person.email, NAME) == {}


def test_a_deleted_guest_of_a_running_event_is_not_emailed(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    organizer, person = make_organizer(client), make_user(client)
    event = make_event(client, organizer)
    book(client, person, event)
    started = {"starts_at": sa.func.now() - timedelta(hours=1)}
    with database.begin() as connection:
        connection.execute(sa.update(Event).where(Event.id == UUID(event["id"])).values(started))
    assert _delete(client, person).status_code == 204

    client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)
    _run_hourly_cleanup(app)

    with database.connect() as connection:
        emails = sa.select(OutboxEmail.status).where(OutboxEmail.kind == EmailKind.EVENT_CANCELLED)
        assert set(connection.scalars(emails)) == {EmailStatus.DROPPED}


def test_erasure_locks_events_before_their_bookings(client: FlaskClient, database: sa.Engine) -> None:
    """Like bookings and cancellations, so that they cannot wait for each other."""
    person = make_user(client)
    event = make_event(client, contact_email=person.email)
    booking = book(client, person, event).json
    _end_event(database, event)

    with ThreadPoolExecutor() as pool:
        with database.connect() as holder:
            holder.execute(sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update())
            deletion = pool.submit(_delete, client, person)
            wait_until(lambda: waiting_sessions(database) == 1)
            of_booking = sa.select(Booking.id).where(Booking.id == UUID(booking["id"]))
            holder.execute(of_booking.with_for_update(nowait=True))
        assert deletion.result().status_code == 204


def test_a_deleted_account_cannot_log_in_and_is_not_listed(client: FlaskClient) -> None:
    organizer, person = make_organizer(client), make_user(client)

    assert _delete(client, person).status_code == 204

    assert client.get(f"{API}/users/me", headers=person.headers).status_code == 401
    login = client.post(f"{API}/auth/login", json={"email": person.email, "password": PASSWORD})
    assert login.status_code == 401
    assert [one["id"] for one in client.get(f"{API}/users/", headers=organizer.headers).json] == [organizer.id]
    again = client.post(f"{API}/auth/signup", json={"email": person.email, "password": PASSWORD})
    assert again.status_code == 201


def test_upcoming_bookings_prevent_deletion_unless_they_are_cancelled(client: FlaskClient) -> None:
    person = make_user(client)
    booking = book(client, person, make_event(client)).json

    refused = _delete(client, person)

    assert (refused.status_code, refused.json["code"]) == (409, "open-bookings")
    assert refused.json["booking_ids"] == [booking["id"]]
    kept = client.get(f"{API}/bookings/{booking['id']}", headers=person.headers).json
    assert kept["status"] == "confirmed"


def test_an_organizer_of_an_upcoming_event_keeps_their_account_and_bookings(client: FlaskClient) -> None:
    make_organizer(client)
    person = make_organizer(client)
    event = make_event(client, person)
    booking = book(client, person, event).json

    refused = _delete(client, person, cancel_bookings=True)

    assert (refused.status_code, refused.json["code"]) == (409, "responsible-for-events")
    assert refused.json["event_ids"] == [event["id"]]
    assert client.get(f"{API}/bookings/{booking['id']}", headers=person.headers).json["status"] == "confirmed"


def test_the_last_organizer_cannot_delete_their_account(client: FlaskClient) -> None:
    refused = _delete(client, make_organizer(client))

    assert (refused.status_code, refused.json["code"]) == (409, "last-organizer")


def test_the_last_owner_cannot_leave_other_members_behind(own_organizations: FlaskClient) -> None:
    owner = make_owner(own_organizations)
    own_organizations.post(f"{API}/users/", headers=owner.headers, json={"email": new_email()})

    refused = _delete(own_organizations, owner)

    assert (refused.status_code, refused.json["code"]) == (409, "last-owner")


def test_the_only_person_of_an_organization_can_delete_it_with_their_account(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    person = make_owner(own_organizations)
    key = make_key(own_organizations, person)
    event = make_event(own_organizations, person)
    path = f"{API}/organizations/{key.organization_id}"
    own_organizations.patch(path, headers=person.headers, json={"name": NAME})
    refused = _delete(own_organizations, person)
    assert (refused.status_code, refused.json["code"]) == (409, "responsible-for-events")
    _end_event(database, event)

    assert _delete(own_organizations, person).status_code == 204

    assert own_organizations.get(f"{API}/bookings/", headers=key.headers).status_code == 401
    assert _occurrences(database, NAME) == {}


def test_deleting_an_account_requires_its_password(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.application.config, "LOGIN_FAILURE_LIMIT", "1 per hour")
    person = make_user(client)

    wrong = [_delete(client, person, current_password="not the password").status_code for _ in range(2)]

    assert wrong == [422, 429]
    assert client.get(f"{API}/users/me", headers=person.headers).status_code == 200


def test_a_squatter_cannot_erase_what_others_stored_about_the_address(client: FlaskClient, database: sa.Engine) -> None:
    owner, friend, address = make_owner(client), make_user(client), new_email()
    event = make_event(client, owner, contact_email=address)
    headers = {**friend.headers, "Idempotency-Key": "a-key"}
    order = {"event_id": event["id"], "guest_name": "Grace Hopper", "guest_email": address}
    booking = client.post(f"{API}/bookings/", headers=headers, json=order).json
    book_for_guest(client, make_key(client, owner), event)  # the contact is named as the buyer
    client.patch(f"{API}/events/{event['id']}", headers=owner.headers, json={"location": "Elbphilharmonie"})
    stored = _occurrences(database, address)
    squatter = make_unverified(client, address)

    assert _delete(client, squatter).status_code == 204

    assert _occurrences(database, address) == stored
    kept = client.get(f"{API}/bookings/{booking['id']}", headers=friend.headers).json
    assert (kept["guest_name"], kept["guest_email"]) == ("Grace Hopper", address)


def test_the_buyer_becomes_the_guest_of_a_booking_for_a_deleted_account(client: FlaskClient) -> None:
    friend, person = make_user(client), make_account(client, name=NAME)
    booking = book(client, friend, make_event(client), guest_name=NAME, guest_email=person.email).json

    assert _delete(client, person).status_code == 204

    kept = client.get(f"{API}/bookings/{booking['id']}", headers=friend.headers).json
    assert (kept["guest_email"], kept["status"]) == (friend.email, "confirmed")
