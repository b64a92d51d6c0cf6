"""Determines the client's address and the URL scheme behind trusted proxies."""

import flask
from werkzeug.middleware.proxy_fix import ProxyFix


def init_proxies(app: flask.Flask) -> None:
    """Trust X-Forwarded-For and X-Forwarded-Proto from the proxies in front of the service.

    `TRUSTED_PROXIES` is the number of these proxies. Each proxy appends an address to X-Forwarded-For, so addresses
    that a client has forged come first and are ignored. X-Forwarded-Host is ignored, because some proxies forward the
    client's value.
    """
    proxies = app.config["TRUSTED_PROXIES"]
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign] # as Flask documents it
