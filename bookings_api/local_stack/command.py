"""`scripts/run`: starts the whole service on this machine and prints the URL of Swagger UI."""

import argparse
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from celery import Celery
from dotenv import load_dotenv

from bookings_api.celery_app import broker_of
from bookings_api.cli.demo import ACCOUNTS
from bookings_api.local_stack.processes import ROOT, Child, StackError, free_port
from bookings_api.local_stack.servers import LocalStack

MAX_PORT = 65535
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """We were asked to stop. Not an `Exception`, so that code that retries doesn't catch it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start everything, run until stopped, stop everything, and return the exit status."""
    options = _parse(arguments)
    for number in STOP_SIGNALS:
        signal.signal(number, _raise_stopped)
    try:
        _require_free(options.port)
        with _service(options) as children:
            while True:
                time.sleep(0.2)
                for child in children:
                    child.require_running()
    except Stopped:
        _say("Stopped. The data is kept.")
        return 0
    except StackError as error:
        print(f"scripts/run: {error}", file=sys.stderr)
        return 1


@contextmanager
def _service(options: argparse.Namespace) -> Iterator[list[Child]]:
    """Run the service; gives the processes that must stay alive, and stops them in reverse order."""
    began = time.monotonic()
    directory = options.data_dir.resolve()
    _say(f"Data directory: {directory}")
    with ExitStack() as cleanup:
        try:
            stack = cleanup.enter_context(LocalStack(directory, report=_say))
            port = options.port or free_port()
            url = f"http://localhost:{port}"
            environment = _environment(stack, url)
            _say("Migrating the database ...")
            _run_flask("db upgrade", stack, environment)
            if options.demo:
                _say("Creating demo data ...")
                _run_flask("demo", stack, environment)
            _say("Starting the Celery worker and gunicorn ...")
            # Celery warns when it runs as root, and neither process needs it.
            worker = Child("Celery worker", _celery_command(), environment=environment, unprivileged=True)
            cleanup.callback(worker.stop)
            server = Child("gunicorn", _gunicorn_command(port), environment=environment, unprivileged=True)
            cleanup.callback(server.stop)
            worker.wait_until_ready(lambda: _require_worker(environment["REDIS_URL"]))
            ready = f"http://127.0.0.1:{port}/health/ready"
            server.wait_until_ready(lambda: urllib.request.urlopen(ready, timeout=5))
            _say(f"Ready after {time.monotonic() - began:.1f} s.\n")
            _say_where(options, stack, url, environment["MAIL_SERVER"])
            yield [*stack.children, worker, server]
        finally:
            # Nothing may interrupt stopping the processes.
            _ignore_signals()


def _say_where(options: argparse.Namespace, stack: LocalStack, url: str, mail_server: str) -> None:
    """Print how to log in, where to look and how to stop."""
    for account in ACCOUNTS if options.demo else ():
        _say(f"  {account.role.capitalize():<10}  {account.email}  password: {account.password}")
    emails = f"{stack.mailbox}/new" if "MAIL_SERVER" in stack.settings else f"sent through {mail_server}"
    _say(f"  Swagger UI  {url}/docs\n  Emails      {emails}\n  Stop with   Ctrl-C\n")


def _environment(stack: LocalStack, url: str) -> dict[str, str]:
    """Start the servers that neither the environment nor `.env` names; return the settings for all processes."""
    load_dotenv(os.environ.get("ENV_FILE") or ROOT / ".env")
    servers: dict[str, Callable[[], object]] = {
        "DATABASE_URL": stack.start_postgres,
        "REDIS_URL": stack.start_valkey,
        "MAIL_SERVER": stack.start_smtp_sink,
    }
    for setting, start in servers.items():
        if not os.environ.get(setting):
            start()
    given = {name: value for name, value in os.environ.items() if value}
    defaults = {
        "LOG_FORMAT": "text" if sys.stderr.isatty() else "json",
        "PUBLIC_URL": url,
        "METRICS_TOKEN": "metrics-of-this-machine",
    }
    return {**defaults, **stack.defaults, **given, **stack.settings}


def _run_flask(command: str, stack: LocalStack, environment: dict[str, str]) -> None:
    """Run a `flask` command and wait for it."""
    name = f"flask {command}"
    arguments = [sys.executable, "-m", "flask", *command.split()]
    Child(name, arguments, environment=environment, log=stack.log_of(name)).wait()


def _require_worker(redis_url: str) -> None:
    """Raise unless a worker responds through Redis, as it must to send emails."""
    url, options = broker_of(redis_url)
    if not Celery(broker=url, broker_transport_options=options).control.ping(timeout=0.3, limit=1):
        raise StackError("the Celery worker does not respond")


def _celery_command() -> list[str]:
    options = ["--beat", "--concurrency=2", "--without-gossip", "--without-mingle"]
    return [sys.executable, "-m", "celery", "--quiet", "--app=wsgi.celery", "worker", *options]


def _gunicorn_command(port: int) -> list[str]:
    return [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "wsgi:app"]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/run", description="Run the Event Booking API with everything it needs."
    )
    parser.add_argument(
        "--port", type=_port, default=8000, help="port to listen on; 0 picks a free one (default: 8000)"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=ROOT / ".local",
        help="directory for all data (default: .local in the checkout)",
    )
    parser.add_argument("--demo", action="store_true", help="create demo accounts and events")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number; use 0 to {MAX_PORT}")
    return int(text)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"Port {port} is not available ({error.strerror}). Choose another one with --port."
            ) from None


def _raise_stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _say(line: str) -> None:
    print(line, flush=True)
