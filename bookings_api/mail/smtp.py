"""Sends many emails over one SMTP connection, through Flask-Mail.

Timeouts prevent a server from blocking a worker indefinitely. Each step may take at most `MAIL_TIMEOUT` seconds, and
each email at most `time_limit()`. The reply to the message may take six times `MAIL_TIMEOUT`, because giving up at that
point could send the email twice (RFC 5321, section 4.5.3.2.6).
"""

import signal
import smtplib
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn, Self

from flask import current_app
from flask_mail import Connection, Message, sanitize_address

DATA_TIMEOUTS = 6
ALL_TIMEOUTS = 12
TRANSIENT, PERMANENT, HIGHEST = 400, 500, 599  # the ranges of transient and permanent codes (RFC 5321, section 4.2.1)
CLOSING = 421  # the server is closing the connection
MAX_REPLY = 500
# The SMTP extension for addresses with a non-ASCII local part (RFC 6531)
SMTPUTF8 = "SMTPUTF8"

# smtplib's own errors and the socket errors that it passes on
SMTP_ERRORS = (smtplib.SMTPException, OSError)


class PermanentFailure(Exception):
    """Raised when a retry is pointless: the server replied with a 5xx code or does not support the address."""


class TransientFailure(Exception):
    """Raised when the server does not accept the email, but may accept it later. The error message says why."""


class ServerUnavailable(TransientFailure):
    """Raised when the server is unreachable or currently refuses all emails."""


class _ConnectionLost(TransientFailure):
    """Raised when the connection breaks before the server has received any part of the email."""


def time_limit() -> timedelta:
    """Return the maximum time for sending one email."""
    return ALL_TIMEOUTS * _timeout()


class _Steps:
    """Mixin for smtplib's clients that detects a lost connection and extends the timeout for the message."""

    sock: Any

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        try:
            return super().mail(sender, options)  # type: ignore[misc,no-any-return] # smtplib.SMTP's
        except SMTP_ERRORS as error:
            raise _ConnectionLost(_explain(error)) from error

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the message, with a longer timeout, because giving up here could send the email twice."""
        self.sock.settimeout(DATA_TIMEOUTS * _timeout().total_seconds())
        reply = super().data(msg)  # type: ignore[misc] # smtplib.SMTP's
        self.sock.settimeout(_timeout().total_seconds())
        return reply  # type: ignore[no-any-return] # what `super().data` returns


class _SMTP(_Steps, smtplib.SMTP):
    pass


class _SMTPS(_Steps, smtplib.SMTP_SSL):
    pass


class TimedConnection(Connection):
    """Flask-Mail's connection, with timeouts and verified certificates."""

    def configure_host(self) -> smtplib.SMTP:
        settings, timeout = self.mail, _timeout().total_seconds()
        host: smtplib.SMTP
        if settings.use_ssl:
            context = ssl.create_default_context()
            host = _SMTPS(settings.server, settings.port or 0, timeout=timeout, context=context)
        else:
            host = _SMTP(settings.server, settings.port or 0, timeout=timeout)
        try:
            if settings.use_tls:
                host.starttls(context=ssl.create_default_context())
            if settings.username and settings.password:
                host.login(settings.username, settings.password)
        except BaseException:
            host.close()
            raise
        return host

    def send(self, message: Message, envelope_from: str | tuple[str, str] | None = None) -> None:
        """Send `message`. Bypasses Flask-Mail for non-ASCII addresses, which Flask-Mail does not support."""
        if self.host is None or SMTPUTF8 not in message.mail_options:
            super().send(message, envelope_from)
            return
        self.host.ehlo_or_helo_if_needed()
        if not self.host.has_extn(SMTPUTF8):
            raise PermanentFailure("The mail server accepts only ASCII addresses (no SMTPUTF8).")
        sender, recipient = sanitize_address(message.sender or ""), message.recipients[0][1]
        self.host.sendmail(sender, [recipient], message.as_bytes(), message.mail_options)

    def __exit__(self, *_: object) -> None:
        """Close the connection. Ignores errors, because the outcome of each email is already known."""
        if self.host is not None:
            with suppress(*SMTP_ERRORS), _deadline(_timeout()):
                self.host.quit()
            self.host.close()


class MailSender:
    """Sends emails over one connection. Connects for the first email, and again if the server closes the connection."""

    def __init__(self) -> None:
        self._connection: TimedConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._disconnect()

    def send(self, message: Message) -> None:
        """Send `message` to the server. Raises `PermanentFailure`, `TransientFailure` or `ServerUnavailable`."""
        with _deadline(time_limit()):
            if self._connection is not None:
                # the server may have closed the connection, for example after its limit of emails per connection
                with suppress(ServerUnavailable, _ConnectionLost):
                    self._send_on(self._connection, message)
                    return
            self._disconnect()
            try:
                self._connection = TimedConnection(current_app.extensions["mail"]).__enter__()
            except SMTP_ERRORS as error:
                raise ServerUnavailable(_explain(error)) from error
            self._send_on(self._connection, message)

    def _send_on(self, connection: Connection, message: Message) -> None:
        try:
            connection.send(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(*next(iter(error.recipients.values()))) from error
        except smtplib.SMTPDataError as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPSenderRefused as error:
            raise ServerUnavailable(_explain(error)) from error
        except SMTP_ERRORS as error:
            self._disconnect()  # the server may have broken the connection because of this email
            raise TransientFailure(_explain(error)) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.__exit__()
            self._connection = None


def _timeout() -> timedelta:
    return timedelta(seconds=current_app.config["MAIL_TIMEOUT"])


@contextmanager
def _deadline(limit: timedelta) -> Iterator[None]:
    """Raise `TimeoutError` in the `with` block after `limit`. Has no effect outside the main thread.

    Socket timeouts never expire if a server keeps sending single bytes. The deadline uses a signal, which Python
    delivers only to the main thread. Celery's pool processes run tasks in their main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise_timeout)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, outer)
        signal.signal(signal.SIGALRM, before)


def _raise_timeout(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeoutError


def _refusal(code: int, reply: bytes | str) -> PermanentFailure | TransientFailure:
    if code == CLOSING:
        return ServerUnavailable("The mail server is not accepting email right now.")
    if not TRANSIENT <= code <= HIGHEST:
        return TransientFailure("The mail server sent an invalid response.")
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    response = f"{code} {text[:MAX_REPLY]}"
    if code >= PERMANENT:
        return PermanentFailure(f"The mail server refused the email permanently: {response}")
    return TransientFailure(f"The mail server refused the email temporarily: {response}")


def _explain(error: Exception) -> str:
    """Describe why the connection failed. Omits the server's reply, which only the log may contain."""
    if isinstance(error, smtplib.SMTPResponseException):
        return "The mail server refused the connection."
    # smtplib reports a timeout as a disconnect whose context is the timeout
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "The mail server did not respond in time."
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionResetError | BrokenPipeError):
        return "The mail server closed the connection."
    return "The mail server could not be reached."
