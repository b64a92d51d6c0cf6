"""HTTP client that sends arbitrary bytes and reads one response."""

import json
import socket
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP


@dataclass(frozen=True)
class RawResponse:
    status: int
    headers: Message
    body: bytes


def send(url: str, request: bytes, *, hang_up: bool = False) -> RawResponse | None:
    """Response to these bytes, or None if the server closed the connection without one.

    With `hang_up`, the client closes its sending side first.
    """
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        try:
            connection.sendall(request)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all of it was read; the response has arrived
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
                if _is_complete(received):
                    break
        except ConnectionResetError:
            pass  # the server did not read the rest of the body
    return _parse(received)


def _parse(received: bytes) -> RawResponse | None:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return None
    line, _, fields = head.partition(b"\r\n")
    headers = BytesParser(policy=HTTP).parsebytes(fields, headersonly=True)
    return RawResponse(int(line.split()[1]), headers, body)


def _is_complete(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    headers = BytesParser(policy=HTTP).parsebytes(head.partition(b"\r\n")[2], headersonly=True)
    return bool(found) and len(body) >= int(headers["Content-Length"] or 0)


def problem_of(response: RawResponse | None) -> tuple[int, str]:
    """Status and code of a problem."""
    assert response is not None, "closed without a response"
    assert response.headers["Content-Type"] == "application/problem+json", response
    body = json.loads(response.body)
    assert body["status"] == response.status
    return response.status, body["code"]
