"""Keys reach only what their scopes and events allow, and only while they are valid."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.accounts.actors import record_use
from bookings_api.database.prepared import read_row
from bookings_api.models import ApiKey, Booking, Event
from bookings_api.permissions import Actor
from tests.factories import (
    API,
    Account,
    Key,
    book,
    book_for_guest,
    make_event,
    make_key,
)
from tests.polling import wait_until
from tests.service import Service

GRACE = {"guest_name": "Grace Hopper", "guest_email": "grace@example.com"}


def test_a_restricted_key_sees_and_changes_only_its_events(
    client: FlaskClient, key: Key, event: dict[str, Any], organizer: Account
) -> None:
    other = make_event(client, organizer)
    draft = make_event(client, organizer, status="draft")
    restricted = make_key(client, organizer, event_ids=[event["id"]])
    own = book_for_guest(client, restricted, event).json["id"]
    hidden = book_for_guest(client, key, other).json["id"]

    listed = client.get(f"{API}/bookings/", headers=restricted.headers).json
    assert [booking["id"] for booking in listed] == [own]
    for method in ("GET", "PATCH", "DELETE"):
        body: dict[str, Any] = {"json": GRACE} if method == "PATCH" else {}
        response = client.open(f"{API}/bookings/{hidden}", method=method, headers=restricted.headers, **body)
        assert (response.status_code, response.json["code"]) == (404, "booking-not-found")
    assert book_for_guest(client, restricted, other).status_code == 403
    assert book_for_guest(client, restricted, draft).status_code == 404
    attendees = client.get(f"{API}/events/{other['id']}/bookings", headers=restricted.headers)
    assert attendees.status_code == 403
    changed = client.patch(f"{API}/events/{other['id']}", headers=restricted.headers, json={"title": "Other"})
    assert changed.status_code == 403
    assert client.get(f"{API}/events/{draft['id']}", headers=restricted.headers).status_code == 404
    created = client.post(f"{API}/events/", headers=restricted.headers, json={"title": "Other"})
    assert (created.status_code, created.json["code"]) == (403, "permission-denied")
    assert (
        client.patch(f"{API}/events/{event['id']}", headers=restricted.headers, json={"title": "New"}).json["title"]
        == "New"
    )


def test_a_key_without_the_scope_learns_nothing_about_bookings(
    client: FlaskClient, event: dict[str, Any], organizer: Account, user: Account
) -> None:
    booking = book(client, user, event).json
    reader = make_key(client, organizer, scopes=["bookings:read"])
    writer = make_key(client, organizer, scopes=["bookings:write"])

    assert client.get(f"{API}/bookings/{booking['id']}", headers=reader.headers).status_code == 200
    assert client.delete(f"{API}/bookings/{booking['id']}", headers=reader.headers).status_code == 403
    assert book_for_guest(client, reader, event).status_code == 403
    assert client.get(f"{API}/bookings/{booking['id']}", headers=writer.headers).status_code == 403
    assert client.get(f"{API}/events/{event['id']}/bookings", headers=writer.headers).status_code == 403
    assert client.delete(f"{API}/bookings/{booking['id']}", headers=writer.headers).status_code == 200


@pytest.mark.parametrize("secret", ["ebk_", "ebk_unknown", "ebk_" + "A" * 43, "ebk_\u00e4", "ebk_" + "A" * 5000])
def test_an_unknown_key_is_unauthenticated(client: FlaskClient, event: dict[str, Any], secret: str) -> None:
    unknown = Key("", "", secret)

    for response in (
        book_for_guest(client, unknown, event),
        client.get(f"{API}/bookings/", headers=unknown.headers),
        client.get(f"{API}/events/{event['id']}", headers=unknown.headers),
    ):
        assert (response.status_code, response.json["code"]) == (401, "unauthenticated")


def test_refused_orders_are_uses_of_a_key(
    client: FlaskClient, key: Key, event: dict[str, Any], organizer: Account
) -> None:
    assert book_for_guest(client, key, event, ticket_count=11).status_code == 422

    assert client.get(key.path, headers=organizer.headers).json["last_used_at"] is not None


def _scalar(database: sa.Engine, query: sa.Select[int]) -> int:
    with database.connect() as connection:
        return connection.scalar(query) or 0


def test_a_key_is_revoked_during_load_with_the_next_request(
    service: Service, client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    key, event = make_key(client, organizer), make_event(client, organizer, capacity=10_000)
    body, count = {"event_id": event["id"], **GRACE}, sa.select(sa.func.count()).select_from(Booking)

    with httpx.Client(headers=dict(key.headers)) as program, httpx.Client(headers=dict(organizer.headers)) as owner:

        def book_until_refused(_: int) -> tuple[int, set[int]]:
            """Return the number of successful bookings and the statuses after the first refusal."""
            successes = 0
            while (status := program.post(f"{service.api}/bookings/", json=body).status_code) == 201:
                successes += 1
            after = {program.post(f"{service.api}/bookings/", json=body).status_code for _ in range(5)}
            return successes, {status, *after}

        with ThreadPoolExecutor(5) as threads:
            running = [threads.submit(book_until_refused, number) for number in range(4)]
            wait_until(lambda: _scalar(database, count) > 0, seconds=20)
            assert owner.delete(f"{service.url}{key.path}").status_code == 204
            booked = _scalar(database, count)
            assert program.post(f"{service.api}/bookings/", json=body).status_code == 401
            outcomes = [thread.result() for thread in running]

    assert all(statuses == {401} for _, statuses in outcomes)
    # a booking whose transaction began before the revocation may end after it
    assert _scalar(database, count) <= booked + len(outcomes)
    assert _scalar(database, sa.select(Event.tickets_booked)) == sum(successes for successes, _ in outcomes)


def test_booking_does_not_wait_for_a_change_of_the_key(
    client: FlaskClient, key: Key, event: dict[str, Any], database: sa.Engine, organizer: Account
) -> None:
    """Recording the use would otherwise wait while it holds the event's lock."""
    with database.begin() as connection:
        connection.execute(sa.update(ApiKey).values(name="Box office"))
        assert book_for_guest(client, key, event).status_code == 201

    assert book_for_guest(client, key, event).status_code == 201
    assert client.get(key.path, headers=organizer.headers).json["last_used_at"] is not None


def test_simultaneous_requests_record_a_use_once(
    application: Flask, client: FlaskClient, key: Key, database: sa.Engine
) -> None:
    last_use, clock = sa.select(ApiKey.last_used_at), sa.select(sa.func.clock_timestamp())
    with application.app_context():
        with database.connect() as connection:
            unused = read_row(ApiKey, connection.execute(sa.select(ApiKey.__table__)).one())
            now = connection.execute(clock).scalar_one()
        actor = Actor(key=unused)
        record_use(actor, now=now)
        with database.connect() as connection:
            first = connection.scalar(last_use)
        assert first is not None
        record_use(actor, now=now)
    with database.connect() as connection:
        assert connection.scalar(last_use) == first
