"""Security, caching and CORS headers."""

from functools import partial
from http import HTTPStatus

import flask
from flask.globals import request_ctx
from flask_cors import CORS

from bookings_api.http.idempotency import IDEMPOTENCY_KEY_HEADER, REPLAYED_HEADER
from bookings_api.http.openapi.document import API_PREFIX
from bookings_api.http.rate_limiting.limits import RATE_LIMIT, RETRY_AFTER
from bookings_api.observability.logging import REQUEST_ID_HEADER

# For JSON: a browser must not load or run anything in a response, or show the response in a frame.
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# For Swagger UI: allows only assets from the same origin, and images in data URLs.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)

# Recommended by OWASP ASVS 5.0, section 3.4, and the OWASP Secure Headers Project.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not support frame-ancestors
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NO_STORE = "no-store"
_STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"  # sent only over TLS (RFC 6797, section 7.2)

# How long browsers may cache a CORS preflight response.
_PREFLIGHT_SECONDS = 600
_REQUEST_HEADERS = [
    "Authorization", "Content-Type", "If-Match", "If-None-Match", IDEMPOTENCY_KEY_HEADER, REQUEST_ID_HEADER,
]  # fmt: skip
_EXPOSED_HEADERS = [
    "Content-Disposition", "ETag", "Link", "Location", "X-Pagination", REQUEST_ID_HEADER, REPLAYED_HEADER,
    *RETRY_AFTER, *RATE_LIMIT,
]  # fmt: skip


def init_headers(app: flask.Flask) -> None:
    """Add security and caching headers to all responses, and CORS headers for `CORS_ORIGINS`."""
    origins: list[str] = app.config["CORS_ORIGINS"]
    # set here, because flask-cors omits `Vary: Origin` from responses to origins that are not allowed
    app.after_request(partial(_add_headers, vary="Authorization, Origin" if origins else "Authorization"))
    if origins:
        CORS(
            app,
            resources={rf"{API_PREFIX}/.*": {"origins": origins}},
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
            vary_header=False,
        )


def _add_headers(response: flask.Response, *, vary: str) -> flask.Response:
    request, headers = request_ctx.request, response.headers  # faster than the proxy `flask.request`
    is_page = response.mimetype == "text/html" or request.endpoint == "static"
    policy = PAGE_POLICY if is_page else API_POLICY
    for name, value in (*SECURITY_HEADERS.items(), ("Content-Security-Policy", policy)):
        headers.add(name, value)  # faster than `set`, and no other code sets them
    if request.is_secure:
        headers.add("Strict-Transport-Security", _STRICT_TRANSPORT)
    if not is_page:
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", _cache_control(request.method, response.status_code))
        headers.add("Vary", vary)
    return response


def _cache_control(method: str, status: int) -> str:
    """Return the `Cache-Control` header (RFC 9111), which lets shared caches store only anonymous reads."""
    if method not in {"GET", "HEAD"} or status >= HTTPStatus.BAD_REQUEST:
        return NO_STORE
    is_for_caller = flask.g.get("user_id") or flask.g.get("key_hash")
    return "private, no-cache" if is_for_caller else "no-cache"
