"""The service as an operator runs it: gunicorn and a Celery worker as processes of their own."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from celery import Celery
from celery.app.control import Control

from bookings_api.local_stack.processes import Child, free_port
from bookings_api.observability.metrics import SHARED_DIRECTORY

QUEUE = "celery"


@dataclass
class Service:
    """Where the running service answers, and the directory of its logs.

    Its worker takes tasks only while a test wants it to: the same queue is filled by all tests of a process.
    """

    url: str
    directory: Path
    control: Control
    takes_tasks: bool = True

    def take_tasks(self) -> None:
        """Let the worker work."""
        if not self.takes_tasks:
            self.control.add_consumer(QUEUE, reply=True, limit=1, timeout=10)
            self.takes_tasks = True

    def rest(self) -> None:
        """Have the worker finish what it is at, and take nothing more."""
        if self.takes_tasks:
            self.control.cancel_consumer(QUEUE, reply=True, limit=1, timeout=10)
            self.takes_tasks = False
            deadline = time.monotonic() + 10
            while any(self.control.inspect(limit=1, timeout=10).active().values()):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    def log_lines(self) -> list[dict[str, Any]]:
        """Every line that the service has logged so far; each is one JSON object."""
        texts = [log.read_text() for log in self.directory.glob("*.log")]
        return [json.loads(line) for text in texts for line in text.splitlines()]


@contextmanager
def running_gunicorn(settings: Mapping[str, str], directory: Path) -> Iterator[tuple[str, Child]]:
    """gunicorn, which logs below `directory`; its URL, and itself."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "wsgi:app"]
    environment = {SHARED_DIRECTORY: str(directory), **settings}
    server = Child("gunicorn", command, environment=environment, log=directory / f"server-{port}.log")
    try:
        server.wait_until_ready(lambda: httpx.get(f"{url}/api/v1/events/"))
        yield url, server
    finally:
        server.stop()


@contextmanager
def running_server(settings: Mapping[str, str], directory: Path) -> Iterator[str]:
    """The same, for who needs nothing but the URL."""
    with running_gunicorn(settings, directory) as (url, _):
        yield url


@contextmanager
def running_service(settings: Mapping[str, str], directory: Path) -> Iterator[Service]:
    """gunicorn, and a Celery worker with beat."""
    options = ["--concurrency=2", "--beat"]
    command = [sys.executable, "-m", "celery", "--quiet", "--app=wsgi.celery", "worker", *options]
    worker = Child("Celery worker", command, environment=settings, log=directory / "worker.log")
    try:
        with running_server(settings, directory) as url:
            yield Service(url, directory, Celery(broker=settings["REDIS_URL"]).control)
    finally:
        worker.stop()
