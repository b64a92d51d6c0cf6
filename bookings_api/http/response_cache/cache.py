"""Cached responses to anonymous reads, sent before Flask is involved.

A page of a list is reused while `EventCatalog.version` stays the same, for `PAGE_SECONDS` at most. So a new or changed
event is listed immediately, though ticket counts may be that old. Time alone changes lists as well, when events start.
The version is read before the page, which therefore shows at least the changes that the version counts; read from a
replica, it shows as much (`database.replica`). After a failover a version can stand for other changes than before, but
not for longer than pages are kept.

A single event is always exact. Each request reads it, or shares the read with others; only the headers are reused.

Neither may be stored by browsers for any time: a client must see its own change in its next read. All responses say
`Cache-Control: no-cache`, as they do without this cache.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import flask
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import parse_etags, quote_etag

from bookings_api.database.prepared import Prepared
from bookings_api.http.conditional import Versioned, etag_of
from bookings_api.http.json import json_body
from bookings_api.http.response_cache.shared_reads import SharedReads
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import EventCatalog
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

PAGE_SECONDS = 1
# Limits for each process; the oldest responses are dropped first.
MAX_RESPONSES = 256
MAX_BYTES = 64 * 1024

View = TypeVar("View", bound=Callable[..., Any])
Headers = list[tuple[str, str]]

_EXTENSION = "response_cache"
# Keys of the WSGI environment: why the database failed, and how to store the response.
_FAILURE, _STORE = "bookings_api.failure", "bookings_api.store"

_VERSION = Prepared("event_catalog_version", sa.select(sa.func.coalesce(sa.func.max(EventCatalog.version), 0)))


def _read_version(connection: sa.Connection) -> int:
    [(version,)] = _VERSION.on(connection)
    return int(version)


class _Current(NamedTuple):
    """What a stored response is now."""

    headers: Headers
    body: bytes
    etag: str | None = None


class _Stored(Protocol):
    route: str

    def current(self, shared: SharedReads) -> _Current | None:
        """None if the response must be made anew."""


@dataclass(slots=True)
class _Page:
    """A page of a list, and the version of the event catalog before it was read."""

    version: int
    read_at: float
    headers: Headers
    body: bytes
    route: str
    renewal: threading.Lock = field(default_factory=threading.Lock)

    def current(self, shared: SharedReads) -> _Current | None:
        is_recent = time.monotonic() - self.read_at < PAGE_SECONDS
        return _Current(self.headers, self.body) if is_recent and shared(_read_version) == self.version else None


class _Resource:
    """A single resource that is read for each response. `read` returns its ETag and body, or None if it is gone."""

    def __init__(
        self, read: Callable[[sa.Connection], tuple[str, bytes] | None], headers: Headers, body: bytes, route: str
    ) -> None:
        self.route = route
        self._read = read
        self._headers = [(name, value) for name, value in headers if name not in {"ETag", "Content-Length"}]

    def current(self, shared: SharedReads) -> _Current | None:
        found: tuple[str, bytes] | None = shared(self._read)
        if found is None:
            return None
        etag, body = found
        headers = [*self._headers, ("ETag", quote_etag(etag)), ("Content-Length", str(len(body)))]
        return _Current(headers, body, etag)


def cached_page(view: View) -> View:
    """Reuse a page of a list of events for anonymous clients."""

    @wraps(view)
    def storing(*args: Any, **kwargs: Any) -> Any:
        environ = _environ_of_anonymous_read()
        if environ is not None:
            read_at, shared = time.monotonic(), flask.current_app.extensions[_EXTENSION]
            environ[_STORE] = partial(_Page, shared(_read_version), read_at)
        return view(*args, **kwargs)

    return storing  # type: ignore[return-value] # wraps() keeps the signature


def cached_resource(read: Callable[..., Versioned | None], schema: type[ResponseSchema]) -> Callable[[View], View]:
    """Share reads of a resource among anonymous clients.

    `read` gets a connection and the arguments of the view; it returns None for what anonymous clients cannot see.
    """
    dump = schema().dump

    def represent(connection: sa.Connection, **arguments: Any) -> tuple[str, bytes] | None:
        resource = read(connection, **arguments)
        return None if resource is None else (etag_of(resource), json_body(dump(resource)))

    def decorate(view: View) -> View:
        @wraps(view)
        def storing(**arguments: Any) -> Any:
            environ = _environ_of_anonymous_read()
            if environ is not None:
                environ[_STORE] = partial(_Resource, partial(represent, **arguments))
            return view(**arguments)

        return storing  # type: ignore[return-value] # as above

    return decorate


class ResponseCache:
    """WSGI middleware (PEP 3333) that stores responses of views with one of the decorators above."""

    def __init__(self, app: flask.Flask) -> None:
        self._application: WSGIApplication = app.wsgi_app
        self._shared = app.extensions[_EXTENSION] = SharedReads(app)
        self._responses: dict[tuple[str, ...], _Stored] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[BEGAN_AT] = time.perf_counter()
        key = _key(environ)
        if key is None:
            return self._application(environ, start_response)
        sent = self._send_stored(key, environ, start_response)
        if sent is not None:
            return sent
        if _FAILURE in environ:
            return self._application(environ, start_response)
        with self._renewal(key):
            return self._send_stored(key, environ, start_response) or self._ask(key, environ, start_response)

    def _send_stored(
        self, key: tuple[str, ...], environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes] | None:
        stored = self._responses.get(key)
        if stored is None:
            return None
        try:
            current = stored.current(self._shared)
        except SQLAlchemyError as error:
            environ[_FAILURE] = error  # raised by the view, which need not wait for the database again
            return None
        return _send(current, stored.route, environ, start_response) if current else None

    @contextmanager
    def _renewal(self, key: tuple[str, ...]) -> Iterator[None]:
        """One request at a time makes a page anew, so that the others can use it; but none waits for long."""
        page = self._responses.get(key)
        if not isinstance(page, _Page):
            yield
            return
        is_acquired = page.renewal.acquire(timeout=PAGE_SECONDS)
        try:
            yield
        finally:
            if is_acquired:
                page.renewal.release()

    def _ask(
        self, key: tuple[str, ...], environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        started: list[Any] = []

        def start(status: str, headers: Headers, *error: Any) -> Callable[[bytes], object]:
            started[:] = status, headers
            return start_response(status, headers, *error)

        parts = self._application(environ, start)
        store = environ.get(_STORE)
        if store is None or not started[0].startswith(f"{HTTPStatus.OK.value} "):
            return parts
        body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()
        if len(body) <= MAX_BYTES:
            headers = [(name, value) for name, value in started[1] if name != REQUEST_ID_HEADER]
            self._store(key, store(headers, body, environ[ROUTE]))
        return [body]

    def _store(self, key: tuple[str, ...], stored: _Stored) -> None:
        with self._lock:
            present = self._responses.get(key)
            if isinstance(present, _Page) and isinstance(stored, _Page) and present.read_at > stored.read_at:
                return
            self._responses.pop(key, None)  # the new one is the latest in the dictionary
            self._responses[key] = stored
            if len(self._responses) > MAX_RESPONSES:
                del self._responses[next(iter(self._responses))]


def init_response_cache(app: flask.Flask) -> None:
    """Put the cache in front of the application, but behind what finds out the client's address and scheme."""
    app.wsgi_app = ResponseCache(app)  # type: ignore[method-assign]


def _environ_of_anonymous_read() -> "WSGIEnvironment | None":
    """The environment of a request whose response may be stored. Raises the error that the database had meanwhile."""
    environ = flask.request.environ
    if _FAILURE in environ:
        raise environ[_FAILURE]
    return None if _key(environ) is None else environ


def _key(environ: "WSGIEnvironment") -> tuple[str, ...] | None:
    """What a response depends on, headers included; None if it is not public, or the request no read."""
    if environ["REQUEST_METHOD"] != "GET" or "HTTP_AUTHORIZATION" in environ:
        return None
    path, query, origin = environ["PATH_INFO"], environ.get("QUERY_STRING", ""), environ.get("HTTP_ORIGIN", "")
    return path, query, environ["wsgi.url_scheme"], origin


def _send(
    current: _Current, route: str, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    request_id = request_id_for(environ.get("HTTP_X_REQUEST_ID", ""))
    status, (headers, body, etag) = HTTPStatus.OK, current
    known = environ.get("HTTP_IF_NONE_MATCH")
    if known and etag and parse_etags(known).contains_weak(etag):
        status, body = HTTPStatus.NOT_MODIFIED, b""
        headers = [(name, value) for name, value in headers if name not in {"Content-Type", "Content-Length"}]
    environ[ROUTE] = route
    start_response(f"{status.value} {status.phrase}", [*headers, (REQUEST_ID_HEADER, request_id)])
    with working_for(request_id):
        record_request("GET", route, status.value, environ[BEGAN_AT])
    return [body]
