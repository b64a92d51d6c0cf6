"""Adapts gunicorn: its errors become problems (RFC 9457) and are counted, and it writes no access log."""

import json
import socket
from http import HTTPStatus

from gunicorn import glogging, util

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


def write_problem(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Replace `gunicorn.util.write_error`, which sends HTML.

    `mesg` is left out because it quotes the request, which may contain a password, a token or markup.
    """
    status = HTTPStatus(status_int)
    metrics.count_gunicorn_error(status.value)
    body = json.dumps(problem_body(problem_for_status(status), status.description or status.phrase)).encode()
    fields = {**_HEADERS, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    head = "".join(f"{line}\r\n" for line in [*lines, ""])
    util.write_nonblock(sock, head.encode("ascii") + body)


class Log(glogging.Logger):  # type: ignore[misc]
    """gunicorn's logger without an access log, because the application writes one."""

    def access(self, *_: object) -> None:
        """Do nothing. gunicorn would format the line even if nothing logged it."""
