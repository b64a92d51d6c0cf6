"""Structured logs: one line for each request, which is counted with it, and its id wherever its work goes on.

A line never holds a body, a header, a query string or a mail; SQL parameters are hidden by the engine.
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
# What the WSGI environment holds: when the request came, by time.perf_counter(), and the rule that it matched.
BEGAN_AT, ROUTE = "bookings_api.began_at", "bookings_api.route"

# What a proxy or a client may give as id: nothing that could break a log line or a header.
_ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

# Asked every few seconds, and of interest to nobody unless something is wrong, which has a line of its own.
QUIET_ROUTES = "/health/"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# What every record has.
_NO_FACTS = frozenset(RESERVED_ATTRS)

access_logger = logging.getLogger("bookings_api.access")


def current_request_id() -> str | None:
    """The id of the request that this work is done for, also inside a Celery task; None outside of any."""
    return _request_id.get()


def request_id_for(given: str) -> str:
    """The id of a new request: the one that it brings, if that is one, or a random one."""
    return given if _ACCEPTED_REQUEST_ID.fullmatch(given) else token_hex(16)


@contextmanager
def working_for(request_id: str | None) -> Iterator[None]:
    """Log, and publish tasks, on behalf of the request of that id."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


class TextFormatter(logging.Formatter):
    """Lines for a person at a terminal: `12:03:01 INFO    POST /api/v1/bookings/ 201 14 ms`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")


class RecordFormatter(OrjsonFormatter):
    """JSON lines with `time` (UTC, ISO 8601), `level`, `logger`, `message`, `request_id` and the line's own payload."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """What each line has; the library would look for the name of each of them anew."""
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.message
        log_data["request_id"] = current_request_id()
        log_data |= message_dict
        log_data |= {name: value for name, value in vars(record).items() if name not in _NO_FACTS}
        log_data["time"] = datetime.fromtimestamp(record.created, UTC)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        try:
            return super().jsonify_log_record(log_data)
        except TypeError:  # orjson writes no half of a surrogate pair, and no integer of more than 64 bits
            return json.dumps(log_data, default=str)


def logging_config(log_format: str, level: str) -> dict[str, Any]:
    """A `logging.config` dictionary for every process of the service; `log_format` is `json` or `text`."""
    formatter = TextFormatter if log_format == "text" else RecordFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # what these say at INFO is our own line said again, or nothing new every few seconds
            "celery.beat": {"level": "WARNING"},
            "celery.worker.consumer.connection": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "alembic.runtime.plugins": {"level": "WARNING"},
        },
    }


def init_logging(app: flask.Flask) -> None:
    """Configure logging from `LOG_FORMAT` and `LOG_LEVEL`, and log and count each request once."""
    logging.config.dictConfig(logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"]))
    logging.captureWarnings(capture=True)
    # what no line tells need not be found out for each: Python's Logging HOWTO, "Optimization"
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as that page has it
    app.before_request(_begin_request)
    app.after_request(_record_answer)
    app.teardown_request(_end_request)


def _begin_request() -> None:
    _request_id.set(request_id_for(flask.request.headers.get(REQUEST_ID_HEADER, "")))


def _end_request(error: BaseException | None) -> None:
    """What the thread logs from now on is no work for that request."""
    _request_id.set(None)


def _record_answer(response: flask.Response) -> flask.Response:
    request, request_id = flask.request, current_request_id()
    response.headers.add(REQUEST_ID_HEADER, request_id or "")
    route = request.environ[ROUTE] = request.url_rule.rule if request.url_rule else None
    began_at, user_id = request.environ[BEGAN_AT], flask.g.get("user_id")
    record = partial(record_request, request.method, route, response.status_code, began_at, user_id=user_id)
    if response.is_streamed and not response.direct_passthrough:
        response.call_on_close(partial(_record_for, request_id, record))  # the request is over by then
    else:
        record()
    return response


def _record_for(request_id: str | None, record: Callable[[], None]) -> None:
    with working_for(request_id):
        record()


def record_request(method: str, route: str | None, status: int, began_at: float, *, user_id: str | None = None) -> None:
    """Log the one line that each request has, and count it."""
    seconds = time.perf_counter() - began_at
    metrics.count_request(method, route, status, seconds)
    milliseconds = round(seconds * 1000, 1)
    access_logger.log(
        logging.DEBUG if route and route.startswith(QUIET_ROUTES) else logging.INFO,
        "%s %s %d %s ms",
        method,
        route or "(no route)",
        status,
        milliseconds,
        extra={
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": milliseconds,
            "user_id": user_id,
        },
    )
