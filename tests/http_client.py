"""The HTTP client for tests of a running service."""

from collections.abc import Mapping

import httpx

# Shorter than gunicorn's `keepalive` of 5 s, which is also httpx's default: a request fails if it is sent while the
# server closes its idle connection.
KEEPALIVE_SECONDS = 2


def http_client(base_url: str = "", *, headers: Mapping[str, str] | None = None, reuse: bool = True) -> httpx.Client:
    """Return a client with any number of connections. Without `reuse`, it opens a new one for each request."""
    limits = httpx.Limits(max_keepalive_connections=None if reuse else 0, keepalive_expiry=KEEPALIVE_SECONDS)
    return httpx.Client(base_url=base_url, headers=headers, timeout=60, limits=limits)
