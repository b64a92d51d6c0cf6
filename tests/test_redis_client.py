"""How Redis is spoken to."""

import ssl
from typing import Any

from bookings_api.redis_client import connect


def test_whom_tls_connects_to_is_verified() -> None:
    client = connect("rediss://redis.example.com:6379/0")

    connection: Any = client.connection_pool.make_connection()
    assert (connection.cert_reqs, connection.check_hostname) == (ssl.CERT_REQUIRED, True)
