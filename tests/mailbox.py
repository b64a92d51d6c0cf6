"""Reads the mails that the SMTP sink has kept."""

import email
import email.policy
import time
from email.message import EmailMessage
from functools import cache
from pathlib import Path


class Mailbox:
    """The sink's Maildir; all tests share it, so mails are looked up by recipient."""

    def __init__(self, directory: Path) -> None:
        self._new = directory / "new"

    def to(self, address: str) -> list[EmailMessage]:
        """What has arrived for `address`, in no order."""
        messages = (_read(path) for path in self._new.iterdir())
        return [message for message in messages if address in message["To"]]

    def wait_for(self, address: str, *, count: int = 1, seconds: float = 10) -> list[EmailMessage]:
        """The mails for `address`, once there are `count` of them."""
        deadline = time.monotonic() + seconds
        while len(found := self.to(address)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} mails for {address} after {seconds} s"
            time.sleep(0.05)
        return found


def part(message: EmailMessage, kind: str) -> str:
    """The `plain` or `html` part of a mail as text, with quoted and wrapped lines undone."""
    body = message.get_body(preferencelist=(kind,))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


@cache  # a mail stays as it has arrived, and there are thousands
def _read(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
