"""Headers that every answer carries: what a browser may do with it, and which other origins may read it."""

from functools import partial
from http import HTTPStatus

import flask
from flask_cors import CORS

from bookings_api.http.authentication import viewer
from bookings_api.http.idempotency import IDEMPOTENCY_KEY_HEADER, REPLAYED_HEADER
from bookings_api.http.openapi.document import API_PREFIX
from bookings_api.http.rate_limiting.limits import RATE_LIMIT, RETRY_AFTER
from bookings_api.observability.logging import REQUEST_ID_HEADER

# JSON is nothing that a browser should show in a frame, or run.
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Swagger UI: nothing but what comes from here; its icons are data.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)

# For browsers; ASVS 5.0, section 3.4, and the OWASP Secure Headers Project.
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # frame-ancestors, for older ones
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NOT_KEPT = "no-store"
_STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"  # RFC 6797; sent over TLS only, as it demands

# How long a browser may remember that an origin is welcome.
_PREFLIGHT_SECONDS = 600
_READ = ["Authorization", "Content-Type", IDEMPOTENCY_KEY_HEADER, "If-Match", "If-None-Match", REQUEST_ID_HEADER]
_SHOWN = [
    "Content-Disposition",
    "ETag",
    "Link",
    "Location",
    "X-Pagination",
    REQUEST_ID_HEADER,
    REPLAYED_HEADER,
    *RETRY_AFTER,
    *RATE_LIMIT,
]


def init_headers(app: flask.Flask) -> None:
    """Add them to every answer; let the origins of `CORS_ORIGINS` read what is below the API's prefix."""
    origins: list[str] = app.config["CORS_ORIGINS"]
    # also what an origin is refused differs from what another one is allowed, which flask-cors does not say
    app.after_request(partial(_harden, vary="Authorization, Origin" if origins else "Authorization"))
    if origins:
        CORS(
            app,
            resources={rf"{API_PREFIX}/.*": {"origins": origins}},
            allow_headers=_READ,
            expose_headers=_SHOWN,
            max_age=_PREFLIGHT_SECONDS,
            vary_header=False,
        )


def _harden(response: flask.Response, *, vary: str) -> flask.Response:
    is_page = response.mimetype == "text/html" or flask.request.endpoint == "static"
    policy = PAGE_POLICY if is_page else API_POLICY
    for name, value in (*ALWAYS.items(), ("Content-Security-Policy", policy)):
        response.headers.add(name, value)  # nobody else sets them, and to look for them first takes longer
    if flask.request.is_secure:
        response.headers.add("Strict-Transport-Security", _STRICT_TRANSPORT)
    if not is_page:
        _say_who_may_keep(response)
        response.headers.add("Vary", vary)
    return response


def _say_who_may_keep(response: flask.Response) -> None:
    """RFC 9111: what is a person's, no cache shares; tokens, and answers to what changed something, none keeps."""
    is_read = flask.request.method in {"GET", "HEAD"} and response.status_code < HTTPStatus.BAD_REQUEST
    if not is_read:
        response.headers.setdefault("Cache-Control", NOT_KEPT)
    elif viewer() is not None:
        response.headers.setdefault("Cache-Control", "private, no-cache")
    else:
        response.headers.setdefault("Cache-Control", "no-cache")
