"""The service as an operator runs it: gunicorn and a Celery worker as processes of their own."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bookings_api.local_stack.processes import Child, free_port


@dataclass(frozen=True)
class Service:
    """Where the running service answers, and where its two processes log."""

    url: str
    server_log: Path
    worker_log: Path

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    def log_lines(self) -> list[dict[str, Any]]:
        """Every line that the service has logged so far; each is one JSON object."""
        texts = [log.read_text() for log in (self.server_log, self.worker_log)]
        return [json.loads(line) for text in texts for line in text.splitlines()]


@contextmanager
def running_service(settings: dict[str, str], directory: Path) -> Iterator[Service]:
    port = free_port()
    service = Service(f"http://127.0.0.1:{port}", directory / "server.log", directory / "worker.log")
    server = Child(
        "gunicorn",
        [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "wsgi:app"],
        environment=settings,
        log=service.server_log,
    )
    worker = Child(
        "Celery worker",
        [sys.executable, "-m", "celery", "--quiet", "--app=wsgi.celery", "worker", "--concurrency=2", "--beat",
         "--scheduler=celery.beat:Scheduler"],
        environment=settings,
        log=service.worker_log,
    )  # fmt: skip
    try:
        server.wait_until_ready(lambda: httpx.get(f"{service.api}/events/"))
        yield service
    finally:
        server.stop()
        worker.stop()
