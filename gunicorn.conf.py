"""gunicorn's settings. The service itself is configured by environment variables (config.py)."""
# ruff: noqa: E402 - the patch and prometheus_client's variable must precede all other imports

from gevent import monkey

# Lets a worker handle other requests while one request waits for PostgreSQL, Redis or a slow client.
monkey.patch_all()

import gc
import os
import shutil
import tempfile
from typing import Any

# prometheus_client reads this variable when it is imported. The default directory is in memory if possible, because a
# full disk kills processes that write to memory-mapped files.
MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
os.environ.setdefault(MULTIPROC_DIR, "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())  # noqa: S108 - the directory gets a random name

from gunicorn import util
from prometheus_client.multiprocess import mark_process_dead

from bookings_api.database.engine import forget_connections
from bookings_api.extensions import db
from bookings_api.http.server import check_request, close_gracefully, write_problem
from bookings_api.observability import metrics
from bookings_api.observability.health import warn_about_connection_limit
from bookings_api.observability.logging import logging_config
from wsgi import app

workers = app.config["WEB_CONCURRENCY"]
worker_class = "gevent"
# Simultaneous connections per worker. This limits memory, because a request body can have up to 256 KiB. Other limits
# are DATABASE_POOL_SIZE for connections to PostgreSQL and MAX_CONCURRENT_HASHES for password hashes.
worker_connections = 1000
timeout = 30
graceful_timeout = 20
keepalive = 5

# Workers are forked from the loaded application, so they start immediately and share its memory.
preload_app = True

# gunicorn creates the control socket in the home directory, which a service account may not have.
control_socket_disable = True

# The application writes the access log. gunicorn's own messages use the same format.
logger_class = "bookings_api.http.server.Log"
logconfig_dict = logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"])
# In messages below ERROR, gunicorn quotes input that it cannot parse, which may contain a password or a token.
logconfig_dict["loggers"]["gunicorn.error"] = {"level": "ERROR", "handlers": [], "propagate": True}

# TRUSTED_PROXIES decides which forwarding headers are trusted (http/proxies.py). By default, gunicorn also trusts the
# headers of local peers and Unix sockets.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def when_ready(server: Any) -> None:
    """Create an empty metrics directory and freeze loaded objects, before the workers are forked.

    `gc.freeze` excludes all loaded objects from garbage collection. Otherwise, each worker's collector would write to
    shared memory pages, and the kernel would copy these pages.
    """
    server.metrics_directory = tempfile.mkdtemp(prefix="bookings-metrics-", dir=os.environ[MULTIPROC_DIR])
    os.chown(server.metrics_directory, server.cfg.uid, server.cfg.gid)
    os.environ[MULTIPROC_DIR] = server.metrics_directory
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """Drop the connections inherited from the parent process."""
    with app.app_context():
        forget_connections()


def post_worker_init(worker: Any) -> None:
    """Start metrics and tracing in the worker, because both need the worker's user ID and gevent loop."""
    metrics.create_initial_series()
    with app.app_context():
        metrics.watch_pool(db.engine)
    if start_tracing := app.extensions.get("telemetry"):
        start_tracing()
    if worker.age == 1:  # only in the first worker
        warn_about_connection_limit(app, processes=workers)


def child_exit(server: Any, worker: Any) -> None:
    """Remove the gauges of a dead worker. Its counters still count towards the totals."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # prometheus_client's


def on_exit(server: Any) -> None:
    """Remove the metrics directory."""
    shutil.rmtree(server.metrics_directory, ignore_errors=True)


pre_request = check_request
# Sends gunicorn's own errors as problems (RFC 9457).
util.write_error = write_problem
util.close = close_gracefully
