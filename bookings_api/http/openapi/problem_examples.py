"""Examples of all problems for the OpenAPI document, built by the same functions as real responses."""

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import NotFound, RequestEntityTooLarge

from bookings_api import errors
from bookings_api.http.problems import (
    BAD_REQUEST,
    CONTENT_TOO_LARGE,
    DOMAIN_PROBLEMS,
    HTTP_VERSION_NOT_SUPPORTED,
    INTERNAL_ERROR,
    INTERNAL_ERROR_DETAIL,
    INVALID_INPUT,
    NOT_FOUND,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNAVAILABLE_DETAIL,
    UNSUPPORTED_MEDIA_TYPE,
    ErrorLocation,
    Problem,
    field_error,
    field_errors_of,
    problem_body,
)
from bookings_api.permissions import ORGANIZERS_ONLY

_RAISED = (
    *(error() for error in DOMAIN_PROBLEMS if hasattr(error, "message")),
    errors.Unauthenticated("The access token has expired."),
    errors.PermissionDenied(ORGANIZERS_ONLY),
    errors.EventEnded("The event has ended and cannot be cancelled."),
    errors.CapacityBelowBooked(tickets_booked=2),
    errors.EventNotOpen("Booking for this event has closed."),
    errors.SalesClosed("Sales of Early bird have closed."),
    errors.TicketTypeInUse("The ticket type has booked tickets. Hide it instead, or cancel these bookings."),
    errors.SoldOut(tickets_available=1),
    errors.TooManyForPerson(limit=4, booked=3),
    errors.TooManyTickets(limit=10),
)

_GENERAL = {
    BAD_REQUEST: "The body is not valid JSON: Expecting value at character 0.",
    NOT_FOUND: NotFound.description,
    CONTENT_TOO_LARGE: RequestEntityTooLarge.description,
    UNSUPPORTED_MEDIA_TYPE: "Send the body as application/json.",
    TOO_MANY_REQUESTS: "Limit: 60 per minute. Try again in 42 seconds.",
    HTTP_VERSION_NOT_SUPPORTED: "CSV downloads require HTTP/1.1 so that a truncated file can be detected.",
    INTERNAL_ERROR: INTERNAL_ERROR_DETAIL,
    UNAVAILABLE: UNAVAILABLE_DETAIL,
}

EXAMPLES: Mapping[Problem, dict[str, Any]] = {
    **{
        DOMAIN_PROBLEMS[type(error)]: problem_body(
            DOMAIN_PROBLEMS[type(error)], str(error), field_errors_of(error), **error.extensions
        )
        for error in _RAISED
    },
    **{problem: problem_body(problem, detail) for problem, detail in _GENERAL.items()},
    INVALID_INPUT: problem_body(
        INVALID_INPUT, "colour: Unknown field.", [field_error(ErrorLocation.BODY, "colour", "Unknown field.")]
    ),
}
