"""What browsers are told with every answer, and which pages of others may call the API."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bookings_api import create_app
from bookings_api.http.headers import API_POLICY, PAGE_POLICY
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.factories import API, PASSWORD, make_event, make_user

SHOP, STRANGER = "https://shop.example.com", "https://evil.example.com"


@pytest.mark.parametrize("path", [f"{API}/events/", f"{API}/nowhere", f"{API}/users/me", "/docs", "/"])
def test_every_answer_forbids_browsers_to_guess_to_frame_and_to_tell(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_swagger_ui_may_load_what_is_ours_and_json_nothing(client: FlaskClient) -> None:
    assert client.get("/docs").headers["Content-Security-Policy"] == PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    assert client.get(f"{API}/openapi.json").headers["Content-Security-Policy"] == API_POLICY


def test_transport_is_made_strict_over_tls_only(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get(f"{API}/events/").headers

    secure = client.get(f"{API}/events/", base_url="https://tickets.example.com").headers
    assert secure["Strict-Transport-Security"].startswith("max-age=31536000")


def test_what_is_a_persons_no_cache_shares_and_tokens_none_keeps(client: FlaskClient) -> None:
    user = make_user(client)
    login = client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD})

    assert login.headers["Cache-Control"] == "no-store"
    assert client.get(f"{API}/users/me", headers=user.headers).headers["Cache-Control"] == "private, no-cache"
    assert client.get(f"{API}/users/me").headers["Cache-Control"] == "no-store"
    public = client.get(f"{API}/events/{make_event(client)['id']}").headers
    assert public["Cache-Control"] == "no-cache"
    assert "Authorization" in public["Vary"]


def test_a_page_of_another_origin_may_read_nothing_unless_configured(client: FlaskClient) -> None:
    headers = client.get(f"{API}/events/", headers={"Origin": SHOP}).headers

    assert not [name for name, _ in headers if name.startswith("Access-Control")]


@pytest.fixture
def shop_client(settings: dict[str, str], app: Flask, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A service that lets the pages of a shop call it."""
    monkeypatch.setenv("CORS_ORIGINS", f"{SHOP},http://localhost:3000")
    return create_app(Config.from_environment(NO_ENV_FILE)).test_client()


def test_a_page_of_a_configured_origin_may_call_the_api(shop_client: FlaskClient) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    preflight = shop_client.options(f"{API}/bookings/", headers=asked).headers

    assert preflight["Access-Control-Allow-Origin"] == SHOP
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    allowed = preflight["Access-Control-Allow-Headers"].lower().replace(" ", "").split(",")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
    # a token is sent by the page itself; cookies there are none
    assert "Access-Control-Allow-Credentials" not in preflight
    answer = shop_client.get(f"{API}/events/", headers={"Origin": SHOP}).headers
    assert answer["Access-Control-Allow-Origin"] == SHOP
    shown = answer["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Pagination", "Link", "ETag", "Location", "Content-Disposition"} <= set(shown)
    assert {"Retry-After", "RateLimit-Remaining"} <= set(shown)
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize(
    "origin", [STRANGER, "https://shop.example.com.evil.example", "null", "http://shop.example.com"]
)
def test_a_page_of_any_other_origin_may_not(shop_client: FlaskClient, origin: str) -> None:
    for _ in range(2):  # made, and kept
        headers = shop_client.get(f"{API}/events/", headers={"Origin": origin}).headers

        assert "Access-Control-Allow-Origin" not in headers
        assert "Origin" in headers["Vary"]  # or a cache would tell the shop the same


def test_options_are_told_without_a_page(client: FlaskClient) -> None:
    answer = client.options(f"{API}/bookings/")

    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_errors_can_be_read_by_the_page_too(shop_client: FlaskClient) -> None:
    answer = shop_client.get(f"{API}/users/me", headers={"Origin": SHOP})

    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, SHOP)
