"""The SMTP server of the faults: what it answers changes while it runs, and it can be away or silent."""

import email.policy
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.parser import BytesParser
from typing import NamedTuple

from bookings_api.local_stack.processes import free_port
from tests.mail.smtp_server import Answering, smtp_server

_parser = BytesParser(policy=email.policy.default)


class Copy(NamedTuple):
    """What all copies of a mail have in common."""

    message_id: str
    subject: str


class PostOffice(Answering):
    """Always on the same port; counts what it accepted by Message-ID."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self._running = ExitStack()
        self._counted: Counter[Copy] = Counter()

    def open(self) -> None:
        self._running.enter_context(smtp_server(self, self.port))

    def close(self) -> None:
        """Refuse connections from now on."""
        self._running.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Connections are refused."""
        self.close()
        try:
            yield
        finally:
            self.open()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Connections are taken, by the kernel, and nobody says a word."""
        with self.away(), socket.create_server(("127.0.0.1", self.port)):
            yield

    @contextmanager
    def behaving(self, **behaviour: object) -> Iterator[None]:
        """Take the arguments of `behave` for a while."""
        self.behave(**behaviour)  # type: ignore[arg-type] # checked there
        try:
            yield
        finally:
            self.behave()

    def copies(self) -> Counter[Copy]:
        """How often each mail was accepted."""
        # each is parsed once: this is asked often, in the process in which the server must answer in time
        for content in self.accepted[self._counted.total() :]:
            head = _parser.parsebytes(content, headersonly=True)
            self._counted[Copy(str(head["Message-ID"]), str(head["Subject"]))] += 1
        return self._counted
