"""An SMTP server that can be stopped, hung and reconfigured while it runs."""

import email.policy
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.parser import BytesParser
from typing import NamedTuple

from bookings_api.local_stack.processes import free_port
from tests.mail.smtp_server import ScriptedServer, smtp_server

_parser = BytesParser(policy=email.policy.default)


class EmailHeaders(NamedTuple):
    """The headers by which copies of the same email are recognized."""

    message_id: str
    subject: str


class FaultySmtpServer(ScriptedServer):
    """Keeps its port across restarts and counts accepted emails by Message-ID."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self._running = ExitStack()
        self._counted: Counter[EmailHeaders] = Counter()

    def start(self) -> None:
        self._running.enter_context(smtp_server(self, self.port))

    def stop(self) -> None:
        self._running.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Refuse connections."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def unresponsive(self) -> Iterator[None]:
        """Let the kernel accept connections, but send no greeting."""
        with self.stopped(), socket.create_server(("127.0.0.1", self.port)):
            yield

    @contextmanager
    def responding(self, **behaviour: object) -> Iterator[None]:
        """Change the responses temporarily. Takes the arguments of `behave`."""
        self.behave(**behaviour)  # type: ignore[arg-type] # checked there
        try:
            yield
        finally:
            self.behave()

    def copies(self) -> Counter[EmailHeaders]:
        """How often each email was accepted."""
        # Parse each email once: tests poll this in the same process that runs the SMTP server.
        for content in self.accepted[self._counted.total() :]:
            head = _parser.parsebytes(content, headersonly=True)
            self._counted[EmailHeaders(str(head["Message-ID"]), str(head["Subject"]))] += 1
        return self._counted
