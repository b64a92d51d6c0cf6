"""Rate limits of API keys: one for all requests of a key, in place of the limits of accounts."""

import pytest
from flask.testing import FlaskClient

from tests.factories import (
    API,
    EVENT,
    Account,
    Key,
    book_for_guest,
    make_event,
    make_key,
    make_organizer,
    new_email,
)


@pytest.fixture
def organizer(client: FlaskClient) -> Account:
    return make_organizer(client)


def test_all_requests_of_a_key_share_one_limit(
    client: FlaskClient, organizer: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "API_KEY_LIMIT", "3 per hour")
    key, other, event = make_key(client, organizer), make_key(client, organizer), make_event(client, organizer)

    first = book_for_guest(client, key, event)
    assert (first.status_code, first.headers["RateLimit-Remaining"]) == (201, "2")
    assert client.get(f"{API}/bookings/", headers=key.headers).status_code == 200
    assert client.get(f"{API}/events/{event['id']}", headers=key.headers).status_code == 200

    refused = book_for_guest(client, key, event)
    assert (refused.status_code, refused.json["code"]) == (429, "too-many-requests")
    assert "Retry-After" in refused.headers
    assert book_for_guest(client, other, event).status_code == 201
    assert client.get(f"{API}/users/me", headers=organizer.headers).status_code == 200


def test_the_limits_of_accounts_do_not_apply_to_keys(
    client: FlaskClient, organizer: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting in ("BOOKING_LIMIT", "GUEST_MAIL_LIMIT", "EVENT_LIMIT"):
        monkeypatch.setitem(client.application.config, setting, "2 per hour")
    key, event, guest = make_key(client, organizer), make_event(client, organizer), new_email()

    for _ in range(3):
        assert book_for_guest(client, key, event, guest_email=guest).status_code == 201
        assert client.post(f"{API}/events/", headers=key.headers, json=dict(EVENT)).status_code == 201


def test_keys_together_cannot_flood_a_mailbox(
    client: FlaskClient, organizer: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "MAILBOX_LIMIT", "2 per hour")
    event, guest = make_event(client, organizer), new_email()
    user, _, domain = guest.partition("@")
    booked = book_for_guest(client, make_key(client, organizer), event, guest_email=guest)
    key = make_key(client, organizer)
    assert book_for_guest(client, key, event, guest_email=f"{user}+1@{domain}").status_code == 201

    assert book_for_guest(client, key, event, guest_email=guest).status_code == 429
    path = f"{API}/bookings/{booked.json['id']}"
    assert client.post(f"{path}/emails", headers=key.headers).status_code == 429
    assert client.patch(path, headers=key.headers, json={"ticket_count": 2}).status_code == 429
    assert client.delete(path, headers=key.headers).status_code == 200
    assert book_for_guest(client, key, event).status_code == 201


def test_a_repeated_order_does_not_count_as_an_email(
    client: FlaskClient, organizer: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "MAILBOX_LIMIT", "2 per hour")
    key, event = make_key(client, organizer), make_event(client, organizer)
    guest = new_email()

    statuses = [
        book_for_guest(client, key, event, guest_email=guest, external_id="order-1").status_code for _ in range(4)
    ]

    assert statuses == [201, 200, 200, 200]
    assert book_for_guest(client, key, event, guest_email=guest).status_code == 201


def test_an_order_can_be_repeated_when_the_mailbox_gets_no_more_emails(
    client: FlaskClient, organizer: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "MAILBOX_LIMIT", "2 per hour")
    key, event, guest = make_key(client, organizer), make_event(client, organizer), new_email()
    order = {"event_id": event["id"], "guest_name": "Grace", "guest_email": guest}
    with_id = book_for_guest(client, key, event, guest_email=guest, external_id="order-1").json
    headers = {**key.headers, "Idempotency-Key": "one"}
    with_key = client.post(f"{API}/bookings/", headers=headers, json=order).json
    assert book_for_guest(client, key, event, guest_email=guest, external_id="order-2").status_code == 429

    again = book_for_guest(client, key, event, guest_email=guest, external_id="order-1")
    assert (again.status_code, again.json.get("id")) == (200, with_id["id"])
    replayed = client.post(f"{API}/bookings/", headers=headers, json=order)
    assert (replayed.status_code, replayed.json) == (201, with_key)


def test_unknown_keys_are_not_counted(client: FlaskClient, organizer: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.application.config, "API_KEY_LIMIT", "1 per hour")
    event, unknown = make_event(client, organizer), Key("", "", "ebk_unknown")

    for _ in range(3):
        response = book_for_guest(client, unknown, event)
        assert response.status_code == 401
        assert "RateLimit-Limit" not in response.headers
