"""Runs the service as child processes: gunicorn and a Celery worker."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from celery import Celery
from celery.app.control import Control

from bookings_api.local_stack.processes import Child, free_port
from tests.polling import wait_until

QUEUE = "celery"


@dataclass
class Service:
    """A running service and its log directory.

    Its worker only takes tasks during tests that use it, because all tests of a process share one queue.
    """

    url: str
    directory: Path
    control: Control
    worker_is_active: bool = True

    def resume_worker(self) -> None:
        if not self.worker_is_active:
            self.control.add_consumer(QUEUE, reply=True, limit=1, timeout=10)
            self.worker_is_active = True

    def pause_worker(self) -> None:
        """Wait until the worker has finished its tasks and let it take no more."""
        if self.worker_is_active:
            self.control.cancel_consumer(QUEUE, reply=True, limit=1, timeout=10)
            self.worker_is_active = False
            wait_until(lambda: not any(self.control.inspect(limit=1, timeout=10).active().values()), seconds=10)

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    def log_lines(self) -> list[dict[str, Any]]:
        """All lines logged so far, each parsed as a JSON object."""
        texts = [log.read_text() for log in self.directory.glob("*.log")]
        return [json.loads(line) for text in texts for line in text.splitlines()]


@contextmanager
def running_gunicorn(settings: Mapping[str, str], directory: Path) -> Iterator[tuple[str, Child]]:
    """Run gunicorn with logs in `directory`. Yields its URL and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "wsgi:app"]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(directory), **settings}
    server = Child("gunicorn", command, environment=environment, log=directory / f"server-{port}.log")
    try:
        server.wait_until_ready(lambda: httpx.get(f"{url}/api/v1/events/"))
        yield url, server
    finally:
        server.stop()


@contextmanager
def running_server(settings: Mapping[str, str], directory: Path) -> Iterator[str]:
    """Run gunicorn like `running_gunicorn`, but yield only its URL."""
    with running_gunicorn(settings, directory) as (url, _):
        yield url


@contextmanager
def running_service(settings: Mapping[str, str], directory: Path) -> Iterator[Service]:
    """Run gunicorn and a Celery worker with beat."""
    options = ["--concurrency=2", "--beat"]
    command = [sys.executable, "-m", "celery", "--quiet", "--app=wsgi.celery", "worker", *options]
    worker = Child("Celery worker", command, environment=settings, log=directory / "worker.log")
    try:
        with running_server(settings, directory) as url:
            yield Service(url, directory, Celery(broker=settings["REDIS_URL"]).control)
    finally:
        worker.stop()
