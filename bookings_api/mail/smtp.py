"""Hands a mail to the SMTP server, through Flask-Mail."""

import smtplib
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
    """Flask-Mail's connection with a timeout on every step; its own would wait for ever."""

    def configure_host(self) -> smtplib.SMTP:
        settings = self.mail
        smtp = smtplib.SMTP_SSL if settings.use_ssl else smtplib.SMTP
        host = smtp(settings.server, settings.port or 0, timeout=current_app.config["MAIL_TIMEOUT"])
        if settings.use_tls:
            host.starttls()
        if settings.username and settings.password:
            host.login(settings.username, settings.password)
        return host


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
            connection.send(message)
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        raise _verdict(code, reply) from error
    except smtplib.SMTPResponseException as error:
        raise _verdict(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise TryAgain(f"{type(error).__name__}: {error}") from error


def _verdict(code: int, reply: bytes | str) -> RefusedForGood | TryAgain:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return (RefusedForGood if code >= PERMANENT else TryAgain)(f"{code} {text}")
