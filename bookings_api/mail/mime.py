"""A mail as the bytes that travel by SMTP, made with Flask-Mail: ASCII in lines that every server takes."""

from email.charset import QP, Charset
from email.header import Header
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import parseaddr
from typing import Any

from flask import current_app
from flask_mail import Message

from bookings_api.calendar.icalendar import mailbox
from bookings_api.calendar.itip import invitation
from bookings_api.mail.messages import RenderedMail
from bookings_api.models import OutboxEmail

MAX_LINE = 998  # RFC 5322, section 2.1.1, in octets
MAX_ENCODED_LINE = 76  # RFC 2047, section 2

_QUOTED_PRINTABLE = Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP


class FaithfulMessage(Message):
    """Flask-Mail's message with its headers sent as they were encoded, and no text as 8bit.

    Flask-Mail lets the email package fold headers anew, which before Python 3.13 loses spaces between the encoded
    words (RFC 2047) of a long subject in another script. Its texts are 8bit in lines of any length, which a server
    without 8BITMIME (RFC 6152), or any server, need not pass on.
    """

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        """In quoted-printable, unless the text can travel as it is: then a token can be copied from a kept mail."""
        lines = (text or "").split("\n")
        is_plain = all(line.isascii() and line.isprintable() and len(line) <= MAX_LINE for line in lines)
        charset: Any = "us-ascii" if is_plain else _QUOTED_PRINTABLE
        return MIMEText(text or "", subtype, charset)

    def as_bytes(self) -> bytes:
        message = self._message()
        message.policy = SMTP.clone(refold_source="none")
        return message.as_bytes()


def compose(mail: OutboxEmail, rendered: RenderedMail) -> Message:
    """The message of `mail`, always with the same Message-ID, so that a repeated one can be recognised.

    Raises `ValueError` for a recipient that is not exactly one address.
    """
    if not _is_one_address(mail.recipient):
        raise ValueError("the recipient is not an address")
    mail_from = current_app.config["MAIL_FROM"]
    sender, brought = mailbox(mail_from), invitation(mail, mail_from=mail_from)
    message = FaithfulMessage(
        subject=_subject(rendered.subject),
        recipients=[("", mail.recipient)],
        body=rendered.text,
        html=rendered.html,
        sender=sender[1],
        attachments=[brought] if brought else [],
        extra_headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: nobody's absence answers it
    )
    # given to the constructor, the pair would be joined unquoted and parsed again, with another outcome
    message.sender = sender
    message.msgId = mail.message_id
    return message


def _subject(text: str) -> str:
    """In encoded words (RFC 2047) whatever would not be shown as it is, or does not fit into one line."""
    is_plain = text.isascii() and text.isprintable() and "=?" not in text
    if is_plain and len("Subject: ") + len(text) <= MAX_ENCODED_LINE:
        return text
    return Header(text, "utf-8", maxlinelen=MAX_ENCODED_LINE, header_name="Subject").encode(linesep="\r\n")


def _is_one_address(text: str) -> bool:
    return text.isascii() and text.isprintable() and "@" in text and parseaddr(text) == ("", text)
