"""Runs the system's PgBouncer with docs/pgbouncer.ini and a small connection pool."""

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
needs_pgbouncer = pytest.mark.skipif(_PGBOUNCER is None, reason="pgbouncer is not installed")

SERVERS = 3

# Round robin gives consecutive transactions different connections, so session state cannot carry over.
_TEST_SETTINGS = """
min_pool_size = {servers}
server_round_robin = 1
log_connections = 0
log_disconnections = 0
"""


@contextmanager
def running_pgbouncer(directory: Path, database_url: str, *, servers: int = SERVERS) -> Iterator[str]:
    """Run PgBouncer in front of that PostgreSQL, with `servers` connections per database.

    Yields the URL of the same database through PgBouncer.
    """
    url = sa.make_url(database_url)
    listen_port, users, configuration = free_port(), directory / "users.txt", directory / "pgbouncer.ini"
    users.write_text(f'"{url.username}" "{url.password}"\n')
    text = (ROOT / "docs" / "pgbouncer.ini").read_text() + _TEST_SETTINGS.format(servers=servers)
    for pattern, test_value in {
        r"host=10\.0\.0\.5 port=5432": f"host={url.host} port={url.port}",
        r"listen_port = .+": f"listen_port = {listen_port}",
        r"auth_file = .+": f"auth_file = {users}",
        r"default_pool_size = .+": f"default_pool_size = {servers}",
    }.items():
        text, count = re.subn(pattern, test_value, text)
        assert count, f"docs/pgbouncer.ini does not contain {pattern}"
    configuration.write_text(text)
    through = url.set(host="127.0.0.1", port=listen_port)
    # PgBouncer refuses to run as root.
    command = [str(_PGBOUNCER), str(configuration)]
    pgbouncer = Child("PgBouncer", command, log=directory / "pgbouncer.log", unprivileged=True)
    # Probe another database: PgBouncer would keep its connection, and a database in use cannot be copied.
    probe = through.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    try:
        pgbouncer.wait_until_ready(lambda: psycopg2.connect(probe).close())
        yield through.render_as_string(hide_password=False)
    finally:
        pgbouncer.stop()
