"""Errors as the client sees them: RFC 9457 `application/problem+json`.

`DOMAIN_PROBLEMS` is the one place that knows which status code a fact of `bookings_api.errors` has over HTTP.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import flask
import marshmallow as ma

from bookings_api import errors
from bookings_api.http.schemas import ResponseSchema

PROBLEM_CONTENT_TYPE = "application/problem+json"


class ErrorLocation(StrEnum):
    """The parts of a request; `body` stands for JSON and forms."""

    BODY = "body"
    QUERY = "query"
    HEADER = "header"


@dataclass(frozen=True)
class Problem:
    """One kind of problem: its HTTP status, its stable `code`, its title, and the body field at fault, if any."""

    status: HTTPStatus
    code: str
    title: str
    field: str | None = None

    @property
    def type(self) -> str:
        """The problem type URI; a name, not an address."""
        return f"urn:problem-type:{self.code}"


UNAUTHENTICATED = Problem(HTTPStatus.UNAUTHORIZED, "unauthenticated", "A valid token is needed")
INVALID_INPUT = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "The request has invalid values")
INTERNAL_ERROR = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "Something went wrong on our side")
UNAVAILABLE = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "The service is temporarily unavailable")

# What there is to say of the two.
IS_LOGGED = "The error is logged under the id in the X-Request-ID header."
NO_ANSWER = "A server behind this one does not answer. Please try again."

DOMAIN_PROBLEMS: dict[type[errors.BookingError], Problem] = {
    errors.Unauthenticated: UNAUTHENTICATED,
    errors.LoginChanged: UNAUTHENTICATED,
    errors.InvalidCredentials: Problem(HTTPStatus.UNAUTHORIZED, "invalid-credentials", "Wrong e-mail or password"),
    errors.InvalidGrant: Problem(HTTPStatus.BAD_REQUEST, "invalid-credentials", "Wrong e-mail or password"),
    errors.NotAllowed: Problem(HTTPStatus.FORBIDDEN, "not-allowed", "This account may not do that"),
    errors.UserNotFound: Problem(HTTPStatus.NOT_FOUND, "user-not-found", "No such account"),
    errors.EventNotFound: Problem(HTTPStatus.NOT_FOUND, "event-not-found", "No such event"),
    errors.BookingNotFound: Problem(HTTPStatus.NOT_FOUND, "booking-not-found", "No such booking"),
    errors.InvalidFields: INVALID_INPUT,
    errors.InvalidToken: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-token", "The token is not valid", field="token"
    ),
    errors.WrongPassword: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-password", "Not the present password", field="current_password"
    ),
    errors.EmailTaken: Problem(HTTPStatus.CONFLICT, "email-taken", "E-mail address already in use", field="email"),
    errors.LastOrganizer: Problem(HTTPStatus.CONFLICT, "last-organizer", "No organizer would be left"),
    errors.StaleVersion: Problem(HTTPStatus.PRECONDITION_FAILED, "stale-version", "There is a newer version"),
    errors.EventStarted: Problem(HTTPStatus.CONFLICT, "event-started", "The event has started"),
    errors.EventNotPublished: Problem(HTTPStatus.CONFLICT, "event-not-published", "The event is a draft"),
    errors.EventCancelled: Problem(HTTPStatus.CONFLICT, "event-cancelled", "The event is cancelled"),
    errors.BookingCancelled: Problem(HTTPStatus.CONFLICT, "booking-cancelled", "The booking is cancelled"),
    errors.CapacityBelowBooked: Problem(
        HTTPStatus.CONFLICT, "capacity-below-booked", "More tickets are booked", field="capacity"
    ),
    errors.RequestInFlight: Problem(HTTPStatus.CONFLICT, "request-in-flight", "The request is being worked on"),
    errors.IdempotencyKeyReused: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Another request had this idempotency key"
    ),
    errors.EventNotOpen: Problem(HTTPStatus.CONFLICT, "event-not-open", "The event takes no bookings now"),
    errors.SoldOut: Problem(HTTPStatus.CONFLICT, "sold-out", "Not enough tickets left"),
    errors.TooManyTickets: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "too-many-tickets", "Too many tickets for one booking", field="ticket_count"
    ),
}


# Python 3.13 has other phrases for these; a code stays what it is.
_PHRASES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "Request-URI Too Long",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Requested Range Not Satisfiable",
}


def problem_for_status(status: HTTPStatus) -> Problem:
    """The problem that says no more than the HTTP status does, for example `not-found`."""
    phrase = _PHRASES.get(status, status.phrase)
    return Problem(status, phrase.lower().replace(" ", "-"), phrase)


BAD_REQUEST = problem_for_status(HTTPStatus.BAD_REQUEST)
NOT_FOUND = problem_for_status(HTTPStatus.NOT_FOUND)
CONTENT_TOO_LARGE = problem_for_status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
UNSUPPORTED_MEDIA_TYPE = problem_for_status(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
HTTP_VERSION_NOT_SUPPORTED = problem_for_status(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
TOO_MANY_REQUESTS = problem_for_status(HTTPStatus.TOO_MANY_REQUESTS)


def problem_body(
    problem: Problem, detail: str, field_errors: list[dict[str, str]] | None = None, **extensions: Any
) -> dict[str, Any]:
    """The members of `problem`; `extensions` become extension members (RFC 9457, section 3.2)."""
    body = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status.value,
        "detail": detail,
        "code": problem.code,
    }
    return body | ({"errors": field_errors} if field_errors else {}) | extensions


def problem_response(
    problem: Problem, detail: str, field_errors: list[dict[str, str]] | None = None, **extensions: Any
) -> flask.Response:
    """The response for `problem`, with the members of `problem_body`."""
    flask.g.problem_code = problem.code
    response = flask.jsonify(problem_body(problem, detail, field_errors, **extensions))
    response.status_code = problem.status.value
    response.content_type = PROBLEM_CONTENT_TYPE
    if problem.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def problem_code() -> str | None:
    """The code of the problem that the request is answered with; None of an answer that is none."""
    code: str | None = flask.g.get("problem_code")
    return code


def field_errors_of(error: errors.BookingError) -> list[dict[str, str]]:
    """The fields of the body that a domain error is about."""
    problem = DOMAIN_PROBLEMS[type(error)]
    fields = {problem.field: str(error)} if problem.field else getattr(error, "fields", {})
    return [field_error(ErrorLocation.BODY, field, sentence) for field, sentence in fields.items()]


def field_error(location: str, field: str, detail: str) -> dict[str, str]:
    """One entry of `errors`: where the field stands, its path with dots, and what is wrong with it."""
    return {"in": location, "field": field, "detail": detail}


class FieldErrorSchema(ResponseSchema):
    """One bad field."""

    location = ma.fields.Enum(
        ErrorLocation,
        by_value=ma.fields.String,
        data_key="in",
        required=True,
        metadata={"description": "Which part of the request it stands in.", "example": ErrorLocation.BODY.value},
    )
    field = ma.fields.String(
        required=True,
        metadata={
            "description": "Path of the field, with dots; empty: the whole part.",
            "example": "ticket_count",
        },
    )
    detail = ma.fields.String(
        required=True,
        metadata={"description": "What is wrong, for people.", "example": "Must be greater than or equal to 1."},
    )


class ProblemSchema(ResponseSchema):
    """An error, as RFC 9457 has it; some kinds add members of their own, such as `tickets_available`."""

    type = ma.fields.String(
        required=True,
        metadata={
            "format": "uri",
            "description": "The kind of problem as a URI: a name, not an address.",
            "example": "urn:problem-type:sold-out",
        },
    )
    title = ma.fields.String(
        required=True,
        metadata={"description": "What kind it is, in words.", "example": "Not enough tickets left"},
    )
    status = ma.fields.Integer(required=True, metadata={"description": "The HTTP status.", "example": 409})
    detail = ma.fields.String(
        required=True, metadata={"description": "This one, for people.", "example": "Only 1 ticket is left."}
    )
    code = ma.fields.String(
        required=True,
        metadata={
            "description": "The kind, for programs: it stays what it is. Each response lists its codes.",
            "example": "sold-out",
        },
    )
    errors = ma.fields.List(
        ma.fields.Nested(FieldErrorSchema), metadata={"description": "Every bad field, where fields are at fault."}
    )
