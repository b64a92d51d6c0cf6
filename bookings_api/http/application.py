"""Flask without sessions."""

from http import HTTPStatus

import flask
from flask.sessions import SessionInterface


class NoSessions(SessionInterface):
    """Neither reads nor sets cookies, because clients send tokens."""

    def open_session(self, app: flask.Flask, request: flask.Request) -> None:
        """Return None, so there is no session to save."""


class Application(flask.Flask):
    """The Flask application class of the service."""

    session_interface = NoSessions()

    def make_default_options_response(self) -> flask.Response:
        """Respond to OPTIONS with headers only; Flask adds a Content-Type for an empty HTML page."""
        response = super().make_default_options_response()
        response.status_code = HTTPStatus.NO_CONTENT
        del response.headers["Content-Type"]
        return response
