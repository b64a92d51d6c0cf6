"""gunicorn's settings. The settings of the service itself come from the environment (config.py)."""
# ruff: noqa: E402 - the patch and prometheus_client's variable must precede all other imports

from gevent import monkey

# Lets a process handle other requests while a request waits for PostgreSQL, Redis or a slow client.
monkey.patch_all()

import gc
import os
import shutil
import tempfile
from typing import Any

# prometheus_client reads this variable when it is imported. The default directory is in memory where possible, because
# a process that writes to a memory-mapped file is killed if the disk is full.
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
# Simultaneous connections per worker. This only limits memory, at up to 256 KiB per request. Scarce resources have
# separate limits: DATABASE_POOL_SIZE for connections to PostgreSQL, and MAX_CONCURRENT_HASHES for password hashes.
worker_connections = 1000
timeout = 30
graceful_timeout = 20
keepalive = 5

# Workers are forked from the loaded application, so they start immediately and share its memory.
preload_app = True

# The control socket would be created in the home directory, which a service account may not have.
control_socket_disable = True

# The application writes the access log; gunicorn's own messages use the same format.
logger_class = "bookings_api.http.server.Log"
logconfig_dict = logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"])
# In messages below ERROR, gunicorn quotes input that it cannot parse, which may contain a password or a token.
logconfig_dict["loggers"]["gunicorn.error"] = {"level": "ERROR", "handlers": [], "propagate": True}

# Only TRUSTED_PROXIES decides which forwarding headers are trusted (http/proxies.py). By default, gunicorn would trust
# local peers and Unix sockets.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def when_ready(server: Any) -> None:
    """Prepare for forking workers, which inherit a new, empty directory for their metrics.

    `gc.freeze` excludes all objects loaded so far from garbage collection, which would copy the memory that workers
    share.
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
    """Start metrics and tracing, which need the worker's user ID and its gevent loop."""
    metrics.create_initial_series()
    with app.app_context():
        metrics.watch_pool(db.engine)
    if start_tracing := app.extensions.get("telemetry"):
        start_tracing()
    if worker.age == 1:  # only in the first worker
        warn_about_connection_limit(app, processes=workers)


def child_exit(server: Any, worker: Any) -> None:
    """Remove the gauges of a dead worker. Its counters remain in the sums."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # prometheus_client's


def on_exit(server: Any) -> None:
    """Remove the metrics directory."""
    shutil.rmtree(server.metrics_directory, ignore_errors=True)


pre_request = check_request
# Sends gunicorn's own errors as problems (RFC 9457).
util.write_error = write_problem
util.close = close_gracefully
