"""A machine whose clock is wrong: stored times are compared with the database's clock only."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.accounts.one_time_tokens import token_of
from bookings_api.cleanup import delete_expired
from bookings_api.inventory.sweep import sweep
from bookings_api.mail.tasks import drain, remind
from bookings_api.models import (
    Base,
    Booking,
    EmailStatus,
    Event,
    IdempotencyKey,
    Login,
    OneTimeToken,
    Organization,
    OutboxEmail,
)
from tests.factories import API, PASSWORD, Account, book, log_in, make_event, make_organizer, make_user

_MINUTE = timedelta(minutes=1)
# The columns with times that the service itself writes.
_STORED = {"created_at", "updated_at", "cancelled_at", "deleted_at", "revoked_at", "sent_at", "finished_at"}

# errors of an API machine's clock that are too small to be noticed
ALMOST_RIGHT = [timedelta(minutes=3), timedelta(minutes=-3)]

ERRORS = {
    "25 hours fast": timedelta(hours=25),
    "15 days fast": timedelta(days=15),
    "15 days slow": timedelta(days=-15),
}


@pytest.fixture(params=[*ERRORS.values()], ids=[*ERRORS])
def wrong_clock(request: pytest.FixtureRequest) -> time_machine.travel:
    return time_machine.travel(datetime.now(UTC) + request.param, tick=True)


@pytest.fixture
def scene(client: FlaskClient) -> tuple[Account, Account, dict[str, Any]]:
    """A user, an organizer, and an event that starts in one hour and ends in two."""
    organizer = make_organizer(client)
    now = datetime.now(UTC)
    times = {"starts_at": now + timedelta(hours=1), "ends_at": now + timedelta(hours=2)}
    event = make_event(client, organizer, **{name: time.isoformat() for name, time in times.items()})
    return make_user(client), organizer, event


def _count(database: sa.Engine, model: type[Base]) -> int:
    with database.connect() as connection:
        return connection.scalars(sa.select(sa.func.count()).select_from(model)).one()


def test_cleanup_deletes_nothing_that_is_still_valid(
    app: Flask, client: FlaskClient, database: sa.Engine, scene: Any, wrong_clock: time_machine.travel
) -> None:
    user, _, event = scene
    order = {"headers": {**user.headers, "Idempotency-Key": "a-key"}, "json": {"event_id": event["id"]}}
    first = client.post(f"{API}/bookings/", **order)
    client.post(f"{API}/auth/password-reset", json={"email": user.email})
    models = (Login, OneTimeToken, IdempotencyKey, OutboxEmail)

    with app.app_context(), wrong_clock:
        drain()
        kept = [_count(database, model) for model in models]
        delete_expired()
        assert [_count(database, model) for model in models] == kept == [2, 1, 1, 2]

    assert client.post(f"{API}/bookings/", **order).data == first.data
    assert client.get(f"{API}/users/me", headers=user.headers).status_code == 200


def test_cleanup_deletes_what_the_database_considers_old(
    app: Flask, client: FlaskClient, database: sa.Engine, scene: Any, wrong_clock: time_machine.travel
) -> None:
    user, _, event = scene
    client.post(
        f"{API}/bookings/", headers={**user.headers, "Idempotency-Key": "a-key"}, json={"event_id": event["id"]}
    )
    with database.begin() as connection:
        connection.execute(sa.update(Login).values(expires_at=sa.func.now() - timedelta(seconds=1)))
        connection.execute(sa.update(IdempotencyKey).values(created_at=sa.func.now() - timedelta(hours=24, seconds=1)))

    with app.app_context(), wrong_clock:
        delete_expired()

    assert [_count(database, model) for model in (Login, IdempotencyKey)] == [0, 0]


def test_an_event_that_starts_soon_is_listed_booked_changed_and_cancelled(
    client: FlaskClient, scene: Any, wrong_clock: time_machine.travel
) -> None:
    user, organizer, event = scene
    with wrong_clock:
        user, organizer = log_in(client, user), log_in(client, organizer)
        booking = book(client, user, event)
        assert booking.status_code == 201, booking.text
        upcoming = client.get(f"{API}/bookings/?upcoming=true", headers=user.headers).json
        changed = client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"timezone": "UTC"})

        assert [found["id"] for found in client.get(f"{API}/events/").json] == [event["id"]]
        assert [found["id"] for found in upcoming] == [booking.json["id"]]
        assert changed.status_code == 200, changed.text
        url = f"{API}/bookings/{booking.json['id']}"
        assert client.post(f"{url}/emails", headers=user.headers).status_code == 202
        assert client.patch(url, headers=user.headers, json={"ticket_count": 2}).status_code == 200
        assert client.delete(url, headers=user.headers).status_code == 200
        assert make_event(client, organizer, starts_at=event["starts_at"], ends_at=event["ends_at"])
        assert client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers).status_code == 200


def test_booking_an_event_that_has_started_is_refused(
    client: FlaskClient, database: sa.Engine, scene: Any, wrong_clock: time_machine.travel
) -> None:
    user, _, event = scene
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(starts_at=sa.func.now()))

    with wrong_clock:
        response = book(client, log_in(client, user), event)

    assert (response.status_code, response.json["code"]) == (409, "event-not-open")


def test_a_reminder_is_sent_before_the_event_starts(
    app: Flask, client: FlaskClient, database: sa.Engine, scene: Any, wrong_clock: time_machine.travel
) -> None:
    user, _, event = scene
    book(client, user, event)

    with app.app_context(), wrong_clock:
        remind()
        drain()

    with database.connect() as connection:
        assert set(connection.scalars(sa.select(OutboxEmail.status))) == {EmailStatus.SENT}
        assert connection.scalars(sa.select(Booking.reminded_for)).one()


def test_emailed_tokens_and_logins_expire_by_the_databases_clock(
    app: Flask, client: FlaskClient, database: sa.Engine, scene: Any, wrong_clock: time_machine.travel
) -> None:
    user, _, _ = scene
    client.post(f"{API}/auth/password-reset", json={"email": user.email})

    with app.app_context(), wrong_clock:
        drain()
        login = log_in(client, user)
        refreshed = client.post(f"{API}/auth/refresh", headers={"Authorization": f"Bearer {login.refresh_token}"})

    assert refreshed.status_code == 200
    with database.connect() as connection:
        token_id, token_expires_at = connection.execute(sa.select(OneTimeToken.id, OneTimeToken.expires_at)).one()
        login_expires_at = connection.scalars(sa.select(Login.expires_at).order_by(Login.id.desc()).limit(1)).one()
    assert abs(token_expires_at - datetime.now(UTC) - timedelta(hours=1)) < _MINUTE
    assert abs(login_expires_at - datetime.now(UTC) - timedelta(days=app.config["REFRESH_TOKEN_DAYS"])) < _MINUTE
    with app.app_context(), wrong_clock:
        reset = {"token": token_of(token_id), "password": PASSWORD}
        assert client.post(f"{API}/auth/password-reset/confirm", json=reset).status_code == 204


def test_all_stored_times_come_from_the_databases_clock(
    app: Flask, client: FlaskClient, database: sa.Engine, wrong_clock: time_machine.travel
) -> None:
    with app.app_context(), wrong_clock:
        user, organizer = make_user(client), make_organizer(client)
        events = [make_event(client, organizer) for _ in range(2)]
        for event in events:
            book(client, user, event)
        booking = book(client, user, events[0]).json
        client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)
        client.delete(f"{API}/events/{events[0]['id']}", headers=organizer.headers)
        client.patch(f"{API}/events/{events[1]['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
        client.post(f"{API}/auth/logout", headers=user.headers)
        drain()

    with database.connect() as connection:
        # the migration created the organization
        for table in set(Base.metadata.sorted_tables) - {Organization.__table__}:
            for column in _STORED & {*table.c.keys()}:
                times = connection.scalars(sa.select(table.c[column]).where(table.c[column].is_not(None)))
                wrong = [time for time in times if abs(time - datetime.now(UTC)) > _MINUTE]
                assert not wrong, f"{table.name}.{column}"


@pytest.mark.parametrize("error", ALMOST_RIGHT, ids=["3 minutes fast", "3 minutes slow"])
def test_holds_last_as_long_and_parties_wait_in_the_same_order_on_a_machine_with_a_wrong_clock(
    app: Flask, client: FlaskClient, database: sa.Engine, error: timedelta
) -> None:
    organizer, users = make_organizer(client), [make_user(client) for _ in range(3)]
    event = make_event(client, organizer, capacity=1, waitlist="on")
    wrong_clock = time_machine.travel(datetime.now(UTC) + error, tick=True)
    with wrong_clock:
        users[:2] = [log_in(client, user) for user in users[:2]]
        held = book(client, users[0], event, hold_minutes=2).json
        second = book(client, users[1], event, waitlist=True).json
    first = book(client, users[2], event, waitlist=True).json
    with wrong_clock, app.app_context():
        sweep()
        assert book(client, users[1], event).json["code"] == "sold-out"
    assert (second["position"], first["position"]) == (1, 2)
    created, until = (datetime.fromisoformat(held[name]) for name in ("created_at", "held_until"))
    assert until - created == timedelta(minutes=2)
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=2)

    with database.begin() as connection:
        connection.execute(sa.text("UPDATE bookings SET held_until = clock_timestamp() WHERE status = 'held'"))
    with wrong_clock, app.app_context():
        sweep()

    with database.connect() as connection:
        statuses = sa.select(Booking.status).where(Booking.event_id == UUID(event["id"])).order_by(Booking.created_at)
        assert connection.scalars(statuses).all() == ["expired", "confirmed", "waitlisted"]
