"""Requests that only check whether tickets can be booked."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    Account,
    Key,
    book,
    items,
    make_event,
    make_ticket_type,
    new_email,
    ticket_types_of,
    types_path,
)
from tests.inventory.conftest import Event, let_holds_expire
from tests.polling import wait_until
from tests.sql import execute, waiting_sessions

pytestmark = pytest.mark.usefixtures("audited")


def _preview(client: FlaskClient, sender: Account | Key, event: Event, **order: Any) -> Any:
    response = client.post(
        f"{API}/bookings/?dry_run=true", headers=sender.headers, json={"event_id": event["id"], **order}
    )
    assert response.status_code == 200, response.text
    return response.json


def _rows(database: sa.Engine) -> tuple[int, int]:
    with database.connect() as connection:
        query = sa.text("SELECT (SELECT count(*) FROM bookings), (SELECT count(*) FROM outbox_emails)")
        bookings, emails = connection.execute(query).one()
        return bookings, emails


def test_a_preview_shows_the_status_and_the_amount_and_writes_nothing(
    client: FlaskClient, user: Account, priced: Event, waiting: Event, database: sa.Engine
) -> None:
    book(client, user, waiting, ticket_count=4)
    before = _rows(database)

    held = _preview(client, user, priced, ticket_count=2)
    free = _preview(client, user, make_event(client))
    waitlisted = _preview(client, user, waiting, waitlist=True)

    assert (held["status"], held["amount_due"], held["currency"], held["refusals"]) == ("held", 3600, "EUR", [])
    assert [(item["count"], item["price"]) for item in held["items"]] == [(2, 1800)]
    assert (free["status"], free["ticket_count"]) == ("confirmed", 1)
    assert waitlisted["status"] == "waitlisted"
    assert _rows(database) == before


def test_a_preview_names_every_reason_to_refuse(
    client: FlaskClient, user: Account, organizer: Account, database: sa.Engine
) -> None:
    event = make_event(
        client, organizer, capacity=3, max_tickets_per_booking=4, max_tickets_per_person=2,
        booking_opens_at="2098-01-01T00:00:00Z",
    )  # fmt: skip
    front = make_ticket_type(
        client, organizer, event, capacity=1, max_per_booking=1, sales_open_at="2098-02-01T00:00:00Z"
    )
    [general, _] = client.get(f"{API}/events/{event['id']}/ticket-types").json or []

    preview = _preview(client, user, event, items=items((general, 3), (front, 2)))

    assert preview["status"] is None
    assert [refusal["code"] for refusal in preview["refusals"]] == [
        "event-not-open",
        "sales-closed",
        "too-many-tickets",
        "too-many-tickets",
        "too-many-for-person",
        "sold-out",
        "sold-out",
    ]
    assert preview["refusals"][-2]["detail"] == "Only 1 ticket is left of Front row."


@pytest.mark.parametrize(
    ("types", "closed"),
    [(1, "Sales of General admission open at 2098-02-01T00:00:00Z."), (2, "No tickets are on sale.")],
)
def test_a_preview_names_every_reason_even_if_no_tickets_are_on_sale(
    client: FlaskClient, user: Account, organizer: Account, types: int, closed: str
) -> None:
    event = make_event(client, organizer, capacity=1, max_tickets_per_booking=2, max_tickets_per_person=1)
    if types > 1:
        make_ticket_type(client, organizer, event)
    for ticket_type in ticket_types_of(client, event):
        path, changes = f"{types_path(event)}/{ticket_type['id']}", {"sales_open_at": "2098-02-01T00:00:00Z"}
        assert client.patch(path, headers=organizer.headers, json=changes).status_code == 200

    refusals = _preview(client, user, event, ticket_count=3)["refusals"]

    codes = [refusal["code"] for refusal in refusals]
    assert codes == ["sales-closed", "too-many-tickets", "too-many-for-person", "sold-out"]
    assert refusals[0]["detail"] == closed


def test_a_preview_counts_expired_holds_as_available(
    client: FlaskClient, user: Account, priced: Event, database: sa.Engine
) -> None:
    book(client, user, priced, ticket_count=5)
    assert [refusal["code"] for refusal in _preview(client, user, priced)["refusals"]] == ["sold-out"]
    let_holds_expire(database)

    assert _preview(client, user, priced, ticket_count=5)["status"] == "held"
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT status FROM bookings")) == "held"


def test_a_hold_that_expires_during_a_preview_still_counts_as_held(
    client: FlaskClient, user: Account, priced: Event, database: sa.Engine
) -> None:
    book(client, user, priced, ticket_count=4)
    let_holds_expire(database)
    book(client, user, priced, ticket_count=1)
    with ThreadPoolExecutor(1) as pool, database.begin() as connection:
        connection.execute(sa.text("SELECT 1 FROM bookings WHERE held_until <= now() FOR UPDATE"))
        preview = pool.submit(_preview, client, user, priced, ticket_count=5)
        wait_until(lambda: waiting_sessions(database) == 1)
        execute(database, "UPDATE bookings SET held_until = clock_timestamp() WHERE held_until > now()")

    assert [refusal["code"] for refusal in preview.result()["refusals"]] == ["sold-out"]


def test_a_preview_with_a_known_external_id_shows_the_booking(client: FlaskClient, key: Key, priced: Event) -> None:
    order = {"guest_name": "Grace", "guest_email": new_email(), "external_id": "order-1"}
    booked = book(client, key, priced, **order).json

    assert _preview(client, key, priced, **order)["id"] == booked["id"]


def test_previews_do_not_use_up_the_limit_of_emails_to_a_guest(
    client: FlaskClient, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "GUEST_MAIL_LIMIT", "1/hour")
    event, guest = make_event(client), new_email()
    for _ in range(3):
        assert _preview(client, user, event, guest_email=guest)["status"] == "confirmed"

    assert book(client, user, event, guest_email=guest).status_code == 201
    assert book(client, user, event, guest_email=guest).status_code == 429


def test_invalid_requests_are_refused_as_usual(client: FlaskClient, user: Account, priced: Event) -> None:
    path = f"{API}/bookings/?dry_run="
    unknown = client.post(
        f"{path}true", headers=user.headers, json={"event_id": "019df213-1e77-7a95-a0d8-3c5b7f9e1264"}
    )
    maybe = client.post(f"{path}maybe", headers=user.headers, json={"event_id": priced["id"]})

    assert (unknown.status_code, maybe.status_code) == (404, 422)
    assert client.post(f"{path}true", json={"event_id": priced["id"]}).status_code == 401
