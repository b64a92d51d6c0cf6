"""Runs `flask db` as an operator would, and connects to the database."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from sqlalchemy.engine import make_url

from bookings_api.local_stack.processes import ROOT


def flask_db(
    command: str, settings: dict[str, str], directory: Path = ROOT / "migrations"
) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "flask", "db", *command.split(), f"--directory={directory}"]
    return subprocess.run(arguments, env=settings, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def connected(settings: dict[str, str]) -> Iterator[psycopg2.extensions.cursor]:
    url = make_url(settings["DATABASE_URL"]).set(drivername="postgresql")
    with closing(psycopg2.connect(url.render_as_string(False))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        yield cursor
