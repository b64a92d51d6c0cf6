"""Runs a PostgreSQL streaming replica."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg2
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from bookings_api import create_app
from bookings_api.extensions import db
from bookings_api.local_stack.processes import ROOT, Child, free_port
from bookings_api.local_stack.servers import LocalStack, postgres_binary
from config import Config


class Replica:
    """A streaming replica of a running PostgreSQL. A context manager that stops it."""

    def __init__(self, directory: Path, primary_url: str) -> None:
        self._directory = directory
        self._data = directory / "replica"
        self._primary = sa.make_url(primary_url).set(drivername="postgresql")
        self._url = self._primary.set(port=free_port())
        self.url = self._url.render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        primary = self._primary
        address = [f"--host={primary.host}", f"--port={primary.port}", f"--username={primary.username}"]
        options = ["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf"]
        Child(
            "pg_basebackup",
            [postgres_binary("pg_basebackup"), f"--pgdata={self._data}", *address, *options],
            environment={**os.environ, "PGPASSWORD": str(primary.password)},
            log=self._directory / "basebackup.log",
            unprivileged=True,
        ).wait()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def start(self) -> None:
        """Start on the same port and data."""
        command: list[str | Path] = [postgres_binary("postgres"), f"-D{self._data}", f"--port={self._url.port}"]
        settings = ["--listen_addresses=127.0.0.1", "--unix_socket_directories=", "--max_connections=300"]
        log = self._directory / "replica.log"
        self.server = Child("replica", [*command, *settings], stop_signal=signal.SIGINT, log=log, unprivileged=True)
        self.server.wait_until_ready(lambda: self.query("SELECT 1"))

    def kill(self) -> None:
        """Kill all processes with SIGKILL."""
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.stop()

    @contextmanager
    def replay_paused(self) -> Iterator[None]:
        """Receive the write-ahead log without replaying it."""
        self.query("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            self.query("SELECT pg_wal_replay_resume()")

    def query(self, statement: str) -> Any:
        """Return the first value of the statement's result."""
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                [value] = cursor.fetchone() or [None]
                return value


class Pair:
    """A migrated PostgreSQL and its replica. A context manager that stops both."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as unfinished:
            stack = unfinished.enter_context(LocalStack(self._directory))
            stack.start_postgres()
            self._primary_url = stack.settings["DATABASE_URL"]
            with self.application(None).app_context():
                upgrade(str(ROOT / "migrations"))
                db.engine.dispose()
            self.replica = unfinished.enter_context(Replica(self._directory, self._primary_url))
            self._cleanup = unfinished.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def settings(self) -> dict[str, str]:
        """The service's settings for both servers."""
        return {"DATABASE_URL": self._primary_url, "DATABASE_READ_URL": self.replica.url}

    def application(self, read_url: str | None, *, primary_url: str | None = None) -> Flask:
        """An in-process application on these databases and the test run's other servers."""
        urls = {"DATABASE_URL": primary_url or self._primary_url, "DATABASE_READ_URL": read_url}
        psycopg2_urls: dict[str, Any] = {
            name: url and url.replace("postgresql:", "postgresql+psycopg2:") for name, url in urls.items()
        }
        return create_app(dataclasses.replace(Config.from_environment(Path(os.devnull)), **psycopg2_urls))
