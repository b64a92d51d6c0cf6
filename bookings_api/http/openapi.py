"""The frame of the OpenAPI 3.1 document, and Swagger UI at `/docs` with every asset from our own origin."""

from copy import deepcopy
from http import HTTPStatus

import flask

from bookings_api.extensions import api
from bookings_api.http.problems import PROBLEM_CONTENT_TYPE, ProblemSchema

API_PREFIX = "/api/v1"

DESCRIPTION = """\
Book tickets for events: never oversold, every confirmation mailed.

Sign up, press **Authorize**, log in with e-mail and password (or paste an access token), and try it out.
Errors are `application/problem+json` (RFC 9457) with a stable `code`; lists carry `X-Pagination` and
`Link` headers.
Times are RFC 3339 with an offset.
"""

_SETTINGS = {
    "API_TITLE": "Event Booking API",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": f"{API_PREFIX}/openapi.json",
    "OPENAPI_SWAGGER_UI_PATH": "/docs",
    "OPENAPI_SWAGGER_UI_URL": "/static/swagger-ui/",
    "API_SPEC_OPTIONS": {
        "info": {"description": DESCRIPTION},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
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
    """Bind flask-smorest with our settings, and make every error response of the document a problem."""
    app.config.update(_SETTINGS)
    app.url_map.merge_slashes = False  # a resource has one address, and `//` is a 404 as any other
    api.ERROR_SCHEMA = ProblemSchema
    api.init_app(app)
    problem = {"content": {PROBLEM_CONTENT_TYPE: {"schema": ProblemSchema}}}
    named = {status.name: status.phrase for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}
    for name, phrase in {**named, api.DEFAULT_ERROR_RESPONSE_NAME: "Any other problem"}.items():
        api.spec.components.response(name, {"description": phrase, **deepcopy(problem)}, lazy=True)

    @app.get("/")
    def index() -> flask.typing.ResponseReturnValue:
        """Somebody who opens the address in a browser wants the documentation."""
        return flask.redirect("/docs")
