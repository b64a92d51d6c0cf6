"""The default limits."""

from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.http.rate_limiting.storage import KEY_PREFIX
from tests.factories import API, EVENT, PASSWORD, Account, book, make_event, make_organizer, make_user, new_email

pytestmark = pytest.mark.usefixtures("delivered_limits")


def _log_in(client: FlaskClient, email: str, password: str, address: str = "192.0.2.1") -> Any:
    body = {"email": email, "password": password}
    return client.post(f"{API}/auth/login", json=body, environ_overrides={"REMOTE_ADDR": address})


def _log_in_by_form(client: FlaskClient, email: str, password: str) -> Any:
    return client.post(f"{API}/auth/token", data={"username": email, "password": password})


def _sign_up(client: FlaskClient, address: str, email: str | None = None) -> Any:
    body = {"email": email or new_email(), "password": PASSWORD}
    return client.post(f"{API}/auth/signup", json=body, environ_overrides={"REMOTE_ADDR": address})


def _fail(client: FlaskClient, email: str, times: int) -> list[int]:
    """Send wrong passwords, each from a different client address."""
    return [_log_in(client, email, "wrong", f"192.0.2.{number}").status_code for number in range(times)]


def test_after_ten_wrong_passwords_from_any_address_the_right_one_is_refused(
    client: FlaskClient, user: Account
) -> None:
    assert _fail(client, user.email, 12) == [401] * 10 + [429] * 2

    refused = _log_in(client, user.email.upper(), PASSWORD, "198.51.100.1")

    assert (refused.status_code, refused.json["code"]) == (429, "too-many-requests")
    assert refused.content_type == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 15 * 60
    assert refused.headers["RateLimit-Limit"] == "10"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert _log_in_by_form(client, user.email, PASSWORD).status_code == 429
    assert client.get(f"{API}/users/me", headers=user.headers).status_code == 200
    assert client.post(f"{API}/auth/password-reset", json={"email": user.email}).status_code == 202


def test_an_address_without_an_account_is_locked_out_in_the_same_way(client: FlaskClient, user: Account) -> None:
    stranger = new_email()
    for email in (user.email, stranger):
        assert _fail(client, email, 10) == [401] * 10

    known, unknown = (_log_in(client, email, "wrong") for email in (user.email, stranger))

    assert (known.status_code, known.json["code"]) == (unknown.status_code, unknown.json["code"])
    assert set(known.headers.keys()) == set(unknown.headers.keys())


def test_successful_logins_neither_count_as_failures_nor_clear_them(client: FlaskClient, user: Account) -> None:
    for _ in range(9):
        assert _log_in(client, user.email, "wrong").status_code == 401
        assert _log_in(client, user.email, PASSWORD).status_code == 200

    assert _log_in_by_form(client, user.email, "wrong").status_code == 400
    assert _log_in(client, user.email, PASSWORD).status_code == 429


def test_a_stolen_access_token_is_not_enough_to_guess_the_password(client: FlaskClient, user: Account) -> None:
    guess = {"current_password": "wrong", "new_password": "another horse battery"}
    guesses = [client.post(f"{API}/users/me/password", headers=user.headers, json=guess).status_code for _ in range(11)]

    assert guesses == [422] * 10 + [429]
    assert _log_in(client, user.email, PASSWORD).status_code == 429


def test_password_changes_count_against_the_limit_on_logins(client: FlaskClient, user: Account) -> None:
    same = {"current_password": PASSWORD, "new_password": PASSWORD}
    # creating the account has logged in once
    changes = [client.post(f"{API}/users/me/password", headers=user.headers, json=same).status_code for _ in range(60)]

    assert changes == [204] * 59 + [429]
    assert _log_in(client, user.email, PASSWORD).status_code == 429
    assert _log_in(client, make_user(client).email, PASSWORD).status_code == 200


def test_thirty_people_sign_up_and_sixty_log_in_at_one_address_within_a_minute(client: FlaskClient) -> None:
    emails = [new_email() for _ in range(30)]

    assert {_sign_up(client, "203.0.113.7", email).status_code for email in emails} == {201}
    assert {_log_in(client, email, PASSWORD, "203.0.113.7").status_code for email in emails * 2} == {200}


def test_a_flood_of_sign_ups_is_stopped_without_affecting_other_addresses(client: FlaskClient) -> None:
    responses = [_sign_up(client, "203.0.113.8").status_code for _ in range(61)]

    assert responses == [201] * 60 + [429]
    assert _sign_up(client, "203.0.113.9").status_code == 201


def test_finding_accounts_by_signing_up_is_limited(client: FlaskClient, user: Account) -> None:
    responses = [_sign_up(client, "203.0.113.8", user.email) for _ in range(61)]

    assert [response.status_code for response in responses] == [409] * 60 + [429]


def test_addresses_of_one_ipv6_network_count_together(client: FlaskClient) -> None:
    responses = [_sign_up(client, f"2001:db8::{number:x}").status_code for number in range(61)]

    assert responses == [201] * 60 + [429]
    assert _sign_up(client, "2001:db8:0:1::1").status_code == 201


def test_password_resets_are_counted_per_email_address_with_or_without_an_account(
    client: FlaskClient, user: Account
) -> None:
    for email in (user.email, new_email()):
        responses = [
            client.post(f"{API}/auth/password-reset", json={"email": typed}).status_code
            for typed in [email, email.upper(), email, email, email, email]
        ]
        assert responses == [202] * 5 + [429]


def test_guessing_emailed_tokens_is_limited_per_client(client: FlaskClient) -> None:
    acceptance = {"token": "x", "password": "another horse battery"}
    paths = ["password-reset/confirm", "invitations/accept"] * 31
    responses = [client.post(f"{API}/auth/{path}", json=acceptance).status_code for path in paths]

    assert responses == [422] * 60 + [429] * 2


def test_bookings_and_changes_share_one_limit_per_account(client: FlaskClient, user: Account) -> None:
    event = make_event(client, capacity=1000)
    booked = [book(client, user, event) for _ in range(40)]
    path = f"{API}/bookings/{booked[0].json['id']}"
    changed = [
        client.patch(path, headers=user.headers, json={"ticket_count": 1 + number % 2}).status_code
        for number in range(21)
    ]

    assert {response.status_code for response in booked} == {201}
    assert changed == [200] * 20 + [429]
    assert book(client, make_user(client), event).status_code == 201


def test_an_organizer_can_create_many_events_but_not_an_unlimited_number(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "EVENT_LIMIT", "30 per hour")
    organizer = make_organizer(client)

    season = [make_event(client, organizer) for _ in range(30)]
    refused = client.post(f"{API}/events/", headers=organizer.headers, json=dict(EVENT))

    assert {event["status"] for event in season} == {"published"}
    assert (refused.status_code, refused.headers["RateLimit-Limit"]) == (429, "30")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert make_event(client)["status"] == "published"


def test_every_response_of_a_limited_operation_carries_the_rate_limit_headers(
    client: FlaskClient, user: Account
) -> None:
    failed, good = _log_in(client, user.email, "wrong"), _log_in(client, user.email, PASSWORD)
    booked = book(client, user, make_event(client))

    assert (failed.headers["RateLimit-Limit"], failed.headers["RateLimit-Remaining"]) == ("10", "9")
    assert 0 < int(failed.headers["RateLimit-Reset"]) <= 15 * 60
    assert (good.headers["RateLimit-Limit"], good.headers["RateLimit-Remaining"]) == ("10", "9")
    assert (booked.headers["RateLimit-Limit"], booked.headers["RateLimit-Remaining"]) == ("60", "59")
    assert not any("Retry-After" in response.headers for response in (failed, good, booked))
    assert "RateLimit-Limit" not in client.get(f"{API}/events/").headers


def test_redis_never_contains_an_email_or_client_address(app: Flask, client: FlaskClient) -> None:
    email, address = new_email(), "203.0.113.10"
    _log_in(client, email, "wrong", address)

    with redis.Redis.from_url(app.config["REDIS_URL"], decode_responses=True) as connection:
        keys = list(connection.scan_iter(f"{KEY_PREFIX}:*"))

    assert len(keys) == 3
    assert not [key for key in keys if address in key or email in key or email.partition("@")[0] in key]


def test_an_account_can_export_its_data_ten_times_an_hour(client: FlaskClient, user: Account) -> None:
    other = make_user(client)

    exports = [client.get(f"{API}/users/me/export", headers=user.headers).status_code for _ in range(11)]

    assert exports == [200] * 10 + [429]
    assert client.get(f"{API}/users/me/export", headers=other.headers).status_code == 200
