"""Redirects to the path with a trailing slash."""

from urllib.parse import urlsplit, urlunsplit

import flask
from werkzeug.routing import RequestRedirect


def init_redirects(app: flask.Flask) -> None:
    """Make the router's redirects relative: Host is client input, and caches may store the response."""
    app.before_request(_make_relative)


def _make_relative() -> None:
    # Flask does not call error handlers for RequestRedirect, so the exception is changed before it is raised.
    redirect = flask.request.routing_exception
    if isinstance(redirect, RequestRedirect):
        parts = urlsplit(redirect.new_url)
        # a path that begins with two slashes would name a host
        redirect.new_url = urlunsplit(("", "", f"/{parts.path.lstrip('/')}", parts.query, ""))
