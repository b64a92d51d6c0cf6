"""Structured logs with request IDs, and a line in the access log for each request.

Log lines contain no request bodies, query strings, email addresses or SQL parameters, and no headers except the request
ID.
"""

import json
import logging
import logging.config
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any

import flask
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from bookings_api.observability import metrics

REQUEST_ID_HEADER = "X-Request-ID"
# Keys in the WSGI environment: the time of arrival, by time.perf_counter(), and the matching URL rule.
STARTED_AT, ROUTE = "bookings_api.started_at", "bookings_api.route"

# The form of request IDs that are accepted from proxies and clients. These IDs cannot break a log line or a header.
_ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

# The prefix of routes that are logged at DEBUG, because load balancers poll them. Failed checks are logged separately.
QUIET_ROUTES = "/health/"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Attributes that every record has. Other attributes were passed as `extra`.
_STANDARD_ATTRIBUTES = frozenset(RESERVED_ATTRS)

# Loggers that, at INFO, repeat our log lines or report routine work every few seconds.
_REPETITIVE_LOGGERS = (
    "celery.beat", "celery.worker.consumer.connection", "celery.worker.strategy", "celery.app.trace",
    "alembic.runtime.plugins",
)  # fmt: skip

access_logger = logging.getLogger("bookings_api.access")


def current_request_id() -> str | None:
    """Return the ID of the current request, or of the request that caused the current task or email, if any."""
    return _request_id.get()


def request_id_for(given: str) -> str:
    """Return the given request ID if it is valid, otherwise a random request ID."""
    return given if _ACCEPTED_REQUEST_ID.fullmatch(given) else token_hex(16)


@contextmanager
def bound_request_id(request_id: str | None) -> Iterator[None]:
    """Use this request ID in the block's log lines, tasks and emails."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


class RecordFormatter(OrjsonFormatter):
    """JSON lines with `time` (UTC, ISO 8601), `level`, `logger`, `message`, `request_id` and the `extra` fields."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Add the fields of a record. The library's method is slower, because it looks up fields by name."""
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.message
        log_data["request_id"] = current_request_id()
        log_data |= message_dict
        log_data |= {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
        log_data["time"] = datetime.fromtimestamp(record.created, UTC)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        try:
            return super().jsonify_log_record(log_data)
        except TypeError:  # orjson rejects lone surrogates and integers of more than 64 bits
            return json.dumps(log_data, default=str)


def logging_config(log_format: str, level: str) -> dict[str, Any]:
    """Return the `logging.config` dictionary for all processes. `log_format` is `json` or `text`."""
    text = {"format": "%(asctime)s %(levelname)-7s %(message)s", "datefmt": "%H:%M:%S"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": text if log_format == "text" else {"()": RecordFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in _REPETITIVE_LOGGERS},
    }


def init_logging(app: flask.Flask) -> None:
    """Configure logging, and have each request logged and counted in the metrics."""
    logging.config.dictConfig(logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"]))
    logging.captureWarnings(capture=True)
    # collects only the data that log lines contain; see "Optimization" in Python's Logging HOWTO
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as documented there
    app.before_request(_begin_request)
    app.after_request(_record_response)
    app.teardown_request(_end_request)


def _begin_request() -> None:
    _request_id.set(request_id_for(flask.request.headers.get(REQUEST_ID_HEADER, "")))


def _end_request(error: BaseException | None) -> None:
    """Reset the request ID, because the thread may continue with other work."""
    _request_id.set(None)


def _record_response(response: flask.Response) -> flask.Response:
    request, request_id = flask.request, current_request_id()
    response.headers.add(REQUEST_ID_HEADER, request_id or "")
    route = request.environ[ROUTE] = request.url_rule.rule if request.url_rule else None
    record = partial(
        record_request,
        request.method,
        route,
        response.status_code,
        request.environ[STARTED_AT],
        user_id=flask.g.get("user_id"),
        api_key=flask.g.get("key_hint"),
    )
    if response.is_streamed and not response.direct_passthrough:
        response.call_on_close(partial(_record_for, request_id, record))  # called after the request has ended
    else:
        record()
    return response


def _record_for(request_id: str | None, record: Callable[[], None]) -> None:
    with bound_request_id(request_id):
        record()


def record_request(
    method: str,
    route: str | None,
    status: int,
    started_at: float,
    *,
    user_id: str | None = None,
    api_key: str | None = None,
) -> None:
    """Write a request's line in the access log, and count its response. `api_key` is the `hint` of an API key."""
    seconds = time.perf_counter() - started_at
    metrics.count_request(method, route, status, seconds)
    milliseconds = round(seconds * 1000, 1)
    level = logging.DEBUG if route and route.startswith(QUIET_ROUTES) else logging.INFO
    fields = {"method": method, "route": route, "status": status, "duration_ms": milliseconds, "user_id": user_id}
    if api_key:
        fields["api_key"] = api_key
    access_logger.log(level, "%s %s %d %s ms", method, route or "(no route)", status, milliseconds, extra=fields)
