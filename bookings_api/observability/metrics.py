"""What each process counts, for Prometheus; `metrics` shows it.

Names and units follow https://prometheus.io/docs/practices/naming/. No label takes what a client invents: routes are
those of the URL map, methods those of HTTP.

A process counts in its own memory. Those of one gunicorn count in files of a directory that they share, so that any of
them can add all up (`share`). The library opens a file with the first value of a metric, and one without labels has a
value as soon as it is made: so those made here have labels, and each process makes those of its pool itself.
"""

import logging
import os
import re
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values

# The library's own setting: where `values` of several processes lie.
SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

logger = logging.getLogger(__name__)

_registry = CollectorRegistry()

# What never reached a route: addresses that nobody knows, and what gunicorn answered itself.
NO_ROUTE, GUNICORN = "(no route)", "(gunicorn)"

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
_OTHER_METHOD = "(other)"
# `<uuid:event_id>` of the URL map, which OpenAPI writes `{event_id}`
_CONVERTER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")

# Seconds. Kept answers take parts of a millisecond, bookings tens, a login hundreds; 2, 6, 7, 15 and 17 are where
# requests give up on PostgreSQL (`database`).
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 20)

# Bytes of each file; a method of a route takes less than 4 KiB.
_ROOM = 256 * 1024

_requests = Counter(
    "http_requests_total", "Requests answered.", ["method", "route", "status"], registry=_registry
)  # fmt: skip
_seconds = Histogram(
    "http_request_duration_seconds",
    "From the request to its answer, to the end of it if it is streamed.",
    ["method", "route"],
    buckets=_BUCKETS,
    registry=_registry,
)
_bookings = Counter("bookings_total", "Orders of tickets, by what became of them.", ["outcome"], registry=_registry)
_database_failures = Counter(
    "database_failures_total", "Requests that PostgreSQL could not serve.", ["error"], registry=_registry
)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count one answer; `route` is the rule of the URL map, None for what matched none."""
    if method not in _METHODS:
        method = _OTHER_METHOD
    _requests_with(method, route, status).inc()
    _seconds_of(method, route).observe(seconds)


def count_answer_of_gunicorn(status: int) -> None:
    """Count what was no request, or whose answer failed; how long it took nobody knows."""
    _requests.labels(_OTHER_METHOD, GUNICORN, str(status)).inc()


def count_booking(outcome: str) -> None:
    """Count an order: `confirmed`, `replayed`, or the code of the problem that it met."""
    _bookings.labels(outcome).inc()


def count_database_failure(error: Exception) -> None:
    """Count a request that is answered 503, by the class of SQLAlchemy's error."""
    _database_failures.labels(type(error).__name__).inc()


def share(directory: Path, process: int) -> None:
    """Count in files of `directory` from now on, under a number that no other living process has.

    A process that gets the number of a dead one goes on with its counts. A directory that somebody has removed is made
    anew; where that cannot be, the process counts for itself: figures are no reason to refuse service.
    """
    os.environ[SHARED_DIRECTORY] = str(directory)
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        _reserve(directory, process)
        _begin()
    except OSError:
        logger.exception("metrics of one process alone: there is no directory to count in, until gunicorn is restarted")
        del os.environ[SHARED_DIRECTORY]
        values.ValueClass = values.MutexValue


def _reserve(directory: Path, process: int) -> None:
    """Take the room of the library's files: to write where none is left would end the process (SIGBUS, mmap(2))."""
    for kind in ("counter", "histogram", "gauge_livesum"):
        with (directory / f"{kind}_{process}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, _ROOM)


def _begin() -> None:
    """Open the files before a request would, which must not fail with them.

    And have what alerts ask for from the start: of a series that begins with 1 `rate()` sees no increase.
    """
    for error in ("OperationalError", "TimeoutError"):
        _database_failures.labels(error)
    _bookings.labels("confirmed")
    _seconds.labels("GET", NO_ROUTE)


def counted() -> CollectorRegistry:
    """What all processes have counted that share a directory, or this one alone, also if that directory is gone."""
    directory = os.environ.get(SHARED_DIRECTORY)
    if directory is None:
        return _registry
    if not Path(directory).is_dir():
        logger.error("metrics of one process alone: the directory of the counts is gone, until gunicorn is restarted")
        return _registry
    everybody = CollectorRegistry()
    multiprocess.MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
    return everybody


def forget(directory: Path, process: int) -> None:
    """What a process that has died had in use is in use no more; what it counted stays."""
    multiprocess.mark_process_dead(process, str(directory))  # type: ignore[no-untyped-call]


def watch_pool(engine: sa.Engine) -> None:
    """Tell how many connections are in use and idle, whenever one is taken or given back."""
    limit = Gauge(
        "database_pool_limit",
        "The most connections that there may be.",
        registry=_registry,
        multiprocess_mode="livesum",
    )
    limit.set(engine.pool.size())  # type: ignore[attr-defined] # of QueuePool, as the next ones
    connections = Gauge(
        "database_pool_connections",
        "Connections to PostgreSQL.",
        ["state"],
        registry=_registry,
        multiprocess_mode="livesum",
    )
    in_use, idle = connections.labels("in_use"), connections.labels("idle")

    def taken(*_: object) -> None:
        in_use.set(engine.pool.checkedout())  # type: ignore[attr-defined]
        idle.set(engine.pool.checkedin())  # type: ignore[attr-defined]

    def given_back(*_: object) -> None:
        # SQLAlchemy says so a moment before
        in_use.set(engine.pool.checkedout() - 1)  # type: ignore[attr-defined]
        idle.set(engine.pool.checkedin() + 1)  # type: ignore[attr-defined]

    sa.event.listen(engine, "checkout", taken)
    sa.event.listen(engine, "checkin", given_back)


def route_label(route: str | None) -> str:
    """A rule of the URL map as OpenAPI writes it, `/api/v1/events/{event_id}`."""
    return NO_ROUTE if route is None else _CONVERTER.sub(r"{\1}", route)


# The library looks a child up by its labels anew each time, which takes as long as to count.
@cache
def _requests_with(method: str, route: str | None, status: int) -> Counter:
    return _requests.labels(method, route_label(route), str(status))


@cache
def _seconds_of(method: str, route: str | None) -> Histogram:
    return _seconds.labels(method, route_label(route))
