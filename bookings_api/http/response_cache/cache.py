"""Caches responses to anonymous reads of events. Cached responses are sent without calling Flask.

A page of a list is reused for at most `PAGE_SECONDS`, and only while `EventCatalog.version` stays the same. Lists
therefore show new and changed events immediately, but their ticket counts may be up to `PAGE_SECONDS` old. The version
is read before the page, so the page contains all changes up to that version. The time limit is necessary because the
version does not change when an event ends, and may repeat after a failover.

For a single event, only the response headers are reused. The event is read again for each request, or once for several
concurrent requests, so the response is always current.
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
from bookings_api.http.response_cache.single_flight import SingleFlightReads
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import EventCatalog
from bookings_api.observability.logging import (
    REQUEST_ID_HEADER,
    ROUTE,
    STARTED_AT,
    bound_request_id,
    record_request,
    request_id_for,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PAGE_SECONDS = 1
# The limit per process. The oldest responses are dropped first.
MAX_RESPONSES = 256
MAX_BYTES = 64 * 1024

View = TypeVar("View", bound=Callable[..., Any])
Headers = list[tuple[str, str]]

_EXTENSION = "response_cache"
# Keys in the WSGI environment: the error that prevented a revalidation, and the policy for the view's response.
_FAILURE, _POLICY = "bookings_api.failure", "bookings_api.cache_policy"

_VERSION = Prepared("event_catalog_version", sa.select(sa.func.coalesce(sa.func.max(EventCatalog.version), 0)))


class _Response(NamedTuple):
    headers: Headers
    body: bytes
    etag: str | None = None


class _Policy(NamedTuple):
    """How to reuse a response. `revalidate` returns the current response, or None if the view must run again.

    The request that replaces an outdated page holds the lock `renewal`. Other requests for that page wait for the lock
    for at most `PAGE_SECONDS`.
    """

    revalidate: Callable[[_Response], _Response | None]
    renewal: "threading.Lock | None" = None


class _Cached(NamedTuple):
    response: _Response
    route: str
    policy: _Policy


def cached_page(view: View) -> View:
    """Cache the pages of a list of events for anonymous clients."""

    @wraps(view)
    def caching(*args: Any, **kwargs: Any) -> Any:
        if _may_cache():
            shared_read = flask.current_app.extensions[_EXTENSION]
            read_at, version = time.monotonic(), shared_read(_VERSION.on)

            def revalidate(page: _Response) -> _Response | None:
                is_recent = time.monotonic() - read_at < PAGE_SECONDS
                return page if is_recent and shared_read(_VERSION.on) == version else None

            flask.request.environ[_POLICY] = _Policy(revalidate, threading.Lock())
        return view(*args, **kwargs)

    return caching  # type: ignore[return-value] # wraps() keeps the signature


def cached_resource(read: Callable[..., Versioned | None], schema: type[ResponseSchema]) -> Callable[[View], View]:
    """Let anonymous clients share concurrent reads of a resource.

    `read` gets a connection and the view's arguments, and returns the resource, or None if anonymous clients cannot see
    the resource.
    """
    dump = schema().dump

    def represent(connection: sa.Connection, **arguments: Any) -> tuple[str, bytes] | None:
        resource = read(connection, **arguments)
        return None if resource is None else (etag_of(resource), json_body(dump(resource)))

    def decorate(view: View) -> View:
        @wraps(view)
        def caching(**arguments: Any) -> Any:
            if _may_cache():
                shared_read, read_now = flask.current_app.extensions[_EXTENSION], partial(represent, **arguments)

                def revalidate(cached: _Response) -> _Response | None:
                    if (found := shared_read(read_now)) is None:
                        return None
                    etag, body = found
                    headers = [
                        (name, value) for name, value in cached.headers if name not in {"ETag", "Content-Length"}
                    ]
                    headers += ("ETag", quote_etag(etag)), ("Content-Length", str(len(body)))
                    return _Response(headers, body, etag)

                flask.request.environ[_POLICY] = _Policy(revalidate)
            return view(**arguments)

        return caching  # type: ignore[return-value] # as above

    return decorate


class ResponseCache:
    """WSGI middleware (PEP 3333) that caches responses of views with `cached_page` or `cached_resource`."""

    def __init__(self, app: flask.Flask) -> None:
        self._application: WSGIApplication = app.wsgi_app
        app.extensions[_EXTENSION] = SingleFlightReads(app)
        self._responses: dict[tuple[str, ...], _Cached] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[STARTED_AT] = time.perf_counter()
        key = _cache_key(environ)
        if key is None:
            return self._application(environ, start_response)
        cached = self._responses.get(key)
        if (sent := _send_if_fresh(cached, environ, start_response)) is not None:
            return sent
        renewal = cached.policy.renewal if cached and _FAILURE not in environ else None
        if renewal is None:
            return self._forward(key, environ, start_response)
        is_acquired = renewal.acquire(timeout=PAGE_SECONDS)
        try:
            cached = self._responses.get(key)
            return _send_if_fresh(cached, environ, start_response) or self._forward(key, environ, start_response)
        finally:
            if is_acquired:
                renewal.release()

    def _forward(
        self, key: tuple[str, ...], environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        started: list[Any] = []

        def start(status: str, headers: Headers, *error: Any) -> Callable[[bytes], object]:
            started[:] = status, headers
            return start_response(status, headers, *error)

        parts = self._application(environ, start)
        policy = environ.get(_POLICY)
        if policy is None or not started[0].startswith(f"{HTTPStatus.OK.value} "):
            return parts
        body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()
        if len(body) <= MAX_BYTES:
            headers = [(name, value) for name, value in started[1] if name != REQUEST_ID_HEADER]
            self._store(key, _Cached(_Response(headers, body), environ[ROUTE], policy))
        return [body]

    def _store(self, key: tuple[str, ...], cached: _Cached) -> None:
        with self._lock:
            self._responses.pop(key, None)  # moves the key to the end of the dictionary
            self._responses[key] = cached
            if len(self._responses) > MAX_RESPONSES:
                del self._responses[next(iter(self._responses))]


def init_response_cache(app: flask.Flask) -> None:
    """Add the cache to the application. Call `init_proxies` afterwards, so that the proxy middleware runs first."""
    app.wsgi_app = ResponseCache(app)  # type: ignore[method-assign] # as Flask documents it


def _may_cache() -> bool:
    """Whether the response may be cached. If a database error prevented its revalidation, raises that error."""
    environ = flask.request.environ
    if _FAILURE in environ:
        raise environ[_FAILURE]
    return _cache_key(environ) is not None


def _cache_key(environ: "WSGIEnvironment") -> tuple[str, ...] | None:
    """Return the cache key of an anonymous GET request, or None for any other request."""
    if environ["REQUEST_METHOD"] != "GET" or "HTTP_AUTHORIZATION" in environ:
        return None
    path, query, origin = environ["PATH_INFO"], environ.get("QUERY_STRING", ""), environ.get("HTTP_ORIGIN", "")
    return path, query, environ["wsgi.url_scheme"], origin


def _send_if_fresh(
    cached: _Cached | None, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes] | None:
    try:
        current = cached and cached.policy.revalidate(cached.response)
    except SQLAlchemyError as error:
        environ[_FAILURE] = error  # the view raises this error instead of waiting for the database again
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
    with bound_request_id(request_id):
        record_request("GET", cached.route, status.value, environ[STARTED_AT])
    return [body]
