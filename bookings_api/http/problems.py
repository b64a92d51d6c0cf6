"""Error responses in the format `application/problem+json` (RFC 9457).

`DOMAIN_PROBLEMS` maps each domain error to a status and a code.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import flask
import marshmallow as ma

from bookings_api import errors
from bookings_api.http.json import json_response
from bookings_api.http.schemas import ResponseSchema

PROBLEM_CONTENT_TYPE = "application/problem+json"


class ErrorLocation(StrEnum):
    """The part of the request that contains the invalid field. `body` means the JSON or form body."""

    BODY = "body"
    QUERY = "query"
    HEADER = "header"


@dataclass(frozen=True)
class Problem:
    """A type of problem with a stable `code`. `field` is set if the problem always concerns the same field."""

    status: HTTPStatus
    code: str
    title: str
    field: str | None = None

    @property
    def type(self) -> str:
        """A URN that identifies the type of problem."""
        return f"urn:problem-type:{self.code}"


UNAUTHENTICATED = Problem(HTTPStatus.UNAUTHORIZED, "unauthenticated", "Authentication required")
INVALID_INPUT = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "Invalid input")
INTERNAL_ERROR = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "Internal error")
UNAVAILABLE = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")

INTERNAL_ERROR_DETAIL = "An unexpected error occurred. Contact the operator and quote the X-Request-ID header."
UNAVAILABLE_DETAIL = "The service is temporarily unavailable. Try again after the time given in Retry-After."

DOMAIN_PROBLEMS: dict[type[errors.DomainError], Problem] = {
    errors.Unauthenticated: UNAUTHENTICATED,
    errors.LoginEnded: UNAUTHENTICATED,
    errors.InvalidApiKey: UNAUTHENTICATED,
    errors.InvalidCredentials: Problem(HTTPStatus.UNAUTHORIZED, "invalid-credentials", "Incorrect email or password"),
    errors.InvalidGrant: Problem(HTTPStatus.BAD_REQUEST, "invalid-credentials", "Incorrect email or password"),
    errors.PermissionDenied: Problem(HTTPStatus.FORBIDDEN, "permission-denied", "Permission denied"),
    errors.OrganizationNotFound: Problem(HTTPStatus.NOT_FOUND, "organization-not-found", "Organization not found"),
    errors.OrganizationRequired: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "organization-required", "Organization required", field="organization_id"
    ),
    errors.UserNotFound: Problem(HTTPStatus.NOT_FOUND, "user-not-found", "Account not found"),
    errors.TeamMemberNotFound: Problem(HTTPStatus.NOT_FOUND, "team-member-not-found", "Team member not found"),
    errors.ApiKeyNotFound: Problem(HTTPStatus.NOT_FOUND, "api-key-not-found", "API key not found"),
    errors.EventNotFound: Problem(HTTPStatus.NOT_FOUND, "event-not-found", "Event not found"),
    errors.TicketTypeNotFound: Problem(HTTPStatus.NOT_FOUND, "ticket-type-not-found", "Ticket type not found"),
    errors.BookingNotFound: Problem(HTTPStatus.NOT_FOUND, "booking-not-found", "Booking not found"),
    errors.InvalidFields: INVALID_INPUT,
    errors.InvalidToken: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-token", "Invalid token", field="token"),
    errors.WrongPassword: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-password", "Incorrect current password", field="current_password"
    ),
    errors.EmailTaken: Problem(HTTPStatus.CONFLICT, "email-taken", "Email already in use", field="email"),
    errors.NotAMember: Problem(HTTPStatus.CONFLICT, "not-a-member", "Not a member", field="role"),
    errors.AlreadyOnTeam: Problem(HTTPStatus.CONFLICT, "already-on-team", "Already on the team", field="email"),
    errors.AccessRevoked: Problem(HTTPStatus.CONFLICT, "access-revoked", "Access revoked", field="email"),
    errors.NotAnOrganizer: Problem(HTTPStatus.CONFLICT, "not-an-organizer", "Not an organizer"),
    errors.EmailNotVerified: Problem(HTTPStatus.CONFLICT, "email-not-verified", "Email not verified"),
    errors.UnverifiedBuyer: Problem(HTTPStatus.FORBIDDEN, "email-not-verified", "Email not verified"),
    errors.LastOwner: Problem(HTTPStatus.CONFLICT, "last-owner", "Last active owner"),
    errors.LastOrganizer: Problem(HTTPStatus.CONFLICT, "last-organizer", "Last active organizer"),
    errors.BookingsOpen: Problem(HTTPStatus.CONFLICT, "open-bookings", "Account has upcoming bookings"),
    errors.ResponsibleForEvents: Problem(
        HTTPStatus.CONFLICT, "responsible-for-events", "Account organizes upcoming events"
    ),
    errors.StaleVersion: Problem(HTTPStatus.PRECONDITION_FAILED, "stale-version", "Resource has changed"),
    errors.EventStarted: Problem(HTTPStatus.CONFLICT, "event-started", "Event has started"),
    errors.EventEnded: Problem(HTTPStatus.CONFLICT, "event-ended", "Event has ended"),
    errors.EventNotPublished: Problem(HTTPStatus.CONFLICT, "event-not-published", "Event is a draft"),
    errors.EventCancelled: Problem(HTTPStatus.CONFLICT, "event-cancelled", "Event is cancelled"),
    errors.BookingCancelled: Problem(HTTPStatus.CONFLICT, "booking-cancelled", "Booking is cancelled"),
    errors.HoldExpired: Problem(HTTPStatus.CONFLICT, "hold-expired", "Booking has expired"),
    errors.BookingNotHeld: Problem(HTTPStatus.CONFLICT, "booking-not-held", "Booking is not held"),
    errors.AlreadyExtended: Problem(HTTPStatus.CONFLICT, "already-extended", "Hold already extended"),
    errors.BookingNotConfirmed: Problem(HTTPStatus.CONFLICT, "booking-not-confirmed", "Booking is not confirmed"),
    errors.PaymentRequired: Problem(HTTPStatus.CONFLICT, "payment-required", "Payment required"),
    errors.PaymentMismatch: Problem(HTTPStatus.CONFLICT, "payment-mismatch", "Payment does not match"),
    errors.AlreadyPaid: Problem(HTTPStatus.CONFLICT, "already-paid", "Booking already paid"),
    errors.OthersWaiting: Problem(HTTPStatus.CONFLICT, "waiting-list", "Others are waiting"),
    errors.CapacityBelowBooked: Problem(
        HTTPStatus.CONFLICT, "capacity-below-booked", "Capacity below booked tickets", field="capacity"
    ),
    errors.IdempotencyKeyReused: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key already used"
    ),
    errors.ExternalIdTaken: Problem(
        HTTPStatus.CONFLICT, "external-id-taken", "External ID already used", field="external_id"
    ),
    errors.EventNotOpen: Problem(HTTPStatus.CONFLICT, "event-not-open", "Event not open for booking"),
    errors.SalesClosed: Problem(HTTPStatus.CONFLICT, "sales-closed", "Tickets not on sale"),
    errors.TicketTypeInUse: Problem(HTTPStatus.CONFLICT, "ticket-type-in-use", "Ticket type in use"),
    errors.SoldOut: Problem(HTTPStatus.CONFLICT, "sold-out", "Not enough tickets left"),
    errors.TooManyForPerson: Problem(HTTPStatus.CONFLICT, "too-many-for-person", "Too many tickets for one person"),
    errors.TooManyTickets: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "too-many-tickets", "Too many tickets for one booking"
    ),
}


# Reason phrases from RFC 9110. Python before 3.13 uses the phrases from an older RFC.
_PHRASES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Range Not Satisfiable",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


def problem_for_status(status: HTTPStatus) -> Problem:
    """Return a generic problem named after the HTTP status, such as `not-found`."""
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
    """Return the JSON members of a problem. `extensions` become extension members (RFC 9457, section 3.2)."""
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
    """Return the response for a problem. Also stores the problem's code, which `problem_code` returns."""
    flask.g.problem_code = problem.code
    headers = {"WWW-Authenticate": "Bearer"} if problem.status is HTTPStatus.UNAUTHORIZED else {}
    body = problem_body(problem, detail, field_errors, **extensions)
    return json_response(body, problem.status, headers, content_type=PROBLEM_CONTENT_TYPE)


def problem_code() -> str | None:
    """Return the problem code of this request's response, or None if the request succeeded."""
    code: str | None = flask.g.get("problem_code")
    return code


def field_errors_of(error: errors.DomainError) -> list[dict[str, str]]:
    """Return the `errors` member for a domain error, with an entry for each invalid field in the body."""
    problem = DOMAIN_PROBLEMS[type(error)]
    fields = {problem.field: str(error)} if problem.field else getattr(error, "fields", {})
    return [field_error(ErrorLocation.BODY, field, detail) for field, detail in fields.items()]


def field_error(location: str, field: str, detail: str) -> dict[str, str]:
    """Return an entry of `errors`: the part of the request, the dotted path of the field, and an explanation."""
    return {"in": location, "field": field, "detail": detail}


class FieldErrorSchema(ResponseSchema):
    """An invalid field."""

    location = ma.fields.Enum(
        ErrorLocation,
        by_value=ma.fields.String,
        data_key="in",
        required=True,
        metadata={
            "description": "The part of the request that contains the field.",
            "example": ErrorLocation.BODY.value,
        },
    )
    field = ma.fields.String(
        required=True,
        metadata={
            "description": (
                "The dotted path of the field. Empty if the error concerns the whole part of the request that `in`"
                " names."
            ),
            "example": "ticket_count",
        },
    )
    detail = ma.fields.String(
        required=True,
        metadata={
            "description": "A human-readable explanation of the error.",
            "example": "Must be greater than or equal to 1.",
        },
    )


class ProblemSchema(ResponseSchema):
    """An error (RFC 9457). Some problems have additional members, such as `tickets_available`."""

    type = ma.fields.String(
        required=True,
        metadata={
            "format": "uri",
            "description": "A URN that identifies the type of problem. It is not a link.",
            "example": "urn:problem-type:sold-out",
        },
    )
    title = ma.fields.String(
        required=True,
        metadata={"description": "A short summary of the type of problem.", "example": "Not enough tickets left"},
    )
    status = ma.fields.Integer(required=True, metadata={"description": "The HTTP status code.", "example": 409})
    detail = ma.fields.String(
        required=True,
        metadata={
            "description": "A human-readable explanation of what went wrong in this request.",
            "example": "Only 1 ticket is left.",
        },
    )
    code = ma.fields.String(
        required=True,
        metadata={"description": "A stable, machine-readable code for the type of problem.", "example": "sold-out"},
    )
    errors = ma.fields.List(
        ma.fields.Nested(FieldErrorSchema),
        metadata={"description": "The invalid fields, if any."},
    )
