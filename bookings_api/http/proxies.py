"""Determines the client's address behind trusted proxies."""

import flask
from werkzeug.middleware.proxy_fix import ProxyFix


def init_proxies(app: flask.Flask) -> None:
    """Trust X-Forwarded-For and X-Forwarded-Proto from the nearest `TRUSTED_PROXIES` proxies only.

    Each proxy appends the address it sees, so forged addresses are to the left of the trusted ones. X-Forwarded-Host is
    ignored, because a proxy that does not set it forwards the client's value.
    """
    proxies = app.config["TRUSTED_PROXIES"]
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign] # as Flask documents it
