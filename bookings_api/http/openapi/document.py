"""The OpenAPI 3.1 document, and Swagger UI at `/docs`."""

from copy import deepcopy

import flask

from bookings_api.extensions import api
from bookings_api.http.openapi.operations import DocumentPlugin, unwrapped
from bookings_api.http.problems import ProblemSchema

API_PREFIX = "/api/v1"

DESCRIPTION = """\
To try the API here, sign up, click **Authorize**, and log in with your email and password (or paste an access token).
Programs can use an organization's API keys.

- **Errors** are `application/problem+json` (RFC 9457). Each operation documents the possible values of `code`, which
  are stable, so programs can rely on them. `errors` lists the invalid fields.
- **Pagination**: lists are arrays. `X-Pagination` contains the totals, and `Link` contains the URLs of other pages.
- **Versions**: resources with a `version` have an `ETag`. Send the ETag in `If-None-Match` to get 304 if the resource
  has not changed. Send it in `If-Match` to make your request fail with 412 if the resource has changed since you read
  it.
- **Rate limits**: requests over a limit fail with 429. `Retry-After` says how many seconds to wait.
- **Times** are in RFC 3339 format with an offset. Responses use UTC.
- **Request IDs**: responses have an `X-Request-ID`. Quote the ID when you report a problem.
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
    "API_SPEC_OPTIONS": {  # in the order of the document
        "openapi": _VERSION,
        "info": {
            "summary": "Books event tickets without overselling, and sends confirmations by email.",
            "description": unwrapped(DESCRIPTION),
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "paths": {},
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token that you get when you log in.",
                },
                "api_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "ebk_...",
                    "description": "One of your organization's API keys, for programs. Each operation names the scope"
                    " that the key needs, if any.",
                },
                "refresh": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The refresh token. Only `POST /auth/refresh` accepts it.",
                },
                "password": {
                    "type": "oauth2",
                    "description": "Use your email as the username. Leave `client_id` and `client_secret` empty.",
                    "flows": {"password": {"tokenUrl": f"{API_PREFIX}/auth/token", "scopes": {}}},
                },
            }
        },
    },
}


def init_openapi(app: flask.Flask) -> None:
    """Set up flask-smorest, the OpenAPI document and Swagger UI."""
    app.config.update(deepcopy(_SETTINGS))  # a copy, because apispec modifies its options
    app.url_map.merge_slashes = False  # each resource has exactly one URL
    api.ERROR_SCHEMA = ProblemSchema
    api.DEFAULT_ERROR_RESPONSE_NAME = None  # each operation documents its own errors
    api.init_app(app, spec_kwargs={"marshmallow_plugin": DocumentPlugin()})

    @app.get("/")
    def index() -> flask.typing.ResponseReturnValue:
        """Redirect browsers to Swagger UI."""
        return flask.redirect("/docs")
