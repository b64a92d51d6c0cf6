"""Records the service's metrics, and serves them at `/metrics` in the Prometheus text format.

Names and units follow https://prometheus.io/docs/practices/naming/. Clients cannot create label values: the label
`route` is the URL rule instead of the requested path, and all unknown methods share one value.

gunicorn.conf.py enables prometheus_client's multiprocess mode, in which each process writes its values to files. A
metric without labels opens its file when the metric is defined, but the file must be opened after the fork. All metrics
defined at import time therefore have labels. Each worker defines the metrics without labels.
"""

import os
import re
from collections.abc import Iterable
from functools import cache, partial
from hmac import compare_digest
from typing import Any

import flask
import sqlalchemy as sa
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import Collector

from bookings_api.errors import Unauthenticated

_registry = CollectorRegistry()

# Route labels for responses to unknown URLs, and for errors that gunicorn itself sends.
NO_ROUTE, GUNICORN = "(no route)", "(gunicorn)"

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
_OTHER_METHOD = "(other)"
# Matches the parameters of URL rules, such as `<uuid:event_id>`.
_CONVERTER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")

# In seconds. Cached responses take less than a millisecond, bookings tens of milliseconds, and logins hundreds of
# milliseconds. Timeouts for PostgreSQL are between 2 and 17 s.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 20)

_requests = Counter(
    "http_requests_total", "Responses sent.", ["method", "route", "status"], registry=_registry
)  # fmt: skip
_seconds = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the end of its response.",
    ["method", "route"],
    buckets=_BUCKETS,
    registry=_registry,
)
_bookings = Counter("bookings_total", "Booking requests by outcome.", ["outcome"], registry=_registry)
_database_failures = Counter(
    "database_failures_total", "Requests that failed because PostgreSQL was unavailable.", ["error"], registry=_registry
)


def init_metrics(app: flask.Flask, collectors: Iterable[Collector]) -> None:
    """Add `GET /metrics` if `METRICS_TOKEN` is set. Scrapers must send this token.

    The response also contains the metrics of `collectors`.
    """
    token: str | None = app.config["METRICS_TOKEN"]
    if not token:
        return
    collected = CollectorRegistry()
    for collector in collectors:
        collected.register(collector)
    expected = f"Bearer {token}".encode()

    @app.get("/metrics")
    def metrics() -> flask.Response:
        if not compare_digest(flask.request.headers.get("Authorization", "").encode(), expected):
            raise Unauthenticated("Send the METRICS_TOKEN as a bearer token.")
        text = generate_latest(_metrics_of_all_processes()) + generate_latest(collected)
        return flask.Response(text, content_type=CONTENT_TYPE_LATEST)


def _metrics_of_all_processes() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return _registry
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus_client's
    return registry


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a response and its duration. `route` is the matching URL rule, or None."""
    if method not in _METHODS:
        method = _OTHER_METHOD
    _requests_with(method, route, status).inc()
    _seconds_of(method, route).observe(seconds)


def count_gunicorn_error(status: int) -> None:
    """Count an error response that gunicorn itself sends. Its duration is unknown."""
    _requests.labels(_OTHER_METHOD, GUNICORN, str(status)).inc()


def count_booking(outcome: str) -> None:
    """Count a booking request. `outcome` is `confirmed`, `replayed` or a problem code."""
    _bookings.labels(outcome).inc()


def count_database_failure(error: Exception) -> None:
    """Count a request that failed with 503. The label is the class name of the SQLAlchemy error."""
    _database_failures.labels(type(error).__name__).inc()


def create_initial_series() -> None:
    """Create the series that alerts use, with the value 0. In a series that starts at 1, `rate()` sees no increase."""
    for error in ("OperationalError", "TimeoutError"):
        _database_failures.labels(error)
    _bookings.labels("confirmed")


def watch_pool(engine: sa.Engine) -> None:
    """Define gauges for the connection pool, and update the gauges at every checkout and checkin."""
    gauge = partial(Gauge, registry=_registry, multiprocess_mode="livesum")
    limit = gauge("database_pool_limit", "Maximum number of connections in the pool.")
    limit.set(engine.pool.size())  # type: ignore[attr-defined] # QueuePool has it
    connections = gauge("database_pool_connections", "Connections in the pool by state.", ["state"])
    in_use, idle = connections.labels("in_use"), connections.labels("idle")

    def update(returning: int, *_: object) -> None:
        pool: Any = engine.pool  # a QueuePool
        available = pool.checkedin() + returning
        in_use.set(pool.size() + pool.overflow() - available)
        idle.set(available)

    sa.event.listen(engine, "checkout", partial(update, 0))
    # SQLAlchemy sends this event just before it returns the connection
    sa.event.listen(engine, "checkin", partial(update, 1))


def route_label(route: str | None) -> str:
    """Convert a URL rule to OpenAPI notation: `<uuid:event_id>` becomes `{event_id}`."""
    return NO_ROUTE if route is None else _CONVERTER.sub(r"{\1}", route)


# Cached, because finding a series by its labels takes as long as incrementing it.
@cache
def _requests_with(method: str, route: str | None, status: int) -> Counter:
    return _requests.labels(method, route_label(route), str(status))


@cache
def _seconds_of(method: str, route: str | None) -> Histogram:
    return _seconds.labels(method, route_label(route))
