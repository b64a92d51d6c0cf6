"""Caches responses to anonymous reads, and sends them before Flask is involved.

A page of a list is reused for at most `PAGE_SECONDS` while `EventCatalog.version` stays the same. Lists therefore show
new and changed events immediately, while their ticket counts may be that old. The version is read before the page, so
the page shows at least the changes the version counts, even if it is read from a replica (see `database.replica`).
The time limit also covers events that start, and a failover, after which a version can mean other changes.

A single event is always exact: each request reads it or shares a concurrent read. Only the headers are reused.

Responses say `Cache-Control: no-cache`, as they do without this cache, so clients see their own changes.
"""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

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
# Keys of the WSGI environment: why the database failed, and how the response may be reused.
_FAILURE, _REUSE = "bookings_api.failure", "bookings_api.reuse"

_VERSION = Prepared("event_catalog_version", sa.select(sa.func.coalesce(sa.func.max(EventCatalog.version), 0)))


class _Response(NamedTuple):
    headers: Headers
    body: bytes
    etag: str | None = None


class _Reuse(NamedTuple):
    """How a response may be reused: `current` returns what it is now, or None if it is out of date.

    While one request renews a page under `renewal`, the others wait for it.
    """

    current: Callable[[_Response], _Response | None]
    renewal: "threading.Lock | None" = None


class _Cached(NamedTuple):
    response: _Response
    route: str
    reuse: _Reuse


def cached_page(view: View) -> View:
    """Reuse a page of a list of events for anonymous clients."""

    @wraps(view)
    def caching(*args: Any, **kwargs: Any) -> Any:
        if _may_cache():
            shared = flask.current_app.extensions[_EXTENSION]
            read_at, version = time.monotonic(), shared(_VERSION.on)

            def current(page: _Response) -> _Response | None:
                is_recent = time.monotonic() - read_at < PAGE_SECONDS
                return page if is_recent and shared(_VERSION.on) == version else None

            flask.request.environ[_REUSE] = _Reuse(current, threading.Lock())
        return view(*args, **kwargs)

    return caching  # type: ignore[return-value] # wraps() keeps the signature


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
        def caching(**arguments: Any) -> Any:
            if _may_cache():
                shared, read_now = flask.current_app.extensions[_EXTENSION], partial(represent, **arguments)

                def current(first: _Response) -> _Response | None:
                    if (found := shared(read_now)) is None:
                        return None
                    etag, body = found
                    headers = [(name, value) for name, value in first.headers if name not in {"ETag", "Content-Length"}]
                    headers += ("ETag", quote_etag(etag)), ("Content-Length", str(len(body)))
                    return _Response(headers, body, etag)

                flask.request.environ[_REUSE] = _Reuse(current)
            return view(**arguments)

        return caching  # type: ignore[return-value] # as above

    return decorate


class ResponseCache:
    """WSGI middleware (PEP 3333) that caches responses of views with one of the decorators above."""

    def __init__(self, app: flask.Flask) -> None:
        self._application: WSGIApplication = app.wsgi_app
        app.extensions[_EXTENSION] = SharedReads(app)
        self._responses: dict[tuple[str, ...], _Cached] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[BEGAN_AT] = time.perf_counter()
        key = _key(environ)
        if key is None:
            return self._application(environ, start_response)
        cached = self._responses.get(key)
        if (sent := _send_if_current(cached, environ, start_response)) is not None:
            return sent
        renewal = cached.reuse.renewal if cached and _FAILURE not in environ else None
        if renewal is None:
            return self._ask(key, environ, start_response)
        is_acquired = renewal.acquire(timeout=PAGE_SECONDS)
        try:
            cached = self._responses.get(key)
            return _send_if_current(cached, environ, start_response) or self._ask(key, environ, start_response)
        finally:
            if is_acquired:
                renewal.release()

    def _ask(
        self, key: tuple[str, ...], environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        started: list[Any] = []

        def start(status: str, headers: Headers, *error: Any) -> Callable[[bytes], object]:
            started[:] = status, headers
            return start_response(status, headers, *error)

        parts = self._application(environ, start)
        reuse = environ.get(_REUSE)
        if reuse is None or not started[0].startswith(f"{HTTPStatus.OK.value} "):
            return parts
        body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()
        if len(body) <= MAX_BYTES:
            headers = [(name, value) for name, value in started[1] if name != REQUEST_ID_HEADER]
            self._store(key, _Cached(_Response(headers, body), environ[ROUTE], reuse))
        return [body]

    def _store(self, key: tuple[str, ...], cached: _Cached) -> None:
        with self._lock:
            self._responses.pop(key, None)  # makes the new one the latest in the dictionary
            self._responses[key] = cached
            if len(self._responses) > MAX_RESPONSES:
                del self._responses[next(iter(self._responses))]


def init_response_cache(app: flask.Flask) -> None:
    """Put the cache in front of the application, but behind the middleware that finds the client's address."""
    app.wsgi_app = ResponseCache(app)  # type: ignore[method-assign]


def _may_cache() -> bool:
    """Whether the response to this request may be cached. Raises the error the cache got from the database."""
    environ = flask.request.environ
    if _FAILURE in environ:
        raise environ[_FAILURE]
    return _key(environ) is not None


def _key(environ: "WSGIEnvironment") -> tuple[str, ...] | None:
    """Everything a response depends on, headers included; None if the request is no anonymous read."""
    if environ["REQUEST_METHOD"] != "GET" or "HTTP_AUTHORIZATION" in environ:
        return None
    path, query, origin = environ["PATH_INFO"], environ.get("QUERY_STRING", ""), environ.get("HTTP_ORIGIN", "")
    return path, query, environ["wsgi.url_scheme"], origin


def _send_if_current(
    cached: _Cached | None, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes] | None:
    try:
        current = cached and cached.reuse.current(cached.response)
    except SQLAlchemyError as error:
        environ[_FAILURE] = error  # raised by the view, which need not wait for the database again
        return None
    if cached is None or current is None:
        return None
    request_id = request_id_for(environ.get("HTTP_X_REQUEST_ID", ""))
    status, (headers, body, etag) = HTTPStatus.OK, current
    known = environ.get("HTTP_IF_NONE_MATCH")
    if known and etag and parse_etags(known).contains_weak(etag):
        status, body = HTTPStatus.NOT_MODIFIED, b""
        headers = [(name, value) for name, value in headers if name not in {"Content-Type", "Content-Length"}]
    environ[ROUTE] = cached.route
    start_response(f"{status.value} {status.phrase}", [*headers, (REQUEST_ID_HEADER, request_id)])
    with working_for(request_id):
        record_request("GET", cached.route, status.value, environ[BEGAN_AT])
    return [body]
