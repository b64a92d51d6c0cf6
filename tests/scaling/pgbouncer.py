"""PgBouncer from Debian with docs/pgbouncer.ini, and fewer connections to PostgreSQL than clients have to it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from bookings_api.local_stack.processes import ROOT, Child, free_port

_PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(_PGBOUNCER is None, reason="this machine has no pgbouncer")

SERVERS = 3

# Each transaction gets the server that was idle for longest, so that what one leaves in its session is not there for
# the next one.
_HERE = """
min_pool_size = {servers}
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
    text = (ROOT / "docs" / "pgbouncer.ini").read_text() + _HERE.format(servers=servers)
    for pattern, test_value in {
        r"host=10\.0\.0\.5 port=5432": f"host={url.host} port={url.port}",
        r"listen_port = .+": f"listen_port = {listen_port}",
        r"auth_file = .+": f"auth_file = {users}",
        r"default_pool_size = .+": f"default_pool_size = {servers}",
    }.items():
        text, count = re.subn(pattern, test_value, text)
        assert count, f"docs/pgbouncer.ini has no {pattern}"
    configuration.write_text(text)
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
