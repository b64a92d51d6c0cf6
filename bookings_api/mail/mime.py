"""The bytes of an email: ASCII, in lines short enough for every server, with no way to inject a header.

Written directly because the `email` package parses every header again to serialize it, which costs more than the rest
of sending an email. It would also fold a long subject anew and, before Python 3.13, lose spaces between its encoded
words.
"""

from base64 import encodebytes
from binascii import b2a_qp
from email.header import Header
from email.utils import formatdate, parseaddr
from functools import cache
from secrets import token_hex

from flask import current_app
from flask_mail import Message, sanitize_address

from bookings_api.calendar.icalendar import mailbox
from bookings_api.calendar.itip import invitation
from bookings_api.mail.messages import RenderedEmail
from bookings_api.models import OutboxEmail

MAX_LINE = 998  # octets (RFC 5322, section 2.1.1)
MAX_ENCODED_LINE = 76  # RFC 2047, section 2


class EncodedMessage(Message):
    """Flask-Mail's message with headers that are already encoded, and without 8bit parts (RFC 6152)."""

    def as_bytes(self) -> bytes:
        alternatives = [_text("plain", self.body or ""), _text("html", self.html or "")]
        calendar = [
            f"Content-Type: {part.content_type}\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n"
            f'Content-Disposition: {part.disposition}; filename="{part.filename}"\n\n'
            f"{encodebytes(part.data).decode()}"  # type: ignore[arg-type] # bytes, see itip
            for part in self.attachments
        ]
        content_type, body = _multipart("mixed", ["".join(_multipart("alternative", alternatives)), *calendar])
        headers = {
            "Subject": self.subject,
            "From": _from_header(current_app.config["MAIL_FROM"]),
            "To": self.recipients[0],
            "Date": formatdate(self.date, localtime=True),
            "Message-ID": self.msgId,
            **(self.extra_headers or {}),
        }
        lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
        return f"{content_type}{lines}{body}".replace("\r\n", "\n").replace("\n", "\r\n").encode("ascii")


def compose(email: OutboxEmail, rendered: RenderedEmail) -> Message:
    """The message to send for `email`. Raises `ValueError` for a recipient that is not exactly one address."""
    if not _is_one_address(email.recipient):
        raise ValueError("the recipient is not an address")
    mail_from = current_app.config["MAIL_FROM"]
    calendar = invitation(email, mail_from=mail_from)
    message = EncodedMessage(
        subject=_subject(rendered.subject),
        recipients=[email.recipient],
        body=rendered.text,
        html=rendered.html,
        sender=mailbox(mail_from)[1],
        attachments=[calendar] if calendar else [],
        extra_headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: no absence notices in reply
    )
    message.msgId = email.message_id
    return message


def _multipart(subtype: str, parts: list[str]) -> tuple[str, str]:
    """Headers and body, in two pieces so that more headers fit in between."""
    boundary = f"=={token_hex(12)}=="
    headers = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\nMIME-Version: 1.0\n'
    return headers, "".join(f"\n--{boundary}\n{part}" for part in parts) + f"\n--{boundary}--\n"


def _text(subtype: str, text: str) -> str:
    """A part in quoted-printable, or as it is if possible: then a link can be copied from a stored email."""
    lines = text.split("\n")
    if all(line.isascii() and line.isprintable() and len(line) <= MAX_LINE for line in lines):
        charset, encoding, content = "us-ascii", "7bit", text
    else:
        charset, encoding = "utf-8", "quoted-printable"
        content = b2a_qp(text.encode(), istext=True).decode()
    return (
        f'Content-Type: text/{subtype}; charset="{charset}"\nMIME-Version: 1.0\n'
        f"Content-Transfer-Encoding: {encoding}\n\n{content}"
    )


def _subject(text: str) -> str:
    """The text if it fits into one line and is shown as it is; otherwise encoded words (RFC 2047)."""
    is_plain = text.isascii() and text.isprintable() and "=?" not in text
    if is_plain and len("Subject: ") + len(text) <= MAX_ENCODED_LINE:
        return text
    return Header(text, "utf-8", maxlinelen=MAX_ENCODED_LINE, header_name="Subject").encode(linesep="\r\n")


@cache
def _from_header(mail_from: str) -> str:
    return sanitize_address(mailbox(mail_from))


def _is_one_address(text: str) -> bool:
    return text.isascii() and text.isprintable() and "@" in text and parseaddr(text) == ("", text)
