"""Builds the MIME message for an email. Lines are short, and text from users cannot add headers.

Messages are ASCII, except messages to an address with a non-ASCII local part (RFC 6531).
"""

from collections.abc import Sequence
from email import policy
from email.charset import QP, Charset
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.text import MIMEText
from email.utils import parseaddr
from secrets import token_hex

from flask import current_app
from flask_mail import Message

from bookings_api.calendar.icalendar import mailbox
from bookings_api.calendar.itip import CANCEL, REQUEST, invitation
from bookings_api.email_addresses import encoded_address
from bookings_api.mail.messages import RenderedEmail
from bookings_api.mail.smtp import SMTPUTF8
from bookings_api.models import OutboxEmail

MAX_LINE = 998  # octets (RFC 5322, section 2.1.1)
MAX_ENCODED_LINE = 76  # RFC 2047, section 2
_FILE_NAMES = {REQUEST: "invite", CANCEL: "cancelled"}

# RFC 3834, and Exchange's own header ([MS-OXCMAIL], 2.2.3.2.14)
_NO_AUTOMATIC_REPLIES = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}

_PLAIN, _QUOTED_PRINTABLE = Charset("us-ascii"), Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP


class _PreencodedHeaders(policy.Compat32):
    """Serializes encoded headers unchanged.

    Flask-Mail uses `policy.SMTP`, which parses the headers again. Parsing takes longer than all other work on an email.
    Before Python 3.13, parsing also loses spaces between the encoded words of a long subject.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        return f"{name}: {value}\n".replace("\r\n", "\n").replace("\n", "\r\n").encode()


_POLICY = _PreencodedHeaders(linesep="\r\n")


class EncodedMessage(Message):
    """Flask-Mail's message with headers that are already encoded, and without 8bit parts (RFC 6152)."""

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        """Use quoted-printable only if necessary, so that links can be copied from a stored email."""
        lines = (text or "").split("\n")
        is_plain = all(line.isascii() and line.isprintable() and len(line) <= MAX_LINE for line in lines)
        return MIMEText(text or "", subtype, _PLAIN if is_plain else _QUOTED_PRINTABLE)  # type: ignore[arg-type]

    def _message(self) -> MIMEBase:
        if SMTPUTF8 not in self.mail_options:
            return super()._message()
        recipients, self.recipients = self.recipients, []  # Flask-Mail can format only ASCII addresses
        message = super()._message()
        self.recipients = recipients
        message.replace_header("To", recipients[0][1])
        return message

    def as_bytes(self) -> bytes:
        message = self._message()
        message.policy = _POLICY
        for part in message.walk():
            if part.is_multipart():
                # faster than the email package's search for an unused boundary
                part.replace_header("Content-Type", f'{part.get_content_type()}; boundary="{token_hex(12)}"')
        return message.as_bytes()


class UnusableAddress(Exception):
    """Raised when a recipient is not a single email address."""


def compose(email: OutboxEmail, rendered: RenderedEmail, joined: Sequence[OutboxEmail] = ()) -> Message:
    """Return one message for `email` and the `joined` emails. Raises `UnusableAddress`."""
    recipient = encoded_address(email.recipient)
    if not _is_one_address(recipient):
        raise UnusableAddress("The recipient is not an address that email can be sent to.")
    mail_from = current_app.config["MAIL_FROM"]
    message = EncodedMessage(
        subject=_subject(rendered.subject),
        recipients=[("", recipient)],
        body=rendered.text,
        html=rendered.html,
        sender=mailbox(mail_from)[1],
        reply_to=email.payload.get("contact_email"),
        extra_headers=_NO_AUTOMATIC_REPLIES,
    )
    # set afterwards, because the constructor formats the pair without quotes and misreads the result
    message.sender = mailbox(mail_from)
    message.msgId = email.message_id
    message.mail_options = [] if recipient.isascii() else [SMTPUTF8]
    if calendar := invitation(email, mail_from=mail_from):
        _add_calendar(message, *calendar)
    for number, each in enumerate(joined, start=2):
        # One file per booking, because all entries of a REQUEST or CANCEL must have the same UID (RFC 5546, section
        # 3.2). The files are only attached, because mail programs process only one calendar body per message.
        if calendar := invitation(each, mail_from=mail_from):
            _attach_calendar(message, *calendar, number=number)
    return message


def _add_calendar(message: Message, method: str, calendar: bytes) -> None:
    """Add a calendar twice: as a body for mail programs that process invitations, and as a file for all others.

    Outlook processes the body only if it is the last child of `multipart/alternative` ([MS-STANOICAL], 2.2.174).
    """
    message.alts[f"calendar; method={method}"] = calendar.decode()
    _attach_calendar(message, method, calendar)


def _attach_calendar(message: Message, method: str, calendar: bytes, *, number: int | None = None) -> None:
    name = _FILE_NAMES[method] + (f"-{number}" if number else "")
    message.attach(f"{name}.ics", "application/ics", calendar)


def _subject(text: str) -> str:
    """Return short ASCII text unchanged, and any other text as encoded words (RFC 2047)."""
    is_plain = text.isascii() and text.isprintable() and "=?" not in text
    if is_plain and len("Subject: ") + len(text) <= MAX_ENCODED_LINE:
        return text
    return Header(text, "utf-8", maxlinelen=MAX_ENCODED_LINE, header_name="Subject").encode(linesep="\r\n")


def _is_one_address(text: str) -> bool:
    _, at, domain = text.rpartition("@")
    return bool(at) and domain.isascii() and text.isprintable() and parseaddr(text) == ("", text)
