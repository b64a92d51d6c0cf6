"""The way to Redis of what counts and of what looks whether it is there; Celery has its own (`celery_app`)."""

import ssl
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

REDIS_TIMEOUT_SECONDS = 0.25


def connect(redis_url: str) -> Redis:
    """A client that talks to Redis briefly, and never with an unverified server."""
    verified = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    options: dict[str, Any] = verified if redis_url.startswith("rediss:") else {}
    return Redis.from_url(
        redis_url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # the default is three more tries, seconds apart
        **options,
    )
