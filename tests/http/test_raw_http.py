"""What no HTTP library sends, written to the socket of the running service: each answer is a problem, none a 500."""

import socket

import pytest

from bookings_api.http.headers import ALWAYS, API_POLICY
from tests.factories import API
from tests.http.raw import Answer, problem_of, send
from tests.service import Service

SIGNUP = f"POST {API}/auth/signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
GET = f"GET {API}/events/ HTTP/1.1\r\nHost: localhost\r\n".encode()
TOO_LARGE = 300_000


def _send(service: Service, request: bytes, *, hang_up: bool = False) -> Answer | None:
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
    ids=["with its length", "claimed", "in chunks", "in one chunk", "in chunks, as JSON"],
)
def test_a_body_that_is_too_large_is_a_413(service: Service, request_: bytes) -> None:
    assert problem_of(_send(service, request_)) == (413, "request-entity-too-large")


@pytest.mark.parametrize("size", [262_143, 262_144])
def test_a_body_of_the_size_that_is_allowed_is_read(service: Service, size: int) -> None:
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
    ids=["short", "no last chunk", "size too large", "size too small", "no size", "negative size", "absurd size"],
)
def test_a_body_that_is_not_what_was_announced_is_a_400(service: Service, request_: bytes) -> None:
    assert problem_of(_send(service, request_, hang_up=True)) == (400, "bad-request")

    after = _send(service, GET + b"\r\n")
    assert after is not None
    assert after.status == 200


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"NONSENSE\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/9.9\r\n\r\n", (400, "bad-request")),
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
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414, "request-uri-too-long")),
        (b"GET /?q=" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414, "request-uri-too-long")),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, bytes) else None,
)
def test_what_is_not_http_is_answered_with_a_problem(
    service: Service, request_: bytes, expected: tuple[int, str]
) -> None:
    assert problem_of(_send(service, request_)) == expected


def test_an_answer_of_the_server_quotes_nothing_of_the_request(service: Service) -> None:
    answer = _send(service, GET + b"Authorization secret-token\r\n\r\n")

    assert answer is not None
    assert answer.status == 400
    assert b"secret-token" not in answer.body


@pytest.mark.parametrize(
    "request_",
    [b"NONSENSE\r\n\r\n", GET + b"X: " + b"x" * 10_000 + b"\r\n\r\n", GET + b"\r\n"],
    ids=["no HTTP", "too large a header", "a request"],
)
def test_every_answer_carries_the_security_headers_and_no_version(service: Service, request_: bytes) -> None:
    answer = _send(service, request_)

    assert answer is not None
    assert ALWAYS.items() <= dict(answer.headers).items()
    assert answer.headers["Content-Security-Policy"] == API_POLICY
    assert answer.headers["Cache-Control"] == ("no-cache" if answer.status == 200 else "no-store")
    assert answer.headers["Server"] in {None, "gunicorn"}


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
def test_an_odd_path_or_query_is_refused(service: Service, path: str, status: int) -> None:
    answer = _send(service, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert problem_of(answer)[0] == status


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"\xe9", b"Bearer \xc3\xa9.a.b", b"Basic Og=="])
def test_a_token_of_odd_bytes_is_a_401(service: Service, value: bytes) -> None:
    request_ = f"GET {API}/users/me HTTP/1.1\r\nHost: localhost\r\n".encode()

    assert problem_of(_send(service, request_ + b"Authorization: " + value + b"\r\n\r\n")) == (401, "unauthenticated")


@pytest.mark.parametrize("name", [b"If-None-Match", b"X-Request-ID", b"User-Agent", b"Accept", b"Cookie", b"Range"])
@pytest.mark.parametrize("value", [b"\xff\xfe", b'"', b",,,;=", b"%00"])
def test_a_header_that_cannot_be_understood_is_passed_over(service: Service, name: bytes, value: bytes) -> None:
    answer = _send(service, GET + name + b": " + value + b"\r\n\r\n")

    assert answer is not None
    assert answer.status == 200


def test_a_client_that_asks_first_is_told_to_go_on(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(SIGNUP + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize("path", ["/auth/signup", "/events/", "/bookings/", "/users/me", "/openapi.json"])
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "QUERY", "BREW", "PUT"])
def test_any_other_method_is_a_405_that_says_which_there_are(service: Service, path: str, method: str) -> None:
    answer = _send(service, f"{method} {API}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert problem_of(answer) == (405, "method-not-allowed")
    assert answer is not None
    assert "OPTIONS" in answer.headers["Allow"]
