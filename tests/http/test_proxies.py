"""Forwarded client addresses and schemes, with and without trusted proxies."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from bookings_api import create_app
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.factories import API, PASSWORD, new_email
from tests.service import Service, running_server


def _seen(settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, proxies: int, forwarded: str) -> list[str]:
    """Client address, scheme and host that a view sees for a request from 192.0.2.1."""
    monkeypatch.setenv("TRUSTED_PROXIES", str(proxies))
    app = create_app(Config.from_environment(NO_ENV_FILE))
    app.add_url_rule("/seen", view_func=lambda: [request.remote_addr, request.scheme, request.host])
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    seen = app.test_client().get("/seen", headers=headers, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).json
    assert isinstance(seen, list)
    return seen


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "198.51.100.7", ["192.0.2.1", "http", "localhost"]),
        (1, "198.51.100.7", ["198.51.100.7", "https", "localhost"]),
        (1, "203.0.113.9, 198.51.100.7", ["198.51.100.7", "https", "localhost"]),
        (2, "203.0.113.9, 198.51.100.7, 10.0.0.1", ["198.51.100.7", "http", "localhost"]),
        (2, "203.0.113.9", ["192.0.2.1", "http", "localhost"]),
    ],
)
def test_forwarded_headers_count_only_from_trusted_proxies(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, proxies: int, forwarded: str, expected: list[str]
) -> None:
    assert _seen(settings, monkeypatch, proxies, forwarded) == expected


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Protocol": "ssl"},
        {"X-Forwarded-Ssl": "on"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"},
    ],
    ids=lambda forged: ", ".join(f"{name}={value}" for name, value in forged.items()),
)
def test_without_a_proxy_forwarded_tls_headers_are_ignored(service: Service, forged: dict[str, str]) -> None:
    response = httpx.get(f"{service.api}/events/", headers=forged)

    assert response.status_code == 200
    assert "Strict-Transport-Security" not in response.headers


def test_behind_a_proxy_only_x_forwarded_proto_decides_about_tls(settings: dict[str, str], tmp_path: Path) -> None:
    one_process = settings | {"WEB_CONCURRENCY": "1", "TRUSTED_PROXIES": "1"}
    with running_server(one_process, tmp_path) as url:
        tls, plain = (
            httpx.get(f"{url}/health/live", headers={"X-Forwarded-Proto": scheme, "X-Forwarded-Ssl": ssl})
            for scheme, ssl in [("https", "off"), ("http", "on")]
        )

    assert (tls.status_code, "Strict-Transport-Security" in tls.headers) == (200, True)
    assert (plain.status_code, "Strict-Transport-Security" in plain.headers) == (200, False)


def test_a_forged_client_address_does_not_evade_rate_limits(
    client: FlaskClient, application: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(application.config, "SIGNUP_LIMIT", "2 per minute")
    statuses = [
        client.post(
            f"{API}/auth/signup",
            json={"email": new_email(), "password": PASSWORD},
            headers={"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"},
        ).status_code
        for number in range(3)
    ]

    assert statuses == [201, 201, 429]
