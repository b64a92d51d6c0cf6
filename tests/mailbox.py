"""Reads the emails stored by the SMTP sink."""

import email
import email.policy
import time
from email.message import EmailMessage
from functools import cache
from pathlib import Path


class Mailbox:
    """The sink's Maildir. All tests share it, so emails are selected by recipient."""

    def __init__(self, directory: Path) -> None:
        self._new = directory / "new"

    def to(self, address: str) -> list[EmailMessage]:
        """The emails received for `address`, in no particular order."""
        messages = (_read(path) for path in self._new.iterdir())
        return [message for message in messages if address in message["To"]]

    def wait_for(self, address: str, *, count: int = 1, seconds: float = 10) -> list[EmailMessage]:
        """Wait for `count` emails for `address` and return them."""
        deadline = time.monotonic() + seconds
        while len(found := self.to(address)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} emails for {address} after {seconds} s"
            time.sleep(0.05)
        return found


def part(message: EmailMessage, kind: str) -> str:
    """The decoded `plain` or `html` part of an email."""
    body = message.get_body(preferencelist=(kind,))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


@cache  # emails never change, and there are thousands of them
def _read(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
