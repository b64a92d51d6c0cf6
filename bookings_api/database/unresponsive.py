"""Detects a PostgreSQL server that has stopped responding, and lets requests fail fast.

A server that hangs, for example because of a stuck disk, does not enforce its timeouts. TCP timeouts do not help,
because the server's kernel still acknowledges packets. psycopg2 therefore waits in `wait_for_response`, which gives up
after a time limit, and the request fails with 503. If the request was committing, the outcome is unknown.

While the server does not respond, a circuit breaker lets one thread at a time probe the server. All other threads fail
immediately instead of waiting.
"""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import psycopg2
from psycopg2 import extensions, extras

from bookings_api.database import timeouts

# Application names of connections to the primary and to the replica. `wait_for_response` searches for these names, so
# neither may be a prefix of the other.
PRIMARY_NAME = "event-booking-api"
REPLICA_NAME = f"listings-of-{PRIMARY_NAME}"

_MESSAGE = "PostgreSQL does not respond"
_POLL_EVENTS = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}

# A value of time.monotonic(), set by `time_limit`.
_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))
_is_pinging: ContextVar[bool] = ContextVar("is_pinging", default=False)


class CircuitBreaker:
    """Stops all threads except one from contacting a server that does not respond. That thread probes the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_until = 0.0  # a value of time.monotonic(), or 0 while the breaker is closed
        self._prober = 0
        self._responded_at = 0.0

    def require_closed(self) -> None:
        """Raise `OperationalError` if the breaker is open, unless this thread may probe the server."""
        if not self._open_until:
            return
        with self._lock:
            now, thread = time.monotonic(), threading.get_ident()
            if now < self._open_until and thread != self._prober:
                raise psycopg2.OperationalError(_MESSAGE)
            self._open_until, self._prober = now + timeouts.CONNECT_SECONDS, thread

    def record_failure(self, *, sent_at: float, is_new_connection: bool) -> None:
        """Open the breaker. After the failure of an existing connection, the same thread may try a new connection."""
        with self._lock:
            now, thread = time.monotonic(), threading.get_ident()
            if self._responded_at > sent_at:  # another thread got a response
                return
            if now >= self._open_until or thread == self._prober:
                self._open_until, self._prober = now + timeouts.RETRY_AFTER_SECONDS, 0 if is_new_connection else thread

    def record_success(self) -> None:
        self._responded_at = time.monotonic()
        if self._open_until:
            with self._lock:
                self._open_until = 0.0


_primary, _replica = CircuitBreaker(), CircuitBreaker()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let the block wait for PostgreSQL for at most `seconds` in total. Other timeouts still apply."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def require_responsive(*_: object) -> None:
    """Raise `OperationalError` if the primary is unresponsive. Called on SQLAlchemy's event `do_connect`.

    Without this check, failed attempts to connect would stay in the server's accept queue and delay later attempts.
    """
    _primary.require_closed()


def ping(connection: extensions.connection) -> None:
    """Send a short query over a connection. Raises `psycopg2.Error` if the connection is dead."""
    token = _is_pinging.set(True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        _is_pinging.reset(token)


def wait_for_response(connection: extensions.connection) -> None:
    """Wait until the server has responded. psycopg2 calls this function for every query and connection attempt.

    Raises `OperationalError` after a time limit, and psycopg2 then closes the connection. Connections with other
    application names, such as those of `snapshot`, have no time limit.
    """
    if f"application_name={PRIMARY_NAME}" in connection.dsn:
        breaker = _primary
    elif f"application_name={REPLICA_NAME}" in connection.dsn:
        breaker = _replica
    else:
        extras.wait_select(connection)
        return
    in_transaction = connection.status == extensions.STATUS_BEGIN
    is_new = connection.status == extensions.STATUS_SETUP
    if not in_transaction:
        breaker.require_closed()
    sent_at, timeout = time.monotonic(), _timeout(connection)
    gives_up_at = sent_at + timeout
    deadline = min(gives_up_at, _deadline.get())
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), _POLL_EVENTS[state])
        if not poller.poll(max(0, deadline - time.monotonic()) * 1000):
            # the server may be fine if `time_limit` ended the wait, or if a statement outside a transaction is slow
            if deadline == gives_up_at and (in_transaction or timeout == timeouts.CONNECT_SECONDS):
                breaker.record_failure(sent_at=sent_at, is_new_connection=is_new)
            raise psycopg2.OperationalError(_MESSAGE)
    breaker.record_success()


def _timeout(connection: extensions.connection) -> float:
    """Return how many seconds to wait. For statements, the wait is longer than PostgreSQL's own timeouts."""
    if connection.status == extensions.STATUS_BEGIN:
        return timeouts.STATEMENT_SECONDS + timeouts.GRACE_SECONDS
    is_statement = connection.status == extensions.STATUS_READY and connection.autocommit and not _is_pinging.get()
    return timeouts.LOCK_SECONDS + timeouts.GRACE_SECONDS if is_statement else timeouts.CONNECT_SECONDS
