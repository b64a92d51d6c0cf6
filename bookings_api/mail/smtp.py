"""Hands a mail to the SMTP server, through Flask-Mail."""

import smtplib
import ssl
from contextlib import suppress
from email.policy import SMTP
from email.utils import parseaddr

from flask import current_app
from flask_mail import Connection, Message

from bookings_api.mail.messages import RenderedMail
from bookings_api.models import OutboxMail

PERMANENT = 500  # codes from here on mean "do not try again" (RFC 5321, section 4.2.1)


class RefusedForGood(Exception):
    """The server answered 5xx: sending the same mail again would meet the same answer."""


class TryAgain(Exception):
    """The server was not reached, did not answer in time, or answered 4xx."""


class TimedConnection(Connection):
    """Flask-Mail's connection with a timeout on every step and certificates checked, where its own does neither."""

    def configure_host(self) -> smtplib.SMTP:
        settings, timeout = self.mail, current_app.config["MAIL_TIMEOUT"]
        host: smtplib.SMTP
        if settings.use_ssl:
            context = ssl.create_default_context()
            host = smtplib.SMTP_SSL(settings.server, settings.port or 0, timeout=timeout, context=context)
        else:
            host = smtplib.SMTP(settings.server, settings.port or 0, timeout=timeout)
        if settings.use_tls:
            host.starttls(context=ssl.create_default_context())
        if settings.username and settings.password:
            host.login(settings.username, settings.password)
        return host

    def __exit__(self, *_: object) -> None:
        """Say goodbye; how the server takes that changes nothing about the mail it has taken or refused."""
        with suppress(smtplib.SMTPException, OSError):
            if self.host is not None:
                self.host.quit()


class FaithfulMessage(Message):
    """Flask-Mail's message with its headers sent as they were encoded.

    Flask-Mail lets the email package fold them anew, which before Python 3.13 loses spaces between the encoded
    words (RFC 2047) of a long subject in another script.
    """

    def as_bytes(self) -> bytes:
        message = self._message()
        message.policy = SMTP.clone(refold_source="none")
        return message.as_bytes()


def send(mail: OutboxMail, rendered: RenderedMail) -> None:
    """Send one mail, always with the same Message-ID. Raises `RefusedForGood` or `TryAgain`."""
    message = FaithfulMessage(
        subject=rendered.subject,
        recipients=[mail.recipient],
        body=rendered.text,
        html=rendered.html,
        sender=parseaddr(current_app.config["MAIL_FROM"]),
        extra_headers={"Auto-Submitted": "auto-generated"},
    )
    message.msgId = mail.message_id
    try:
        with TimedConnection(current_app.extensions["mail"]) as connection:
            _hand_over(message, connection)
    except (smtplib.SMTPException, OSError) as error:
        # not reached, lost, or not willing to talk to us, by greeting, STARTTLS, login or sender: nothing of that
        # is about this mail, so it stays good for another attempt
        raise TryAgain(f"{type(error).__name__}: {error}") from error


def _hand_over(message: Message, connection: Connection) -> None:
    """Send on an open connection. Raises `RefusedForGood` or `TryAgain` for an answer about this very mail."""
    try:
        connection.send(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise _verdict(*next(iter(error.recipients.values()))) from error
    except smtplib.SMTPDataError as error:
        raise _verdict(error.smtp_code, error.smtp_error) from error


def _verdict(code: int, reply: bytes | str) -> RefusedForGood | TryAgain:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return (RefusedForGood if code >= PERMANENT else TryAgain)(f"{code} {text}")
