"""A client that sends any bytes whatever, and reads one answer."""

import json
import socket
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


def send(url: str, request: bytes, *, hang_up: bool = False) -> Answer | None:
    """The answer to these bytes; None if the connection was closed without one. `hang_up`: as after a shutdown."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        try:
            connection.sendall(request)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all of it was read; the answer is there
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
                if _is_whole(received):
                    break
        except ConnectionResetError:
            pass  # the rest of a body that nobody reads
    return _parse(received)


def _parse(received: bytes) -> Answer | None:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return None
    line, _, fields = head.partition(b"\r\n")
    headers = BytesParser(policy=HTTP).parsebytes(fields, headersonly=True)
    return Answer(int(line.split()[1]), headers, body)


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    headers = BytesParser(policy=HTTP).parsebytes(head.partition(b"\r\n")[2], headersonly=True)
    return bool(found) and len(body) >= int(headers["Content-Length"] or 0)


def problem_of(answer: Answer | None) -> tuple[int, str]:
    """Status and code of a problem."""
    assert answer is not None, "closed without an answer"
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body["code"]
