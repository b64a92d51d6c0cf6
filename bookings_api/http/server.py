"""gunicorn, adapted: what it answers itself is a problem, too, and its processes share connections out."""

import json
import socket
import time
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from bookings_api.http.headers import ALWAYS, API_POLICY, NOT_KEPT
from bookings_api.http.problems import PROBLEM_CONTENT_TYPE, problem_body, problem_for_status

# Enough for another process to wake up.
YIELD_SECONDS = 0.001

_HEADERS = {
    **ALWAYS,
    "Content-Security-Policy": API_POLICY,
    "Cache-Control": NOT_KEPT,
    "Connection": "close",
    "Content-Type": PROBLEM_CONTENT_TYPE,
}


def write_problem(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Takes the place of `gunicorn.util.write_error`, which writes HTML.

    `mesg` quotes the request, which may hold a password, a token or markup; so it is left out.
    """
    status = HTTPStatus(status_int)
    body = json.dumps(problem_body(problem_for_status(status), status.description or status.phrase)).encode()
    fields = {**_HEADERS, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    head = "".join(f"{line}\r\n" for line in [*lines, ""])
    util.write_nonblock(sock, head.encode("ascii") + body)


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, which leaves a connection to a process that has fewer of them.

    A connection stays with the process that took it. Of many that come at once, the first to wake would take all.
    """

    def accept(self, listener: Any) -> None:
        if self.cfg.workers > 1 and self.nr_conns >= self.cfg.threads:
            time.sleep(YIELD_SECONDS)
        super().accept(listener)
