"""The Flask application class."""

from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlsplit

import flask
from flask.sessions import SessionInterface
from werkzeug.routing import RequestRedirect

from bookings_api.http.json import OrjsonProvider


class NoSessions(SessionInterface):
    """Disables session cookies, because clients send tokens."""

    def open_session(self, app: flask.Flask, request: flask.Request) -> None:
        """Return None, so that Flask saves no session."""


class Application(flask.Flask):
    """A Flask application with relative redirects, orjson and no sessions."""

    json_provider_class = OrjsonProvider
    session_interface = NoSessions()

    def make_default_options_response(self) -> flask.Response:
        """Respond to OPTIONS with 204. Flask's default is 200 with an empty body and `Content-Type: text/html`."""
        response = super().make_default_options_response()
        response.status_code = HTTPStatus.NO_CONTENT
        del response.headers["Content-Type"]
        return response

    def raise_routing_exception(self, request: flask.Request) -> NoReturn:
        """Make redirects to a trailing slash relative. By default, they contain the client's `Host` header.

        Flask calls no error handlers for `RequestRedirect`, so this method changes the exception before raising it.
        """
        redirect = request.routing_exception
        if isinstance(redirect, RequestRedirect):
            url = urlsplit(redirect.new_url)
            # a path that begins with two slashes would be read as a host name
            redirect.new_url = url._replace(scheme="", netloc="", path=f"/{url.path.lstrip('/')}").geturl()
        super().raise_routing_exception(request)
