"""Who the client is, when proxies stand in front of the service."""

import flask
from werkzeug.middleware.proxy_fix import ProxyFix


def init_proxies(app: flask.Flask) -> None:
    """Believe what the nearest `TRUSTED_PROXIES` proxies say in X-Forwarded-For and X-Forwarded-Proto, and no more.

    Each appends the address that it sees, so what a client forges stands further left than anything that is believed.
    X-Forwarded-Host is not believed: a proxy that does not set it hands on the client's, and Host tells the same.
    """
    proxies = app.config["TRUSTED_PROXIES"]
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign]
