"""Programs manage the events of their organization."""

from datetime import timedelta

import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.audit import violations
from bookings_api.mail.tasks import drain
from bookings_api.models import OutboxEmail
from tests.factories import (
    API,
    EVENT,
    Account,
    book,
    book_for_guest,
    make_event,
    make_key,
    make_organizer,
    make_owner,
    make_user,
    new_email,
)


def test_a_key_manages_events_for_the_account_that_created_it(client: FlaskClient, organizer: Account) -> None:
    key = make_key(client, organizer)

    created = client.post(f"{API}/events/", headers=key.headers, json={**EVENT, "status": "draft"})

    assert created.status_code == 201, created.text
    assert created.json["organizer_id"] == organizer.id
    assert created.json["contact_name"] is None
    path = created.headers["Location"]
    assert client.get(path, headers=key.headers).status_code == 200
    assert client.get(path).status_code == 404
    assert client.patch(path, headers=key.headers, json={"title": "New"}).json["title"] == "New"
    assert client.post(f"{path}/publish", headers=key.headers).json["status"] == "published"
    assert client.post(f"{path}/cancel", headers=key.headers).json["status"] == "cancelled"
    assert client.delete(path, headers=key.headers).status_code == 204


def test_drafts_are_visible_to_keys_that_may_read_events(client: FlaskClient, organizer: Account) -> None:
    draft = make_event(client, organizer, status="draft")
    published = make_event(client, organizer)

    def visible_to(*scopes: str) -> set[str]:
        key = make_key(client, organizer, scopes=scopes)
        listed = {event["id"] for event in client.get(f"{API}/events/all", headers=key.headers).json}
        read = {
            event["id"]
            for event in (draft, published)
            if client.get(f"{API}/events/{event['id']}", headers=key.headers).status_code == 200
        }
        assert listed == read
        return read

    assert visible_to("events:read") == visible_to("events:write") == {draft["id"], published["id"]}
    assert visible_to("bookings:read", "bookings:write") == {published["id"]}


def test_guests_of_keys_are_notified_of_changes(client: FlaskClient, organizer: Account, database: sa.Engine) -> None:
    key, event = make_key(client, organizer), make_event(client, organizer, contact_email="office@example.com")
    booking = book_for_guest(client, key, event).json
    path = f"{API}/events/{event['id']}"

    assert client.patch(path, headers=key.headers, json={"location": "Philharmonie"}).status_code == 200
    with client.application.app_context():
        drain()
    assert client.post(f"{path}/cancel", headers=key.headers).status_code == 200
    with client.application.app_context():
        drain()

    with database.connect() as connection:
        emails = connection.execute(sa.select(OutboxEmail.kind, OutboxEmail.recipient).order_by(OutboxEmail.id)).all()
    assert [tuple(email) for email in emails] == [
        (kind, booking["guest_email"]) for kind in ("booking_confirmed", "event_changed", "event_cancelled")
    ]


def test_the_audit_accepts_bookings_made_with_keys(
    client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    key, event = make_key(client, organizer), make_event(client, organizer)
    headers = {**key.headers, "Idempotency-Key": "one"}
    order = {"event_id": event["id"], "guest_name": "Grace", "guest_email": new_email(), "external_id": "order-1"}
    booking = client.post(f"{API}/bookings/", headers=headers, json=order).json
    path = f"{API}/bookings/{booking['id']}"
    client.patch(path, headers=key.headers, json={"guest_email": new_email(), "ticket_count": 2})
    client.delete(path, headers=key.headers)
    book_for_guest(client, key, event)
    client.patch(f"{API}/events/{event['id']}", headers=key.headers, json={"location": "Philharmonie"})
    with client.application.app_context():
        drain()

    with database.connect() as connection:
        assert list(violations(connection, emails_since=timedelta(days=90))) == []


def test_a_key_of_an_organizer_cannot_touch_events_of_other_organizers(client: FlaskClient, organizer: Account) -> None:
    other = make_organizer(client)
    event, draft = make_event(client, other), make_event(client, other, status="draft")
    own_draft = make_event(client, organizer, status="draft")
    booking = book(client, make_user(client), event).json["id"]
    booked_by_key = book_for_guest(client, make_key(client, other), event).json["id"]
    drafts = [own_draft["id"], draft["id"]]

    for key in (make_key(client, organizer), make_key(client, organizer, event_ids=[event["id"], *drafts])):
        path = f"{API}/events/{event['id']}"
        for response in (
            client.patch(path, headers=key.headers, json={"title": "Mine"}),
            client.post(f"{path}/cancel", headers=key.headers),
            client.delete(path, headers=key.headers),
            client.get(f"{path}/bookings", headers=key.headers),
            client.get(f"{path}/door-list", headers=key.headers),
            book_for_guest(client, key, event),
        ):
            assert (response.status_code, response.json["code"]) == (403, "permission-denied")
        for one in (booking, booked_by_key):
            assert client.get(f"{API}/bookings/{one}", headers=key.headers).status_code == 404
            assert client.delete(f"{API}/bookings/{one}", headers=key.headers).status_code == 404
        assert client.get(f"{API}/bookings/", headers=key.headers).json == []
        assert client.get(f"{API}/events/{draft['id']}", headers=key.headers).status_code == 404
        listed = {one["id"] for one in client.get(f"{API}/events/all", headers=key.headers).json}
        assert listed == {event["id"], own_draft["id"]}
        assert client.get(f"{API}/events/{own_draft['id']}", headers=key.headers).status_code == 200


def test_a_key_of_an_owner_manages_the_events_of_all_organizers(client: FlaskClient, organizer: Account) -> None:
    event, draft = make_event(client, organizer), make_event(client, organizer, status="draft")

    key = make_key(client, make_owner(client))

    booked = book_for_guest(client, key, event)
    assert booked.status_code == 201
    assert [one["id"] for one in client.get(f"{API}/bookings/", headers=key.headers).json] == [booked.json["id"]]
    changed = client.patch(f"{API}/events/{draft['id']}", headers=key.headers, json={"title": "Ours"})
    assert changed.status_code == 200
    assert draft["id"] in {one["id"] for one in client.get(f"{API}/events/all", headers=key.headers).json}
