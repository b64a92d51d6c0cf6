"""`scripts/run`: the whole service on this machine, from nothing to the URL of Swagger UI."""

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
    """Somebody asked us to end; no `Exception`, so that nobody who retries catches it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start everything, run until stopped, stop everything; returns the exit status."""
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
        _say("Stopped; the data is kept.")
        return 0
    except StackError as error:
        print(f"scripts/run: {error}", file=sys.stderr)
        return 1


@contextmanager
def _service(options: argparse.Namespace) -> Iterator[list[Child]]:
    """The running service; gives what must stay alive, and stops it in the reverse order."""
    began = time.monotonic()
    directory = options.data_dir.resolve()
    _say(f"Data in {directory}")
    with ExitStack() as cleanup:
        try:
            stack = cleanup.enter_context(LocalStack(directory, report=_say_progress))
            port = options.port or free_port()
            url = f"http://localhost:{port}"
            environment = _environment(stack, url)
            _say_progress("migrating the database")
            _run_flask("db upgrade", stack, environment)
            if options.demo:
                _say_progress("filling in demo data")
                _run_flask("demo", stack, environment)
            _say_progress("starting the Celery worker and gunicorn")
            worker = Child("Celery worker", _celery_command(), environment=environment)
            cleanup.callback(worker.stop)
            server = Child("gunicorn", _gunicorn_command(port), environment=environment)
            cleanup.callback(server.stop)
            worker.wait_until_ready(lambda: _require_answer(environment["REDIS_URL"]))
            events = f"http://127.0.0.1:{port}/api/v1/events/"
            server.wait_until_ready(lambda: urllib.request.urlopen(events, timeout=5))
            _say(f"Ready after {time.monotonic() - began:.1f} s.\n")
            _say_where(options, stack, url, environment["MAIL_SERVER"])
            yield [*stack.children, worker, server]
        finally:
            # from here on everything is stopped, and nothing interrupts that
            _ignore_signals()


def _say_where(options: argparse.Namespace, stack: LocalStack, url: str, mail_server: str) -> None:
    """The last lines: whom to log in as, where to look, how to stop."""
    for account in ACCOUNTS if options.demo else ():
        _say(f"  {account.role.capitalize():<10}  {account.email}  password: {account.password}")
    mail = f"{stack.mailbox}/new" if "MAIL_SERVER" in stack.settings else f"sent to {mail_server}"
    _say(f"  Swagger UI  {url}/docs\n  Mail        {mail}\n  Stop        Ctrl-C\n")


def _environment(stack: LocalStack, url: str) -> dict[str, str]:
    """Settings of the processes: what the environment or `.env` names is used, the rest is embedded."""
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
    """Run a `flask` command to its end."""
    name = f"flask {command}"
    arguments = [sys.executable, "-m", "flask", *command.split()]
    Child(name, arguments, environment=environment, log=stack.log_of(name)).wait()


def _require_answer(redis_url: str) -> None:
    """Raise unless a worker answers through Redis, which is the way that mail takes."""
    url, options = broker_of(redis_url)
    if not Celery(broker=url, broker_transport_options=options).control.ping(timeout=0.3, limit=1):
        raise StackError("no answer from the Celery worker")


def _celery_command() -> list[str]:
    """A worker of two processes, with beat."""
    options = ["--beat", "--concurrency=2", "--without-gossip", "--without-mingle"]
    return [sys.executable, "-m", "celery", "--quiet", "--app=wsgi.celery", "worker", *options]


def _gunicorn_command(port: int) -> list[str]:
    return [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "wsgi:app"]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/run", description="Run the Event Booking API with everything that it needs."
    )
    parser.add_argument("--port", type=_port, default=8000, help="where to listen; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=ROOT / ".local",
        help="where the data is kept (default: .local in the checkout)",
    )
    parser.add_argument("--demo", action="store_true", help="fill in accounts and events to play with")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"Port {port} is not to be had ({error.strerror}); choose another with --port N, or --port 0."
            ) from None


def _raise_stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _say(line: str) -> None:
    print(line, flush=True)


def _say_progress(line: str) -> None:
    _say(f"  ... {line}")
