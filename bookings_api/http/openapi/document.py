"""The frame of the OpenAPI 3.1 document, and Swagger UI at `/docs` with every asset from our own origin."""

from copy import deepcopy

import flask

from bookings_api.extensions import api
from bookings_api.http.openapi.operations import DocumentPlugin, unwrapped
from bookings_api.http.problems import ProblemSchema

API_PREFIX = "/api/v1"

DESCRIPTION = """\
Sign up, press **Authorize**, log in with e-mail and password (or paste an access token), and try it out.

- **Errors** are `application/problem+json` (RFC 9457). Each answer lists the values that its `code` may
  have; they are for programs, and stay what they are. `errors` names each bad field.
- **Lists** are arrays, in pages of `page_size`; the header `X-Pagination` says how many there are, and
  `Link` leads to the others.
- **Versions**: a single resource has an `ETag`. A read that sends it in `If-None-Match` is answered 304 while nothing
  has changed, and a change that sends it in `If-Match` is refused with 412 if somebody else was faster.
- **Limits**: who does something too often gets 429, with the seconds to wait in `Retry-After`.
- **Times** are RFC 3339 with an offset; those that are answered are in UTC.
- Each answer has an `X-Request-ID`, by which the operator finds it in the log.
"""

_VERSION = "3.1.0"

_SETTINGS = {
    "API_TITLE": "Event Booking API",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": _VERSION,
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": f"{API_PREFIX}/openapi.json",
    "OPENAPI_SWAGGER_UI_PATH": "/docs",
    "OPENAPI_SWAGGER_UI_URL": "/static/swagger-ui/",
    "API_SPEC_OPTIONS": {  # in the order in which they are read
        "openapi": _VERSION,
        "info": {
            "summary": "Book tickets for events: never oversold, every confirmation mailed.",
            "description": unwrapped(DESCRIPTION),
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
        },
        "servers": [{"url": "/", "description": "The service that this document comes from."}],
        "paths": {},
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of a login.",
                },
                "refresh": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The refresh token, for the operation that exchanges it.",
                },
                "password": {
                    "type": "oauth2",
                    "description": "E-mail and password; leave the client fields empty.",
                    "flows": {"password": {"tokenUrl": f"{API_PREFIX}/auth/token", "scopes": {}}},
                },
            }
        },
    },
}


def init_openapi(app: flask.Flask) -> None:
    """Bind flask-smorest with our settings and our ways to document."""
    app.config.update(deepcopy(_SETTINGS))  # apispec writes the document into its options
    app.url_map.merge_slashes = False  # a resource has one address, and `//` is a 404 as any other
    api.ERROR_SCHEMA = ProblemSchema
    api.DEFAULT_ERROR_RESPONSE_NAME = None  # each operation names what it may answer
    api.init_app(app, spec_kwargs={"marshmallow_plugin": DocumentPlugin()})

    @app.get("/")
    def index() -> flask.typing.ResponseReturnValue:
        """Somebody who opens the address in a browser wants the documentation."""
        return flask.redirect("/docs")
