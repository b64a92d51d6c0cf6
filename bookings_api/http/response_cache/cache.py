"""Public answers, kept ready as long as no event has changed; they are given before Flask is asked.

PostgreSQL counts the changes of events (`EVENTS_REVISION`); a request reads that number, which is all that it asks.
While it is what it was before an answer was made, no event has been written since. A change that was counted earlier
may have been committed later; but who counts holds a lock until the end of the transaction, and an answer is kept only
if nobody held it after the number was read: then it shows every change that is counted. So nobody has to remember to
withdraw anything, and what a client has changed it sees at once; mail, logins and the like leave all of it alone. Time
alone changes lists, too, a replica is told the number late, and after a crash of PostgreSQL the same one may come again
for another change; which is why no answer is kept for long.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import flask
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.http import parse_etags, unquote_etag

from bookings_api.database.engine import unpooled_engine
from bookings_api.database.prepared import Prepared
from bookings_api.database.timeouts import CONNECT_SECONDS
from bookings_api.database.unresponsive import time_limit
from bookings_api.http.response_cache.single_flight import SingleFlight
from bookings_api.models.event import EVENTS_REVISION, Event
from bookings_api.observability.logging import (
    BEGAN_AT,
    REQUEST_ID_HEADER,
    ROUTE,
    record_request,
    request_id_for,
    working_for,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Events that begin leave the list of upcoming ones; by twice that they may be late.
SECONDS = 1
# Of each process; the oldest go first.
MAX_ANSWERS = 256
MAX_BYTES = 64 * 1024

View = TypeVar("View", bound=Callable[..., Any])

_OK = f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}"
_NOT_MODIFIED = f"{HTTPStatus.NOT_MODIFIED.value} {HTTPStatus.NOT_MODIFIED.phrase}"
# What the WSGI environment holds for a view and of it.
_REVISION, _FAILURE, _MAY_BE_KEPT = "bookings_api.revision", "bookings_api.failure", "bookings_api.may_be_kept"

_sequence = sa.table(EVENTS_REVISION.name, sa.column("last_value"), sa.column("is_called"))
_COUNT = Prepared("events_revision", sa.select(_sequence.c.last_value + sa.cast(_sequence.c.is_called, sa.Integer)))
_LOCK = sa.cast(sa.cast(sa.literal_column(f"'{Event.__tablename__}'::regclass"), OID), sa.Integer)
_NOBODY_CHANGES = Prepared("nobody_changes_events", sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK, 0)))


@dataclass(frozen=True, slots=True)
class _Making:
    """Of an answer that is being made: the number that was read before, when that was, and the route."""

    revision: int
    began_at: float
    route: str


@dataclass(slots=True)
class _Answer:
    making: _Making
    headers: list[tuple[str, str]]
    body: bytes
    is_renewed: bool = False  # somebody makes it anew

    @property
    def tag(self) -> str | None:
        return unquote_etag(dict(self.headers).get("ETag"))[0]


def cached(view: View) -> View:
    """Let anonymous reads of the same address be answered with the same bytes, as long as they are true."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Any:
        request = flask.request
        environ = request.environ
        if _FAILURE in environ:
            raise environ[_FAILURE]
        if _address(environ) is not None:
            began_at = time.monotonic()
            revision = environ.get(_REVISION) or _COUNT()[0][0]
            if _NOBODY_CHANGES()[0][0]:
                environ[_MAY_BE_KEPT] = _Making(revision, began_at, str(request.url_rule))
        return view(*args, **kwargs)

    return answered  # type: ignore[return-value] # wraps() keeps what it looks like


class ResponseCache:
    """WSGI middleware (PEP 3333): answers what it has, and keeps what views that are `cached` have answered."""

    def __init__(self, app: flask.Flask) -> None:
        self._application: WSGIApplication = app.wsgi_app
        self._engine = unpooled_engine(app)
        self._connection: sa.Connection | None = None
        self._revision = SingleFlight(self._read_revision)
        self._answers: dict[tuple[str, ...], _Answer] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[BEGAN_AT] = time.perf_counter()
        address = _address(environ)
        if address is None:
            return self._application(environ, start_response)
        answer = self._answers.get(address)
        if answer is not None and self._is_true(answer, environ):
            return _give(answer, environ, start_response)
        return self._ask(address, environ, start_response)

    def _is_true(self, answer: _Answer, environ: "WSGIEnvironment") -> bool:
        """Whether it is what it would be now. The view need not read the number again, nor wait again in vain."""
        try:
            revision = self._revision()
        except SQLAlchemyError as error:
            environ[_FAILURE] = error
            return False
        environ[_REVISION] = revision
        age = time.monotonic() - answer.making.began_at
        if answer.making.revision != revision or age > 2 * SECONDS:
            return False
        if age > SECONDS and not answer.is_renewed:
            answer.is_renewed = True  # by this request; the others of the next second need not wait for it
            return False
        return True

    def _read_revision(self) -> int:
        """On a connection that is kept for it; one that was lost since it was last used is made anew, once."""
        is_old = self._connection is not None
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with time_limit(CONNECT_SECONDS):
                [(revision,)] = _COUNT.on(self._connection)
        except DBAPIError as error:
            self._leave_connection()
            if is_old and error.connection_invalidated:
                return self._read_revision()
            raise
        return int(revision)

    def _leave_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, address: tuple[str, ...], environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            started[:] = status, headers
            return start_response(status, headers, *error)

        parts = self._application(environ, start)
        if _MAY_BE_KEPT not in environ or started[0] != _OK:
            return parts
        body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()
        if len(body) <= MAX_BYTES:
            headers = [(name, value) for name, value in started[1] if name != REQUEST_ID_HEADER]
            self._keep(address, _Answer(environ[_MAY_BE_KEPT], headers, body))
        return [body]

    def _keep(self, address: tuple[str, ...], answer: _Answer) -> None:
        revision = answer.making.revision
        with self._lock:
            present = next((other.making.revision for other in self._answers.values()), revision)
            if revision < present:
                return  # it took so long that it is not true any more
            if revision > present:
                self._answers.clear()  # they will never be true again
            self._answers[address] = answer
            if len(self._answers) > MAX_ANSWERS:
                del self._answers[next(iter(self._answers))]


def init_response_cache(app: flask.Flask) -> None:
    """Put the kept answers in front of the application, behind what says who the client is."""
    app.wsgi_app = ResponseCache(app)  # type: ignore[method-assign]


def _address(environ: "WSGIEnvironment") -> tuple[str, ...] | None:
    """What an answer depends on; None for what is not everybody's, or no read."""
    if environ["REQUEST_METHOD"] != "GET" or "HTTP_AUTHORIZATION" in environ:
        return None
    # the scheme and the origin are for headers only
    path, query, origin = environ["PATH_INFO"], environ.get("QUERY_STRING", ""), environ.get("HTTP_ORIGIN", "")
    return path, query, environ["wsgi.url_scheme"], origin


def _give(answer: _Answer, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    request_id = request_id_for(environ.get("HTTP_X_REQUEST_ID", ""))
    status, headers, body = _OK, answer.headers, answer.body
    asked = environ.get("HTTP_IF_NONE_MATCH")
    if asked and answer.tag is not None and parse_etags(asked).contains_weak(answer.tag):
        status, body = _NOT_MODIFIED, b""
        headers = [(name, value) for name, value in headers if name not in {"Content-Type", "Content-Length"}]
    route = environ[ROUTE] = answer.making.route
    start_response(status, [*headers, (REQUEST_ID_HEADER, request_id)])
    with working_for(request_id):
        record_request("GET", route, int(status[:3]), environ[BEGAN_AT])
    return [body]
