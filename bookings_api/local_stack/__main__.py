"""`scripts/run`: starts the whole service on this machine and prints the URL of Swagger UI."""

import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from celery import Celery
from dotenv import load_dotenv

from bookings_api.celery_app import broker_settings
from bookings_api.cli.demo import ACCOUNTS
from bookings_api.local_stack.processes import ROOT, STOP_SIGNALS, Child, StackError, free_port
from bookings_api.local_stack.servers import LocalStack

CELERY = ["celery", "--quiet", "--app=wsgi.celery"]
WHO_ORGANIZES = {
    "invite_only": "only people who are invited can become organizers",
    "open": "anyone can become an organizer and manage all accounts; only for evaluation or on trusted networks",
    "own_organization": "anyone can become the owner of a new organization",
}


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port, or 0 for a free one. Default: 8000.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=ROOT / ".local",
    help="Directory for all data. Default: .local in the checkout.",
)
@click.option("--demo", is_flag=True, help="Create demo accounts and events.")
def main(*, port: int, data_dir: Path, demo: bool) -> None:
    """Run the Event Booking API with everything it needs."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: sys.exit())
    try:
        _require_free(port)
        with _service(port or free_port(), data_dir.resolve(), demo=demo) as children:
            while True:
                time.sleep(0.2)
                for child in children:
                    child.require_running()
    except SystemExit:
        click.echo("Stopped. The data is kept.")


@contextmanager
def _service(port: int, directory: Path, *, demo: bool) -> Iterator[list[Child]]:
    """Run the service and yield the processes that must keep running. Stops the processes in reverse order on exit."""
    began = time.monotonic()
    click.echo(f"Data directory: {directory}")
    with ExitStack() as cleanup:
        try:
            stack = cleanup.enter_context(LocalStack(directory, report=click.echo))
            url = f"http://localhost:{port}"
            environment = _environment(stack, url)
            click.echo("Migrating the database ...")
            _run_flask("db upgrade", stack, environment)
            if demo:
                click.echo("Creating demo data ...")
                _run_flask("demo", stack, environment)
            click.echo("Starting Celery and gunicorn ...")
            commands = {
                "Celery worker": [*CELERY, "worker", "--concurrency=2", "--without-gossip", "--without-mingle"],
                "Celery beat": [*CELERY, "beat", "--pidfile="],
                "gunicorn": ["gunicorn", f"--bind=127.0.0.1:{port}", "wsgi:app"],
            }
            children = []
            for name, command in commands.items():
                # not as root, because these processes do not need root and Celery would warn about it
                child = Child(name, [sys.executable, "-m", *command], environment=environment, unprivileged=True)
                cleanup.callback(child.stop)
                children.append(child)
            worker, _, server = children
            worker.wait_until_ready(lambda: _require_worker(environment["REDIS_URL"]))
            ready = f"http://127.0.0.1:{port}/health/ready"
            server.wait_until_ready(lambda: urllib.request.urlopen(ready, timeout=5))
            click.echo(f"Ready after {time.monotonic() - began:.1f} s.\n")
            for account in ACCOUNTS if demo else ():
                click.echo(f"  {account.role.capitalize():<10}  {account.email}  password: {account.password}")
            embedded = "MAIL_SERVER" in stack.settings
            emails = f"{stack.mailbox}/new" if embedded else f"sent through {environment['MAIL_SERVER']}"
            signup = environment["ORGANIZER_SIGNUP"]
            click.echo(f"  Sign-up     ORGANIZER_SIGNUP={signup}: {WHO_ORGANIZES[signup]}")
            click.echo(f"  Swagger UI  {url}/docs\n  Emails      {emails}\n  Stop with   Ctrl-C\n")
            yield [*stack.children, *children]
        finally:
            for number in STOP_SIGNALS:  # stopping the processes must not be interrupted
                signal.signal(number, signal.SIG_IGN)


def _environment(stack: LocalStack, url: str) -> dict[str, str]:
    """Start the servers that are not configured, and return the environment for all processes.

    A server is configured if its variable, such as `DATABASE_URL`, is set in the environment or in `.env`.
    """
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
        "ORGANIZER_SIGNUP": "open",
    }
    return {**defaults, **stack.defaults, **given, **stack.settings}


def _run_flask(command: str, stack: LocalStack, environment: dict[str, str]) -> None:
    """Run a `flask` command and wait until it ends. Raises `StackError` if the command fails."""
    name = f"flask {command}"
    arguments = [sys.executable, "-m", "flask", *command.split()]
    Child(name, arguments, environment=environment, log=stack.log_of(name)).wait()


def _require_worker(redis_url: str) -> None:
    """Raise `StackError` unless a Celery worker responds to a ping through Redis."""
    url, options = broker_settings(redis_url)
    if not Celery(broker=url, broker_transport_options=options).control.ping(timeout=0.3, limit=1):
        raise StackError("the Celery worker does not respond")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"Port {port} is not available ({error.strerror}). Choose another port with --port."
            raise StackError(message) from None


if __name__ == "__main__":
    main(prog_name="scripts/run")
