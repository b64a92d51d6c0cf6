"""Error handlers that turn every exception raised by a view into a problem response."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import flask
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from bookings_api.database.engine import READ_ONLY
from bookings_api.database.timeouts import RETRY_AFTER_SECONDS
from bookings_api.errors import DomainError
from bookings_api.http.problems import (
    DOMAIN_PROBLEMS,
    INTERNAL_ERROR,
    INTERNAL_ERROR_DETAIL,
    INVALID_INPUT,
    UNAVAILABLE,
    UNAVAILABLE_DETAIL,
    ErrorLocation,
    field_error,
    field_errors_of,
    problem_for_status,
    problem_response,
)
from bookings_api.observability import metrics

logger = logging.getLogger(__name__)

# SQLSTATEs of transient errors that are not `OperationalError`. 25P03 is idle_in_transaction_session_timeout.
_TRANSIENT_STATES = {READ_ONLY, "25P03"}

# Maps webargs' locations to the locations in problems.
_LOCATIONS = {
    "json": ErrorLocation.BODY,
    "form": ErrorLocation.BODY,
    "query": ErrorLocation.QUERY,
    "headers": ErrorLocation.HEADER,
}


def register_error_handlers(app: flask.Flask) -> None:
    """Register handlers for domain errors, HTTP errors, an unavailable database and unexpected exceptions."""
    app.register_error_handler(DomainError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(DBAPIError, _database_error)
    app.register_error_handler(PoolTimeoutError, _unavailable)
    app.register_error_handler(Exception, _unexpected)


def _domain_error(error: DomainError) -> flask.Response:
    return problem_response(DOMAIN_PROBLEMS[type(error)], str(error), field_errors_of(error), **error.extensions)


def _http_error(error: HTTPException) -> flask.Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    messages = getattr(error, "data", {}).get("messages")
    if status is HTTPStatus.UNPROCESSABLE_ENTITY and messages:
        response = _invalid_input(messages)
    else:
        response = problem_response(problem_for_status(status), error.description or status.phrase)
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers.setdefault(name, value)  # for example Allow for 405 and Retry-After for 429
    return response


def _invalid_input(messages: dict[str, Any]) -> flask.Response:
    field_errors = [
        field_error(_LOCATIONS[location], field, detail)
        for location, by_field in messages.items()
        for field, detail in _flatten(by_field)
    ]
    detail = "; ".join(f"{entry['field'] or 'body'}: {entry['detail']}" for entry in field_errors)
    return problem_response(INVALID_INPUT, detail, field_errors)


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each error message with the dotted path of its field."""
    if isinstance(messages, dict):
        for name, below in messages.items():
            yield from _flatten(below, path if name == "_schema" else f"{path}.{name}".lstrip("."))
    else:
        for message in messages:
            yield path, message


def _database_error(error: DBAPIError) -> flask.Response:
    """Return 503 for a transient failure, such as a lost connection, a failover or a lock timeout, otherwise 500."""
    is_operational = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    code = getattr(error.orig, "pgcode", None)
    return _unavailable(error) if is_operational or code in _TRANSIENT_STATES else _unexpected(error)


def _unavailable(error: Exception) -> flask.Response:
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    logger.error("database unavailable: %s %s", type(error).__name__, code or "")
    metrics.count_database_failure(error)
    response = problem_response(UNAVAILABLE, UNAVAILABLE_DETAIL)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _unexpected(error: Exception) -> flask.Response:
    logger.error("unhandled exception", exc_info=error)
    return problem_response(INTERNAL_ERROR, INTERNAL_ERROR_DETAIL)
