"""Running events are still listed, and their organizers can sell tickets, change the end and cancel."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Event, EventBroadcast
from tests.factories import API, Account, book, make_event

DAY = timedelta(days=1)

# Makes an event that started yesterday and ends tomorrow, or with the given columns instead.
MakeRunning = Callable[..., dict[str, Any]]


@pytest.fixture
def make_running(client: FlaskClient, database: sa.Engine, organizer: Account) -> MakeRunning:
    def make(**columns: Any) -> dict[str, Any]:
        event = make_event(client, organizer, status=columns.pop("status", "published"))
        with database.begin() as connection:
            connection.execute(sa.update(Event).values({"starts_at": _in(-DAY), "ends_at": _in(DAY), **columns}))
        return event

    return make


def _in(duration: timedelta) -> datetime:
    return datetime.now(UTC) + duration


def _url(event: dict[str, Any], action: str = "") -> str:
    return f"{API}/events/{event['id']}{action}"


def _refused(response: Any) -> tuple[int, str, list[str]]:
    return (
        response.status_code,
        response.json["code"],
        [error["field"] for error in response.json.get("errors", [])],
    )


def _broadcasts(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(connection.scalars(sa.select(EventBroadcast.kind).order_by(EventBroadcast.id)))


def test_a_running_event_is_listed_and_can_be_published_late(
    client: FlaskClient, organizer: Account, make_running: MakeRunning
) -> None:
    event = make_running(status="draft")

    assert client.post(_url(event, "/publish"), headers=organizer.headers).status_code == 200
    assert [listed["id"] for listed in client.get(f"{API}/events/").json] == [event["id"]]


def test_booking_closes_at_the_start_unless_the_organizer_chooses_a_later_time(
    client: FlaskClient, user: Account, organizer: Account, make_running: MakeRunning
) -> None:
    event = make_running()
    refused = book(client, user, event)
    assert (refused.status_code, refused.json["detail"]) == (409, "The event has already started.")

    ends_at = client.get(_url(event)).json["ends_at"]
    opened = client.patch(_url(event), headers=organizer.headers, json={"booking_closes_at": ends_at})

    assert opened.status_code == 200, opened.text
    assert book(client, user, event).status_code == 201


def test_bookings_change_until_booking_closes(
    client: FlaskClient, database: sa.Engine, user: Account, make_running: MakeRunning
) -> None:
    event = make_running(booking_closes_at=_in(DAY))
    urls = [f"{API}/bookings/{book(client, user, event).json['id']}" for _ in range(2)]

    assert client.patch(urls[0], headers=user.headers, json={"ticket_count": 2}).status_code == 200
    assert client.delete(urls[1], headers=user.headers).status_code == 200
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(booking_closes_at=_in(timedelta(0))))
    for method, body in (("PATCH", {"ticket_count": 1}), ("DELETE", None)):
        response = client.open(urls[0], method=method, headers=user.headers, json=body)
        assert (response.status_code, response.json["detail"]) == (409, "Booking for this event has closed.")


def test_booking_cannot_close_after_the_end(client: FlaskClient, organizer: Account) -> None:
    event = make_event(client, organizer)
    for closes_at, status in ((event["ends_at"], 200), ("2099-06-20T00:00:00Z", 422)):
        response = client.patch(_url(event), headers=organizer.headers, json={"booking_closes_at": closes_at})
        assert response.status_code == status


@pytest.mark.parametrize("length", [timedelta(hours=1), 7 * DAY], ids=["shorter", "longer"])
def test_a_running_event_gets_a_new_end_and_guests_are_notified(
    client: FlaskClient,
    database: sa.Engine,
    user: Account,
    organizer: Account,
    make_running: MakeRunning,
    length: timedelta,
) -> None:
    event = make_running(booking_closes_at=_in(timedelta(minutes=30)))
    book(client, user, event)

    changed = client.patch(_url(event), headers=organizer.headers, json={"ends_at": _in(length).isoformat()})

    assert changed.status_code == 200, changed.text
    assert _broadcasts(database) == ["event_changed"]


def test_a_running_event_cannot_end_in_the_past_or_start_again(
    client: FlaskClient, organizer: Account, make_running: MakeRunning
) -> None:
    event = make_running()

    past, start = (
        client.patch(_url(event), headers=organizer.headers, json=change)
        for change in ({"ends_at": _in(-timedelta(hours=1)).isoformat()}, {"starts_at": _in(DAY / 2).isoformat()})
    )

    assert _refused(past) == (422, "invalid-input", ["ends_at"])
    assert _refused(start) == (409, "event-started", [])


@pytest.mark.parametrize(("method", "action"), [("POST", "/cancel"), ("DELETE", "")])
def test_a_running_event_can_be_cancelled_with_its_bookings(
    client: FlaskClient,
    database: sa.Engine,
    user: Account,
    organizer: Account,
    make_running: MakeRunning,
    method: str,
    action: str,
) -> None:
    event = make_running(booking_closes_at=_in(DAY))
    booking = book(client, user, event).json

    assert client.open(_url(event, action), method=method, headers=organizer.headers).status_code in {200, 204}

    assert client.get(f"{API}/bookings/{booking['id']}", headers=user.headers).json["status"] == "cancelled"
    assert _broadcasts(database) == ["event_cancelled"]


@pytest.mark.parametrize(
    ("method", "action", "change"),
    [
        ("PATCH", "", {"starts_at": "2099-07-01T00:00:00Z", "ends_at": "2099-07-02T00:00:00Z"}),
        ("PATCH", "", {"timezone": "UTC"}),
        ("PATCH", "", {"booking_closes_at": "2099-01-01T00:00:00Z"}),
        ("POST", "/cancel", None),
        ("DELETE", "", None),
    ],
)
def test_an_event_that_has_ended_can_neither_be_rescheduled_nor_cancelled(
    client: FlaskClient, organizer: Account, make_running: MakeRunning, method: str, action: str, change: Any
) -> None:
    event = make_running(ends_at=_in(-timedelta(minutes=1)))

    response = client.open(_url(event, action), method=method, headers=organizer.headers, json=change)

    assert _refused(response) == (409, "event-ended", [])
    assert client.patch(_url(event), headers=organizer.headers, json={"description": "Fine."}).status_code == 200


def test_a_draft_that_has_ended_cannot_be_published(
    client: FlaskClient, organizer: Account, make_running: MakeRunning
) -> None:
    event = make_running(status="draft", ends_at=_in(-timedelta(minutes=1)))

    assert _refused(client.post(_url(event, "/publish"), headers=organizer.headers)) == (409, "event-ended", [])
