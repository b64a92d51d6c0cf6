"""Malformed HTTP sent to the running service: every response is a problem, never a 500."""

import socket
from http.client import HTTPConnection

import pytest

from bookings_api.http.headers import API_POLICY, SECURITY_HEADERS
from tests.factories import API
from tests.http.raw import RawResponse, problem_of, send
from tests.service import Service

SIGNUP = f"POST {API}/auth/signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
GET = f"GET {API}/events/ HTTP/1.1\r\nHost: localhost\r\n".encode()
TOO_LARGE = 300_000


def _send(service: Service, request: bytes, *, hang_up: bool = False) -> RawResponse | None:
    return send(service.url, request, hang_up=hang_up)


def _chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return SIGNUP + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + end


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(
    "request_",
    [
        SIGNUP + b"Content-Length: %d\r\n\r\n" % TOO_LARGE + b" " * TOO_LARGE,
        SIGNUP + b"Content-Length: 99999999999\r\n\r\n{}",
        _chunked(*[_chunk(b" " * 30_000)] * 10),
        _chunked(_chunk(b" " * TOO_LARGE)),
        _chunked(_chunk(b'{"email": "') + _chunk(b"a" * TOO_LARGE)),
    ],
    ids=["correct length", "claimed length", "many chunks", "one chunk", "chunked JSON"],
)
def test_an_oversized_body_returns_413(service: Service, request_: bytes) -> None:
    assert problem_of(_send(service, request_)) == (413, "content-too-large")


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize(
    ("path", "padding", "expected"),
    [
        ("/auth/signup", 0, (413, "content-too-large")),
        ("/nowhere", 0, (404, "not-found")),
        ("/auth/signup", 10_000, (431, "request-header-fields-too-large")),
    ],
    ids=["413", "404", "431"],
)
def test_a_client_that_first_sends_its_whole_body_receives_the_refusal(
    service: Service, path: str, padding: int, expected: tuple[int, str], connection: str
) -> None:
    headers = {"Content-Type": "application/json", "Connection": connection, "X-Padding": "x" * padding}
    client = HTTPConnection(service.url.removeprefix("http://"), timeout=15)
    try:
        client.request("POST", f"{API}{path}", b" " * 8_000_000, headers)
        response = client.getresponse()
        assert problem_of(RawResponse(response.status, response.headers, response.read())) == expected
    finally:
        client.close()


@pytest.mark.parametrize("size", [262_143, 262_144])
def test_a_body_of_the_maximum_size_is_accepted(service: Service, size: int) -> None:
    body = b"{}".ljust(size)

    assert problem_of(_send(service, SIGNUP + b"Content-Length: %d\r\n\r\n" % size + body)) == (422, "invalid-input")
    assert problem_of(_send(service, _chunked(_chunk(body)))) == (422, "invalid-input")


@pytest.mark.parametrize(
    "request_",
    [
        SIGNUP + b'Content-Length: 100\r\n\r\n{"email"',
        _chunked(_chunk(b"{}"), end=b""),
        _chunked(b"ff\r\n{}\r\n"),
        _chunked(b"1\r\n{}\r\n"),
        _chunked(b"zz\r\n{}\r\n"),
        _chunked(b"-2\r\n{}\r\n"),
        _chunked(b"ffffffffffffffffffff\r\n{}\r\n"),
    ],
    ids=["short", "no last chunk", "size too large", "size too small", "invalid size", "negative size", "huge size"],
)
def test_a_body_that_does_not_match_its_framing_returns_400(service: Service, request_: bytes) -> None:
    assert problem_of(_send(service, request_, hang_up=True)) == (400, "bad-request")

    following = _send(service, GET + b"\r\n")
    assert following is not None
    assert following.status == 200


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"NONSENSE\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/9.9\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.9\r\nHost: localhost\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\n\r\n", (400, "bad-request")),
        (b"GET http://localhost/ HTTP/1.1\r\n\r\n", (400, "bad-request")),
        (GET + b"Host: localhost\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", (400, "bad-request")),
        (b"GET <script> HTTP/1.1\r\nHost: a\r\n\r\n", (400, "bad-request")),
        (GET + b"no colon\r\n\r\n", (400, "bad-request")),
        (GET + b"a b: c\r\n\r\n", (400, "bad-request")),
        (GET + b"X: nul\x00\r\n\r\n", (400, "bad-request")),
        (GET + b"X: 1\r\n folded\r\n\r\n", (400, "bad-request")),
        (GET + b"X: " + b"x" * 10_000 + b"\r\n\r\n", (431, "request-header-fields-too-large")),
        (GET + b"X: 1\r\n" * 200 + b"\r\n", (431, "request-header-fields-too-large")),
        (GET + b"Expect: a miracle\r\n\r\n", (417, "expectation-failed")),
        (SIGNUP + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", (400, "bad-request")),
        (SIGNUP + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, "bad-request")),
        (SIGNUP + b"Content-Length: +2\r\n\r\n{}", (400, "bad-request")),
        (SIGNUP + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, "bad-request")),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414, "uri-too-long")),
        (b"GET /?q=" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414, "uri-too-long")),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, bytes) else None,
)
def test_invalid_http_returns_a_problem(service: Service, request_: bytes, expected: tuple[int, str]) -> None:
    assert problem_of(_send(service, request_)) == expected


def test_http_1_0_needs_no_host(service: Service) -> None:
    response = _send(service, f"GET {API}/events/ HTTP/1.0\r\n\r\n".encode())

    assert response is not None
    assert response.status == 200


def test_a_server_error_does_not_quote_the_request(service: Service) -> None:
    response = _send(service, GET + b"Authorization secret-token\r\n\r\n")

    assert response is not None
    assert response.status == 400
    assert b"secret-token" not in response.body


@pytest.mark.parametrize(
    "request_",
    [b"NONSENSE\r\n\r\n", GET + b"X: " + b"x" * 10_000 + b"\r\n\r\n", GET + b"\r\n"],
    ids=["invalid HTTP", "oversized header", "valid request"],
)
def test_every_response_has_security_headers_and_no_server_version(service: Service, request_: bytes) -> None:
    response = _send(service, request_)

    assert response is not None
    assert SECURITY_HEADERS.items() <= dict(response.headers).items()
    assert response.headers["Content-Security-Policy"] == API_POLICY
    assert response.headers["Cache-Control"] == ("no-cache" if response.status == 200 else "no-store")
    assert response.headers["Server"] in {None, "gunicorn"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/events/%00", 404),
        ("/api/v1/events/%2F", 404),
        ("/api/v1/events/..%2f..%2fetc%2fpasswd", 404),
        ("/static/swagger-ui/..%2f..%2f..%2fconfig.py", 404),
        ("/static/swagger-ui/../../../config.py", 404),
        ("/static/%00", 404),
        ("/api/v1/events/%ff%fe", 404),
        ("/api/v1/events/\u00e9", 400),
        ("/api/v1//events/", 404),
        ("/api/v1/events/%E2%80%AE", 404),
        ("/api/v1/events/?q=%00", 422),
        ("/api/v1/events/?q=%ff", 400),
        ("/api/v1/events/?q=%ed%a0%80", 400),
        ("/api/v1/events/?%00=1", 422),
    ],
    ids=ascii,
)
def test_an_invalid_path_or_query_is_refused(service: Service, path: str, status: int) -> None:
    response = _send(service, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert problem_of(response)[0] == status


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"\xe9", b"Bearer \xc3\xa9.a.b", b"Basic Og=="])
def test_a_token_with_invalid_bytes_returns_401(service: Service, value: bytes) -> None:
    request_ = f"GET {API}/users/me HTTP/1.1\r\nHost: localhost\r\n".encode()

    assert problem_of(_send(service, request_ + b"Authorization: " + value + b"\r\n\r\n")) == (401, "unauthenticated")


@pytest.mark.parametrize("name", [b"If-None-Match", b"X-Request-ID", b"User-Agent", b"Accept", b"Cookie", b"Range"])
@pytest.mark.parametrize("value", [b"\xff\xfe", b'"', b",,,;=", b"%00"])
def test_malformed_optional_headers_are_ignored(service: Service, name: bytes, value: bytes) -> None:
    response = _send(service, GET + name + b": " + value + b"\r\n\r\n")

    assert response is not None
    assert response.status == 200


def test_expect_100_continue_is_supported(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(SIGNUP + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize("path", ["/auth/signup", "/events/", "/bookings/", "/users/me", "/openapi.json"])
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "QUERY", "BREW", "PUT"])
def test_an_unsupported_method_returns_405_with_allow(service: Service, path: str, method: str) -> None:
    response = _send(service, f"{method} {API}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert problem_of(response) == (405, "method-not-allowed")
    assert response is not None
    assert "OPTIONS" in response.headers["Allow"]
