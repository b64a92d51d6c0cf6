"""The whole service on servers of its own, in processes that can be stopped, hung and killed one by one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from bookings_api.observability.metrics import SHARED_DIRECTORY
from tests.faults.post_office import PostOffice
from tests.local_stack.running import descendants, parent_of

# Long enough for a machine that is busy with other tests; what works takes a fraction.
PATIENCE_SECONDS = 60


class Site:
    """PostgreSQL, Valkey, an SMTP server, gunicorn, a Celery worker and beat; a context manager that stops them."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        """`settings` are those of the service besides its servers."""
        self._settings = settings
        self._directory = directory
        self._cleanup = ExitStack()
        self._stack = LocalStack(directory)
        self.post_office = PostOffice()
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        with ExitStack() as unfinished:
            unfinished.enter_context(self._stack)
            self.postgres = self._stack.start_postgres()
            self.valkey = self._stack.start_valkey()
            self.post_office.open()
            unfinished.callback(self.post_office.close)
            mail = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(self.post_office.port)}
            # where what a killed gunicorn counted is cleared away in the end
            meters = {SHARED_DIRECTORY: str(self._directory)}
            self.environment = {
                **os.environ,
                **meters,
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
            self.await_worker()
            self.server.wait_until_ready(lambda: httpx.get(f"{self.url}/api/v1/events/"))
            url = sa.make_url(self.environment["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
            self.database = sa.create_engine(url, poolclass=sa.NullPool)
            self._cleanup = unfinished.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def heal(self) -> None:
        """Start again what a test has left dead."""
        if self.valkey.exit_status is not None:
            self.start_valkey()
        if self.postgres.exit_status is not None:
            self.restart_postgres()
        if self.beat.exit_status is not None:
            self.beat = self.start_beat()
        if self.worker.exit_status is not None:
            self.restart_worker()

    def restart_worker(self) -> None:
        """Put a new one in the place of one that is dead."""
        self.worker = self.start_worker()
        self.await_worker()

    @contextmanager
    def another_server(self, **settings: str) -> Iterator[tuple[str, Child]]:
        """One more gunicorn beside the first, of one process; its URL, and itself."""
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
        """A stranger holds the lock on the row of an event."""
        with self.database.connect() as stranger:
            stranger.execute(sa.text("SELECT FROM events WHERE id = :id FOR UPDATE"), {"id": event_id})
            yield

    def await_lock_waiters(self, count: int) -> None:
        """Wait until so many sessions wait for a lock."""
        waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with self.database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            wait_until(lambda: connection.scalar(waiting) == count)

    def start_worker(self) -> Child:
        options = ["--concurrency=2", f"--hostname=worker{free_port()}@%h", "--without-gossip", "--without-mingle"]
        return self._start("worker", "celery", "--quiet", "--app=wsgi.celery", "worker", *options)

    def start_beat(self) -> Child:
        # no pid file: it would lie in the checkout, and two beats would share it
        return self._start("beat", "celery", "--quiet", "--app=wsgi.celery", "beat", "--pidfile=")

    def await_worker(self, count: int = 1) -> None:
        """Wait until so many workers answer through Redis."""
        with self._control() as control:
            wait_until(lambda: len(control.ping(timeout=0.5, limit=count) or []) == count)

    def await_idleness(self) -> None:
        """Wait until no worker is at anything: then every claim that is left is a dead worker's."""
        with self._control() as control:
            wait_until(lambda: list((control.inspect(timeout=2, limit=1).active() or {}).values()) == [[]])

    def pool_children_at_work(self) -> set[int]:
        """The processes of the worker's pool that are emptying the outbox now."""
        with self._control() as control:
            active = control.inspect(timeout=2, limit=1).active() or {}
        return {task["worker_pid"] for tasks in active.values() for task in tasks}

    def api_processes(self) -> list[int]:
        """The processes of gunicorn that answer requests."""
        return sorted(descendants(self.server.pid))

    def stop_valkey(self) -> None:
        self.valkey.stop()

    def start_valkey(self) -> None:
        """On the port that it had, with the data that it had."""
        self.valkey = self._stack.start_valkey(urlsplit(self.environment["REDIS_URL"]).port)

    def restart_postgres(self) -> None:
        """Stop it, if it runs, as an operator does, which cuts sessions off; and start it on the same port and data."""
        self.postgres.stop()
        self.postgres = self._stack.start_postgres(urlsplit(self.environment["DATABASE_URL"]).port)

    def flush_redis(self) -> None:
        """Forget every message, once none is on its way."""
        wait_until(lambda: self.queue_length() > 0)
        time.sleep(5 * PAUSE_SECONDS)
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            connection.flushall()

    def await_empty_queue(self) -> None:
        """Wait until no message is left that could wake a worker, neither in the queue nor taken and unfinished."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            wait_until(lambda: connection.exists("celery", "unacked") == 0)

    @contextmanager
    def redis_refusing_writes(self, *, because: str) -> Iterator[None]:
        """It is `full`, or a `replica` as in a failover."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            if because == "full":
                connection.config_set("maxmemory", 1)
            else:
                connection.replicaof("127.0.0.1", str(free_port()))  # there is nobody there to copy from
            try:
                yield
            finally:
                connection.config_set("maxmemory", 0)
                connection.replicaof("NO", "ONE")

    def queue_length(self) -> int:
        """How many messages wait in Redis for a worker."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as connection:
            length = connection.llen("celery")
            assert isinstance(length, int)
            return length

    def publish(self, task: str, count: int) -> None:
        """Put so many more messages into the queue, as beat does."""
        with self._celery() as celery:
            for _ in range(count):
                celery.send_task(task)

    def run_python(self, program: str) -> None:
        """Run a few lines in the service's environment, as an operator with a shell would."""
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=self.environment, check=True)

    def let_time_pass(self, *, abandoned: Sequence[OutboxEmail] = ()) -> None:
        """End every back-off, and the leases of `abandoned` mails: tests cannot wait 30 s for each.

        The lease of a mail that a live worker is at stays as it is: that worker would lose its claim.
        """
        dead = [(mail.id, mail.next_attempt_at) for mail in abandoned]
        waiting = OutboxEmail.status == EmailStatus.PENDING
        claimed = sa.tuple_(OutboxEmail.id, OutboxEmail.next_attempt_at).in_(dead)
        with self.database.begin() as connection:
            connection.execute(sa.update(OutboxEmail).where(waiting | claimed).values(next_attempt_at=sa.func.now()))

    def _stop_service(self) -> None:
        for child in (self.beat, self.worker, self.server):
            child.stop()

    @contextmanager
    def _celery(self) -> Iterator[Celery]:
        """A client of Celery with connections of its own: kept ones do not survive what tests do to Redis."""
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
    """The process and its children hold their connections and do nothing."""
    # one by one: PostgreSQL's sessions are process groups of their own; the parent first, so that it starts no more
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
    """As the kernel does when memory runs out, with no warning; over when its children are gone, too."""
    family = descendants(child.pid)
    os.killpg(child.pid, signal.SIGKILL)
    child.stop()
    # PostgreSQL's sessions end themselves once they notice, and hold its shared memory until then
    wait_until(lambda: all(parent_of(process) is None for process in family))


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Look often; fail after a time that nothing here should take, or that is promised."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
