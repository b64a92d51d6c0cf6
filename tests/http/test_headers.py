"""Security headers, caching headers and CORS."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bookings_api import create_app
from bookings_api.http.headers import API_POLICY, PAGE_POLICY
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.factories import API, PASSWORD, make_event, make_key, make_organizer, make_user

SHOP, STRANGER = "https://shop.example.com", "https://evil.example.com"


@pytest.mark.parametrize("path", [f"{API}/events/", f"{API}/nowhere", f"{API}/users/me", "/docs", "/"])
def test_every_response_forbids_sniffing_framing_and_referrers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_swagger_ui_loads_only_its_own_assets_and_json_nothing(client: FlaskClient) -> None:
    assert client.get("/docs").headers["Content-Security-Policy"] == PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    assert client.get(f"{API}/openapi.json").headers["Content-Security-Policy"] == API_POLICY


def test_hsts_is_sent_only_over_tls(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get(f"{API}/events/").headers

    secure = client.get(f"{API}/events/", base_url="https://tickets.example.com").headers
    assert secure["Strict-Transport-Security"].startswith("max-age=31536000")


def test_personal_data_is_not_shared_by_caches_and_tokens_are_not_stored(client: FlaskClient) -> None:
    user = make_user(client)
    login = client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD})

    assert login.headers["Cache-Control"] == "no-store"
    assert client.get(f"{API}/users/me", headers=user.headers).headers["Cache-Control"] == "private, no-cache"
    key = make_key(client, make_organizer(client))
    assert client.get(f"{API}/bookings/", headers=key.headers).headers["Cache-Control"] == "private, no-cache"
    assert client.get(f"{API}/users/me").headers["Cache-Control"] == "no-store"
    public = client.get(f"{API}/events/{make_event(client)['id']}").headers
    assert public["Cache-Control"] == "no-cache"
    assert "Authorization" in public["Vary"]


def test_cors_is_off_by_default(client: FlaskClient) -> None:
    headers = client.get(f"{API}/events/", headers={"Origin": SHOP}).headers

    assert not [name for name, _ in headers if name.startswith("Access-Control")]


@pytest.fixture
def shop_client(settings: dict[str, str], app: Flask, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Client of a service that allows a shop's origin."""
    monkeypatch.setenv("CORS_ORIGINS", f"{SHOP},http://localhost:3000")
    return create_app(Config.from_environment(NO_ENV_FILE)).test_client()


def test_a_configured_origin_can_call_the_api(shop_client: FlaskClient) -> None:
    request_headers = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    preflight = shop_client.options(f"{API}/bookings/", headers=request_headers).headers

    assert preflight["Access-Control-Allow-Origin"] == SHOP
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    allowed = preflight["Access-Control-Allow-Headers"].lower().replace(" ", "").split(",")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
    # pages send tokens themselves; the API uses no cookies
    assert "Access-Control-Allow-Credentials" not in preflight
    headers = shop_client.get(f"{API}/events/", headers={"Origin": SHOP}).headers
    assert headers["Access-Control-Allow-Origin"] == SHOP
    exposed = headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Pagination", "Link", "ETag", "Location", "Content-Disposition"} <= set(exposed)
    assert {"Retry-After", "RateLimit-Remaining"} <= set(exposed)
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize(
    "origin", [STRANGER, "https://shop.example.com.evil.example", "null", "http://shop.example.com"]
)
def test_other_origins_cannot_call_the_api(shop_client: FlaskClient, origin: str) -> None:
    for _ in range(2):  # computed, then cached
        headers = shop_client.get(f"{API}/events/", headers={"Origin": origin}).headers

        assert "Access-Control-Allow-Origin" not in headers
        assert "Origin" in headers["Vary"]  # otherwise a cache would send this response to the shop


def test_a_configured_origin_can_read_errors(shop_client: FlaskClient) -> None:
    response = shop_client.get(f"{API}/users/me", headers={"Origin": SHOP})

    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (401, SHOP)
