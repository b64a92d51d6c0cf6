"""A real SMTP server whose answers a test chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller

from bookings_api.local_stack.processes import free_port


class Answering:
    """Accepts every recipient or answers `rcpt`, and every message or answers `data`; keeps what it accepted."""

    def __init__(self, *, rcpt: str = "250 OK", data: str = "250 OK") -> None:
        self._rcpt = rcpt
        self._data = data
        self.accepted: list[bytes] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self._rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self._rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self._data.startswith("250"):
            self.accepted.append(envelope.content)
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
