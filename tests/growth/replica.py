"""A PostgreSQL and a streaming replica of it, both from the wheel."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
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


class Pair:
    """Both servers, with our tables; a context manager that stops them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = LocalStack(directory)
        self._data = directory / "replica"
        self._port = free_port()

    def __enter__(self) -> Self:
        self._stack.__enter__()
        try:
            self._stack.start_postgres()
            self._primary = sa.make_url(self._stack.settings["DATABASE_URL"])
            self._migrate()
            self._copy()
            self.start_replica()
        except BaseException:
            self._stack.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.replica.stop()
        self._stack.__exit__()

    @property
    def settings(self) -> dict[str, str]:
        """What leads the service there."""
        return {"DATABASE_URL": self._url(self._primary.port), "DATABASE_READ_URL": self._url(self._port)}

    def application(self, **settings: str) -> Flask:
        """Of this process; the other servers are those of the test run."""
        config = Config.from_environment(Path(os.devnull))
        urls: dict[str, Any] = {
            name: url.replace("postgresql:", "postgresql+psycopg2:") for name, url in (self.settings | settings).items()
        }
        return create_app(dataclasses.replace(config, **urls))

    def start_replica(self) -> None:
        """On the port and with the data that it had."""
        command: list[str | Path] = [postgres_binary("postgres"), f"-D{self._data}", f"--port={self._port}"]
        settings = ["--listen_addresses=127.0.0.1", "--unix_socket_directories=", "--max_connections=300"]
        log = self._directory / "replica.log"
        self.replica = Child("replica", [*command, *settings], stop_signal=signal.SIGINT, log=log, unprivileged=True)
        self.replica.wait_until_ready(lambda: self.on_replica("SELECT 1"))

    def kill_replica(self) -> None:
        """As the kernel does."""
        os.killpg(self.replica.pid, signal.SIGKILL)
        self.replica.stop()

    @contextmanager
    def replay_paused(self) -> Iterator[None]:
        """It takes the log, and does not replay it."""
        self.on_replica("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            self.on_replica("SELECT pg_wal_replay_resume()")

    def on_primary(self, statement: str) -> object:
        """The first value that a statement gives."""
        return _ask(self._url(self._primary.port), statement)

    def on_replica(self, statement: str) -> object:
        """As above."""
        return _ask(self._url(self._port), statement)

    def _url(self, port: int | None) -> str:
        return self._primary.set(drivername="postgresql", port=port).render_as_string(hide_password=False)

    def _migrate(self) -> None:
        with self.application().app_context():
            upgrade(str(ROOT / "migrations"))
            db.engine.dispose()

    def _copy(self) -> None:
        where = [f"--host={self._primary.host}", f"--port={self._primary.port}", f"--username={self._primary.username}"]
        how = ["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf"]
        Child(
            "pg_basebackup",
            [postgres_binary("pg_basebackup"), f"--pgdata={self._data}", *where, *how],
            environment={**os.environ, "PGPASSWORD": str(self._primary.password)},
            log=self._directory / "basebackup.log",
            unprivileged=True,
        ).wait()


def _ask(url: str, statement: str) -> object:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            [value] = cursor.fetchone() or [None]
            return value
