"""Adapts gunicorn: checks requests more strictly, sends errors as problems, and disables gunicorn's access log."""

import json
import re
import socket
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import glogging, util
from gunicorn.http.errors import InvalidHeader, InvalidHTTPVersion

from bookings_api.http.headers import API_POLICY, NO_STORE, SECURITY_HEADERS
from bookings_api.http.problems import PROBLEM_CONTENT_TYPE, problem_body, problem_for_status
from bookings_api.observability import metrics

_HEADERS = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": API_POLICY,
    "Cache-Control": NO_STORE,
    "Connection": "close",
    "Content-Type": PROBLEM_CONTENT_TYPE,
}

# RFC 9110, section 7.2. An empty host is not valid in an http URL.
_HOST = re.compile(r"[\w.~!$&'()*+,;=%:\[\]-]+", re.ASCII)

# Replaces `gunicorn.util.close`, which resets the connection if the application has not read the whole request body.
# The client may then lose the response (RFC 9112, section 9.6). This function first discards the rest of the body.
close_gracefully = partial(util.close_graceful, timeout=5.0, max_drain=64 * 1024 * 1024)


def check_request(worker: Any, request: Any) -> None:
    """Reject requests that gunicorn accepts but RFC 9112 forbids. gunicorn calls this as its `pre_request` hook."""
    if request.version not in {(1, 0), (1, 1)}:
        raise InvalidHTTPVersion(request.version)
    hosts = [value for name, value in request.headers if name == "HOST"]
    if (request.version == (1, 1) and not hosts) or not all(_HOST.fullmatch(host) for host in hosts):
        raise InvalidHeader("HOST", req=request)  # section 3.2


def write_problem(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Send an error as a problem (RFC 9457), and count it. Replaces `gunicorn.util.write_error`, which sends HTML.

    Ignores `mesg`, which quotes the request and may therefore contain a password, a token or markup.
    """
    status = HTTPStatus(status_int)
    metrics.count_gunicorn_error(status.value)
    body = json.dumps(problem_body(problem_for_status(status), status.description or status.phrase)).encode()
    fields = {**_HEADERS, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    head = "".join(f"{line}\r\n" for line in [*lines, ""])
    util.write_nonblock(sock, head.encode("ascii") + body)


class Log(glogging.Logger):  # type: ignore[misc] # gunicorn is untyped
    """gunicorn's logger without an access log, because the application writes one."""

    def access(self, *_: object) -> None:
        """Do nothing. gunicorn's method formats a line for each request, even if no handler writes the line."""
