"""What gunicorn answers itself, because it is not HTTP enough to reach the application: a problem, too."""

import json
import socket
from http import HTTPStatus

from gunicorn import util

from bookings_api.http.problems import PROBLEM_CONTENT_TYPE, problem_body, problem_for_status


def write_problem(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Takes the place of `gunicorn.util.write_error`, which writes HTML.

    `mesg` quotes the request, which may hold a password, a token or markup; so it is left out.
    """
    status = HTTPStatus(status_int)
    body = json.dumps(problem_body(problem_for_status(status), status.description or status.phrase)).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Connection: close\r\nContent-Type: {PROBLEM_CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("ascii") + body)
