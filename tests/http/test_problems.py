"""Requests that fail before they reach an operation, and what all responses have in common."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, PASSWORD, make_user, new_email

SIGNUP = f"{API}/auth/signup"


def _is_problem(response: Any, status: int, code: str) -> bool:
    """Whether the response is a complete RFC 9457 problem."""
    body = response.json
    return (
        response.status_code == body["status"] == status
        and response.content_type == "application/problem+json"
        and body["code"] == code
        and body["type"] == f"urn:problem-type:{code}"
        and bool(body["title"] and body["detail"])
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1, 2",
        b'{"email": "a@example.com", "email": "b@example.com"}',
        b'{"email": NaN}',
        b'{"email": Infinity}',
        b'{"email": ' + b"9" * 5000 + b"}",
        b"[" * 50_000,
        b'{"a":' * 9_000,
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"nonsense",
        b" ",
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": [[{"b": {"c": 1, "c": 1}}]]}',
        b'{"email": "a", "\\u0065mail": "b"}',
        b'{"a": 1, "a": NaN}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": 1}{"b": 2}',
        b"{'a': 1}",
        b'{"a": 01}',
        b'{"a": 1,}',
        b'{"a": "tab\t"}',
        b'{"a": -' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: ascii(body[:40]),
)
def test_invalid_or_ambiguous_json_returns_400(client: FlaskClient, body: bytes) -> None:
    assert _is_problem(client.post(SIGNUP, data=body, content_type="application/json"), 400, "bad-request")


def test_a_byte_order_mark_is_ignored(client: FlaskClient) -> None:
    body = b'\xef\xbb\xbf{"email": "a"}'

    assert _is_problem(client.post(SIGNUP, data=body, content_type="application/json"), 422, "invalid-input")


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"null", b"true"])
def test_a_body_that_is_not_an_object_returns_422(client: FlaskClient, body: bytes) -> None:
    assert _is_problem(client.post(SIGNUP, data=body, content_type="application/json"), 422, "invalid-input")


def test_an_unknown_query_parameter_returns_the_known_ones(client: FlaskClient) -> None:
    response = client.get(f"{API}/events/?pages=2")

    assert _is_problem(response, 422, "invalid-input")
    (error,) = response.json["errors"]
    assert (error["in"], error["field"]) == ("query", "pages")
    assert error["detail"].startswith("Unknown parameter. Known parameters: page, page_size, ")


def test_a_missing_body_returns_the_required_fields(client: FlaskClient) -> None:
    response = client.post(SIGNUP)

    assert _is_problem(response, 422, "invalid-input")
    assert sorted(error["field"] for error in response.json["errors"]) == ["email", "password"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "x"])
def test_an_unsupported_content_type_returns_415(client: FlaskClient, content_type: str) -> None:
    assert _is_problem(client.post(SIGNUP, data=b"{}", content_type=content_type), 415, "unsupported-media-type")


def test_json_instead_of_a_form_returns_415(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/token", json={"username": new_email(), "password": PASSWORD})

    assert _is_problem(response, 415, "unsupported-media-type")


def test_an_unknown_path_returns_404(client: FlaskClient) -> None:
    assert _is_problem(client.get(f"{API}/nowhere"), 404, "not-found")


def test_an_unsupported_method_returns_405_with_the_allowed_ones(client: FlaskClient) -> None:
    response = client.delete(SIGNUP)

    assert _is_problem(response, 405, "method-not-allowed")
    assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_an_internal_error_reveals_no_details(client: FlaskClient, app: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(app.config, "JWT_ACCESS_TOKEN_EXPIRES", "broken by this test")
    user = {"email": new_email(), "password": PASSWORD}
    client.post(SIGNUP, json=user)

    response = client.post(f"{API}/auth/login", json=user)

    assert _is_problem(response, 500, "internal-error")
    assert "Traceback" not in response.text
    assert "broken" not in response.text


def test_a_request_keeps_its_request_id(client: FlaskClient) -> None:
    response = client.get(f"{API}/events/", headers={"X-Request-ID": "abc-123"})

    assert response.headers["X-Request-ID"] == "abc-123"


@pytest.mark.parametrize("given", ["", "with space", "x" * 65, 'quote"', "é"])
def test_an_unsafe_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    response = client.get(f"{API}/events/", headers={"X-Request-ID": given.encode("utf-8").decode("latin-1")})

    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])


def test_head_and_options_are_supported(client: FlaskClient) -> None:
    assert client.head(f"{API}/events/").status_code == 200
    options = client.options(f"{API}/events/")
    assert (options.status_code, options.data, "Content-Type" in options.headers) == (204, b"", False)
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_authentication_comes_before_validation(client: FlaskClient) -> None:
    assert client.post(f"{API}/bookings/", json={"nonsense": 1}).status_code == 401
    assert client.post(f"{API}/bookings/", json={"nonsense": 1}, headers=make_user(client).headers).status_code == 422


@pytest.mark.parametrize("query", ["page=1&page=2", "q=a&page=1&q=a"])
def test_a_repeated_query_parameter_is_named(client: FlaskClient, query: str) -> None:
    response = client.get(f"{API}/events/?{query}")

    assert _is_problem(response, 422, "invalid-input")
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [
        ("query", query[: query.index("=")])
    ]


def test_a_repeated_form_field_is_named(client: FlaskClient) -> None:
    form = {"username": [new_email(), new_email()], "password": PASSWORD}

    response = client.post(f"{API}/auth/token", data=form)

    assert _is_problem(response, 422, "invalid-input")
    assert [error["field"] for error in response.json["errors"]] == ["username"]
