"""Flask, without what this service does not use and each request would pay for."""

from http import HTTPStatus
from typing import Any

import flask
from flask.sessions import SessionInterface


class NoSessions(SessionInterface):
    """Clients bring a token; no cookie is read, and none is set."""

    def open_session(self, app: flask.Flask, request: flask.Request) -> None:
        """None, and so there is none to be saved."""


class Application(flask.Flask):
    """Flask for synchronous views, without sessions."""

    session_interface = NoSessions()

    def make_default_options_response(self) -> flask.Response:
        """What may be done at an address, in headers alone: Flask's has an empty page of HTML."""
        response = super().make_default_options_response()
        response.status_code = HTTPStatus.NO_CONTENT
        del response.headers["Content-Type"]
        return response

    def ensure_sync(self, func: Any) -> Any:
        """`func` as it is. Flask looks whether it is a coroutine, at each call of each view, hook and decorator."""
        return func
