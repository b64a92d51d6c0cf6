"""PgBouncer from Debian, in transaction mode, with fewer connections to PostgreSQL than clients have to it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from bookings_api.local_stack.processes import Child, free_port

_PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(_PGBOUNCER is None, reason="this machine has no pgbouncer")

SERVERS = 3

# As in docs/scaling.md; and each transaction gets the server that was idle for longest, so that what one transaction
# leaves in its session is not there for the next one.
_CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {servers}
min_pool_size = {servers}
max_client_conn = 1000
query_wait_timeout = 2
server_round_robin = 1
log_connections = 0
log_disconnections = 0
"""


@contextmanager
def running_pgbouncer(directory: Path, database_url: str, *, servers: int = SERVERS) -> Iterator[str]:
    """Put PgBouncer in front of every database of that PostgreSQL; gives the URL of the same database through it.

    For each database it has so many connections.
    """
    url = sa.make_url(database_url)
    listen_port, users, configuration = free_port(), directory / "users.txt", directory / "pgbouncer.ini"
    users.write_text(f'"{url.username}" "{url.password}"\n')
    configuration.write_text(
        _CONFIGURATION.format(host=url.host, port=url.port, listen_port=listen_port, users=users, servers=servers)
    )
    through = url.set(host="127.0.0.1", port=listen_port)
    # not as root, which PgBouncer refuses
    command = [str(_PGBOUNCER), str(configuration)]
    pgbouncer = Child("PgBouncer", command, log=directory / "pgbouncer.log", unprivileged=True)
    # not the same database: it would keep connections to that, of which there may be no other while it is copied
    probe = through.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    try:
        pgbouncer.wait_until_ready(lambda: psycopg2.connect(probe).close())
        yield through.render_as_string(hide_password=False)
    finally:
        pgbouncer.stop()
