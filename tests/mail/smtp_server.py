"""A real SMTP server whose replies a test chooses."""
# ruff: noqa: N802 - aiosmtpd's hook names

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller

from bookings_api.local_stack.processes import free_port

OK = "250 OK"


class ScriptedServer:
    """Replies to each SMTP command as configured; records accepted messages and counts connections."""

    def __init__(self, **behaviour: Any) -> None:
        """Takes the arguments of `behave`."""
        self.accepted: list[bytes] = []
        self.connections = 0
        self.behave(**behaviour)

    def behave(
        self, *, ehlo: str = OK, mail: str = OK, rcpt: str = OK, data: str = OK, only_for: str | None = None,
        hangs_up: bool = False, drops_after_data: bool = False, emails_per_connection: int | None = None,
        silent_for: float = 0, silent_after_data: float = 0,
    ) -> None:  # fmt: skip
        """Behave like this from the next command on; defaults describe a well-behaved server.

        `only_for` limits refusals to one recipient. `hangs_up` closes the connection together with the reply to the
        message, before QUIT; `drops_after_data` accepts the message and closes without a reply. After
        `emails_per_connection` emails, a connection accepts no more. The server waits `silent_for` seconds before it
        replies to MAIL, and `silent_after_data` seconds before it replies to an accepted message.
        """
        self._ehlo = ehlo
        self._mail = mail
        self._rcpt = rcpt
        self._data = data
        self._only_for = only_for
        self._hangs_up = hangs_up
        self._drops_after_data = drops_after_data
        self._emails_per_connection = emails_per_connection
        self._silent_for = silent_for
        self._silent_after_data = silent_after_data

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, replies: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        session.emails = 0
        return [*replies[:-1], self._ehlo]

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return self._ehlo

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        await asyncio.sleep(self._silent_for)
        if session.emails == self._emails_per_connection:
            return "421 enough on this connection"
        envelope.mail_from = address
        return self._mail

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        reply = self._rcpt if self._only_for in {None, address} else OK
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        reply = self._data if self._only_for in {None, *envelope.rcpt_tos} else OK
        if reply.startswith("250"):
            self.accepted.append(envelope.content)
            session.emails += 1
            await asyncio.sleep(self._silent_after_data)
        if self._drops_after_data:
            server.transport.abort()
        elif self._hangs_up:
            await server.push(reply)
            server.transport.close()
        return reply


@contextmanager
def smtp_server(handler: ScriptedServer, port: int | None = None, **options: Any) -> Iterator[int]:
    """Run `handler` on `port` of 127.0.0.1, or on a free port; yields the port. `options` are aiosmtpd's."""
    controller = Controller(handler, hostname="127.0.0.1", port=port or free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()
