"""Where the router sends a client whose path lacks the slash at its end."""

from urllib.parse import urlsplit, urlunsplit

import flask
from werkzeug.routing import RequestRedirect


def init_redirects(app: flask.Flask) -> None:
    """Redirect to a path alone, never to a host: Host says what the client likes, and a cache may keep the answer."""
    app.before_request(_stay_here)


def _stay_here() -> None:
    # before the view that the router has not found; an error handler is not asked for a redirect of the router
    redirect = flask.request.routing_exception
    if isinstance(redirect, RequestRedirect):
        parts = urlsplit(redirect.new_url)
        # two slashes would begin the name of a host
        redirect.new_url = urlunsplit(("", "", f"/{parts.path.lstrip('/')}", parts.query, ""))
