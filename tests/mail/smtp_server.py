"""A real SMTP server whose answers a test chooses."""
# ruff: noqa: N802 - the names of hooks are aiosmtpd's

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller

from bookings_api.local_stack.processes import free_port


class Answering:
    """Answers each step of SMTP as told, and keeps the messages that it accepted.

    With `hangs_up` it closes the connection with its answer to the message, and never hears the goodbye.
    """

    def __init__(
        self, *, ehlo: str = "250 OK", mail: str = "250 OK", rcpt: str = "250 OK", data: str = "250 OK",
        hangs_up: bool = False,
    ) -> None:  # fmt: skip
        self._ehlo = ehlo
        self._mail = mail
        self._rcpt = rcpt
        self._data = data
        self._hangs_up = hangs_up
        self.accepted: list[bytes] = []

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, answers: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*answers[:-1], self._ehlo]

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return self._ehlo

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.mail_from = address
        return self._mail

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self._rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self._rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self._data.startswith("250"):
            self.accepted.append(envelope.content)
        if self._hangs_up:
            await server.push(self._data)
            server.transport.close()
        return self._data


@contextmanager
def smtp_server(handler: Answering) -> Iterator[int]:
    """Run it on a free port of 127.0.0.1, which is what is given."""
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()
