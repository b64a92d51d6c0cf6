"""Hands mails to the SMTP server, through Flask-Mail, as many as there are over one connection.

No server can hold us: each step has `MAIL_TIMEOUT` seconds, what follows the message six times as long (RFC 5321,
section 4.5.3.2.6, wants patience there, for the server has the mail by then), and all of them together `time_limit()`.
"""

import signal
import smtplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn, Self

from flask import current_app
from flask_mail import Connection, Message

DATA_TIMEOUTS = 6
ALL_TIMEOUTS = 12
OK = 250
LOWEST, PERMANENT, HIGHEST = 400, 500, 599  # refusals for now and for good (RFC 5321, section 4.2.1)
CLOSING = 421  # the server ends the conversation, whatever it was asked
MAX_REPLY = 500

# What smtplib raises, and what it lets through.
TROUBLE = (smtplib.SMTPException, OSError)


class PermanentFailure(Exception):
    """The server answered 5xx: sending the same mail again would meet the same answer."""


class TransientFailure(Exception):
    """The mail was not taken this time; `str` says why, in plain words."""


class ServerUnavailable(TransientFailure):
    """The server was not reached, or would not talk to us: which is not about this mail."""


def time_limit() -> timedelta:
    """The longest that sending one mail takes, whatever the server does."""
    return ALL_TIMEOUTS * _timeout()


class _Patient:
    """Waits longer once the server has the message: giving up then is to send it twice."""

    sock: Any

    def data(self, msg: Any) -> Any:
        self.sock.settimeout(DATA_TIMEOUTS * _timeout().total_seconds())
        answer = super().data(msg)  # type: ignore[misc] # smtplib.SMTP's
        self.sock.settimeout(_timeout().total_seconds())
        return answer


class _SMTP(_Patient, smtplib.SMTP):
    pass


class _SMTPS(_Patient, smtplib.SMTP_SSL):
    pass


class TimedConnection(Connection):
    """Flask-Mail's connection with a timeout on every step and certificates checked, where its own does neither."""

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

    def __exit__(self, *_: object) -> None:
        """Say goodbye; how the server takes that changes nothing about the mails it has taken or refused."""
        if self.host is not None:
            with suppress(*TROUBLE), _deadline(_timeout()):
                self.host.quit()
            self.host.close()

    def is_alive(self) -> bool:
        """Whether the server still listens; where mail is suppressed, there is none."""
        try:
            return self.host is None or self.host.noop()[0] == OK
        except TROUBLE:
            return False


class MailSender:
    """Sends one mail after the other; connects when the first one is there, and again if the server hung up between."""

    def __init__(self) -> None:
        self._connection: TimedConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def send(self, message: Message) -> None:
        """Hand `message` to the server. Raises `PermanentFailure`, `TransientFailure` or `ServerUnavailable`."""
        with _deadline(time_limit()):
            if self._connection is not None and self._is_sent(message, self._connection):
                return
            self._hang_up()
            try:
                self._connection = TimedConnection(current_app.extensions["mail"]).__enter__()
            except TROUBLE as error:
                raise ServerUnavailable(_in_plain_words(error)) from error
            self._hand_over(message, self._connection)

    def _is_sent(self, message: Message, connection: TimedConnection) -> bool:
        """Whether a connection that is used already took one more; some servers take so many, and then no more."""
        if not connection.is_alive():
            return False
        with suppress(ServerUnavailable):
            self._hand_over(message, connection)
            return True
        return False

    def _hand_over(self, message: Message, connection: Connection) -> None:
        """Send on an open connection; one that breaks may do so because of this very mail."""
        try:
            connection.send(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise _verdict(*next(iter(error.recipients.values()))) from error
        except smtplib.SMTPDataError as error:
            raise _verdict(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPSenderRefused as error:
            raise ServerUnavailable(_in_plain_words(error)) from error
        except TROUBLE as error:
            self._hang_up()
            raise TransientFailure(_in_plain_words(error)) from error

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.__exit__()
            self._connection = None


def _timeout() -> timedelta:
    return timedelta(seconds=current_app.config["MAIL_TIMEOUT"])


@contextmanager
def _deadline(limit: timedelta) -> Iterator[None]:
    """Raise `TimeoutError` in whatever is waiting after `limit`: a server that sends a byte now and then outlives
    every timeout of a socket. Only the main thread can be told so, in which the processes of Celery's pool work.
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


def _verdict(code: int, reply: bytes | str) -> PermanentFailure | TransientFailure:
    if code == CLOSING:
        return ServerUnavailable("The mail server takes no mail at the moment.")
    if not LOWEST <= code <= HIGHEST:
        return TransientFailure("The mail server's answer could not be understood.")
    answer = f"{code} {_text(reply)}"
    if code >= PERMANENT:
        return PermanentFailure(f"The mail server refused it for good: {answer}")
    return TransientFailure(f"The mail server did not take it this time: {answer}")


def _in_plain_words(error: Exception) -> str:
    """What stands between us and the server; what it says of us is the operators' business, and in the log."""
    if isinstance(error, smtplib.SMTPResponseException):
        return "The mail server would not talk to us."
    # smtplib says "disconnected" for a timeout, too, and keeps the cause as context
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "The mail server did not answer in time."
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionResetError | BrokenPipeError):
        return "The mail server broke the connection off."
    return "The mail server could not be reached."


def _text(reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return text[:MAX_REPLY]
