"""The complete service on its own servers, as processes that a test can stop, hang and kill individually."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx
import kombu.pools
import redis
import sqlalchemy as sa
from celery import Celery
from celery.app.control import Control

from bookings_api.local_stack.processes import ROOT, Child, free_port
from bookings_api.local_stack.servers import LocalStack
from bookings_api.mail.notifier import PAUSE_SECONDS
from bookings_api.models import EmailStatus, OutboxEmail
from tests.faults.smtp_server import FaultySmtpServer
from tests.local_stack.running import descendants, parent_of
from tests.polling import wait_until


class Cluster:
    """PostgreSQL, Valkey, an SMTP server, gunicorn, a Celery worker and beat; a context manager that stops them."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        """`settings` configures the service; the addresses of its servers are added."""
        self._settings = settings
        self._directory = directory
        self._cleanup = ExitStack()
        self._stack = LocalStack(directory)
        self.smtp = FaultySmtpServer()
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        with ExitStack() as unfinished:
            unfinished.enter_context(self._stack)
            self.postgres = self._stack.start_postgres()
            self.valkey = self._stack.start_valkey()
            self.smtp.start()
            unfinished.callback(self.smtp.stop)
            mail = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(self.smtp.port)}
            # Metrics files of killed gunicorn processes are deleted with the directory.
            metrics = {"PROMETHEUS_MULTIPROC_DIR": str(self._directory)}
            self.environment = {
                **os.environ,
                **metrics,
                **self._stack.defaults,
                **self._settings,
                **self._stack.settings,
                **mail,
            }
            self._start("flask db upgrade", "flask", "db", "upgrade").wait()
            self.server = self._start("gunicorn", "gunicorn", f"--bind={urlsplit(self.url).netloc}", "wsgi:app")
            self.worker = self.start_worker()
            self.beat = self.start_beat()
            unfinished.callback(self._stop_service)
            self.wait_for_workers()
            self.server.wait_until_ready(lambda: httpx.get(f"{self.url}/api/v1/events/"))
            url = sa.make_url(self.environment["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
            self.database = sa.create_engine(url, poolclass=sa.NullPool)
            self._cleanup = unfinished.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def restart_stopped_processes(self) -> None:
        """Restart everything that a test left stopped."""
        if self.valkey.exit_status is not None:
            self.start_valkey()
        if self.postgres.exit_status is not None:
            self.restart_postgres()
        if self.beat.exit_status is not None:
            self.beat = self.start_beat()
        if self.worker.exit_status is not None:
            self.restart_worker()

    def restart_worker(self) -> None:
        """Replace a stopped worker."""
        self.worker = self.start_worker()
        self.wait_for_workers()

    @contextmanager
    def second_server(self, **settings: str) -> Iterator[tuple[str, Child]]:
        """Run a second gunicorn with one worker process. Yields its URL and its process."""
        url = f"http://127.0.0.1:{free_port()}"
        environment = {"WEB_CONCURRENCY": "1", **settings}
        server = self._start("gunicorn-2", "gunicorn", f"--bind={urlsplit(url).netloc}", "wsgi:app", **environment)
        try:
            server.wait_until_ready(lambda: httpx.get(f"{url}/health/live"))
            yield url, server
        finally:
            server.stop()

    @contextmanager
    def locked(self, event_id: str) -> Iterator[None]:
        """Hold the row lock of an event in another session."""
        with self.database.connect() as connection:
            connection.execute(sa.text("SELECT FROM events WHERE id = :id FOR UPDATE"), {"id": event_id})
            yield

    def wait_for_lock_waiters(self, count: int) -> None:
        """Wait until `count` sessions wait for a lock."""
        waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with self.database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            wait_until(lambda: connection.scalar(waiting) == count)

    def start_worker(self) -> Child:
        options = ["--concurrency=2", f"--hostname=worker{free_port()}@%h", "--without-gossip", "--without-mingle"]
        return self._start("worker", "celery", "--quiet", "--app=wsgi.celery", "worker", *options)

    def start_beat(self) -> Child:
        # No PID file: it would be created in the checkout, and two beats would share it.
        return self._start("beat", "celery", "--quiet", "--app=wsgi.celery", "beat", "--pidfile=")

    def wait_for_workers(self, count: int = 1) -> None:
        """Wait until `count` workers respond through Redis."""
        with self._control() as control:
            wait_until(lambda: len(control.ping(timeout=0.5, limit=count) or []) == count)

    def wait_until_idle(self) -> None:
        """Wait until no worker runs a task. Remaining claims then belong to dead workers."""
        with self._control() as control:
            wait_until(lambda: list((control.inspect(timeout=2, limit=1).active() or {}).values()) == [[]])

    def busy_pool_children(self) -> set[int]:
        """The PIDs of the Celery pool processes that are running a task."""
        with self._control() as control:
            active = control.inspect(timeout=2, limit=1).active() or {}
        return {task["worker_pid"] for tasks in active.values() for task in tasks}

    def api_processes(self) -> list[int]:
        """The PIDs of the gunicorn workers."""
        return sorted(descendants(self.server.pid))

    def stop_valkey(self) -> None:
        self.valkey.stop()

    def start_valkey(self) -> None:
        """Start Valkey on the same port and data."""
        self.valkey = self._stack.start_valkey(urlsplit(self.environment["REDIS_URL"]).port)

    def restart_postgres(self) -> None:
        """Restart PostgreSQL on the same port and data. This disconnects all sessions."""
        self.postgres.stop()
        self.postgres = self._stack.start_postgres(urlsplit(self.environment["DATABASE_URL"]).port)

    def flush_redis(self) -> None:
        """Delete all messages once none is in transit."""
        wait_until(lambda: self.queue_length() > 0)
        time.sleep(5 * PAUSE_SECONDS)
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            connection.flushall()

    def wait_until_queue_empty(self) -> None:
        """Wait until no message is queued or unacknowledged, so none can wake a worker."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            wait_until(lambda: connection.exists("celery", "unacked") == 0)

    @contextmanager
    def redis_refusing_writes(self, *, reason: str) -> Iterator[None]:
        """Make Redis read-only because it is `full`, or a `replica` as during a failover."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            if reason == "full":
                connection.config_set("maxmemory", 1)
            else:
                connection.replicaof("127.0.0.1", str(free_port()))  # nothing listens there
            try:
                yield
            finally:
                connection.config_set("maxmemory", 0)
                connection.replicaof("NO", "ONE")

    def queue_length(self) -> int:
        """The number of messages in Redis that no worker has taken yet."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            length = connection.llen("celery")
            assert isinstance(length, int)
            return length

    def publish(self, task: str, count: int) -> None:
        """Queue `count` messages for a task, as beat does."""
        with self._celery() as celery:
            for _ in range(count):
                celery.send_task(task)

    def run_python(self, program: str) -> None:
        """Run a program in the service's environment, as an operator would in a shell."""
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=self.environment, check=True)

    def make_emails_due(self, *, abandoned: Sequence[OutboxEmail] = ()) -> None:
        """End all retry delays and the leases of `abandoned` emails, so tests need not wait 30 s for each.

        Leases held by live workers stay, because those workers would lose their claims.
        """
        expired = [(email.id, email.next_attempt_at) for email in abandoned]
        waiting = OutboxEmail.status == EmailStatus.PENDING
        claimed = sa.tuple_(OutboxEmail.id, OutboxEmail.next_attempt_at).in_(expired)
        with self.database.begin() as connection:
            connection.execute(sa.update(OutboxEmail).where(waiting | claimed).values(next_attempt_at=sa.func.now()))

    def _stop_service(self) -> None:
        for child in (self.beat, self.worker, self.server):
            child.stop()

    @contextmanager
    def _celery(self) -> Iterator[Celery]:
        """A Celery client with new connections: pooled ones break when tests stop Redis."""
        celery = Celery(broker=self.environment["REDIS_URL"], set_as_current=False)
        try:
            yield celery
        finally:
            connection = celery.connection_for_write()
            for pools in (kombu.pools.producers, kombu.pools.connections):
                pools[connection].force_close_all()
                del pools[connection]
            celery.close()

    @contextmanager
    def _control(self) -> Iterator[Control]:
        with self._celery() as celery:
            yield celery.control

    def _start(self, name: str, module: str, *arguments: str, **settings: str) -> Child:
        command = [sys.executable, "-m", module, *arguments]
        return Child(name, command, environment={**self.environment, **settings}, log=self._directory / f"{name}.log")


@contextmanager
def hung(child: Child) -> Iterator[None]:
    """Stop a process and its children with SIGSTOP, so they keep their connections but do not respond."""
    # Individually, because each PostgreSQL session has its own process group. Parent first, so it starts no new child.
    stopped = [child.pid]
    os.kill(child.pid, signal.SIGSTOP)
    for process in descendants(child.pid):
        os.kill(process, signal.SIGSTOP)
        stopped.append(process)
    try:
        yield
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


def kill(child: Child) -> None:
    """Kill a process group with SIGKILL, like the kernel when memory runs out, and wait for its descendants to end."""
    family = descendants(child.pid)
    os.killpg(child.pid, signal.SIGKILL)
    child.stop()
    # PostgreSQL's sessions hold its shared memory until they notice and exit.
    wait_until(lambda: all(parent_of(process) is None for process in family))
