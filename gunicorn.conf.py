"""gunicorn's settings; those of the service itself are in the environment, see config.py."""
# ruff: noqa: E402 - the patch comes before everything else is imported

from gevent import monkey

# What waits, for PostgreSQL, Redis or a slow client, lets other requests of the process go on.
monkey.patch_all()

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from gunicorn import util

from bookings_api.database.engine import forget_connections
from bookings_api.extensions import db
from bookings_api.http.server import write_problem
from bookings_api.observability import metrics
from bookings_api.observability.health import warn_of_connections
from bookings_api.observability.logging import logging_config
from wsgi import app

# One process for each core that the container may use (config.py).
workers = app.config["WEB_CONCURRENCY"]
worker_class = "gevent"
# Of one process, at once. A bound on memory, and so the same on any machine: each holds a request of 256 KiB at most.
# What is scarce has bounds of its own: DATABASE_POOL_SIZE of them ask PostgreSQL, HASHES_AT_ONCE hash a password.
worker_connections = 1000
timeout = 30
graceful_timeout = 20
keepalive = 5

# The application is loaded once and forked: a worker starts at once and shares what it does not write.
preload_app = True

# A control socket would lie in the home directory, which a service may not have.
control_socket_disable = True

# The access line is the application's own; what gunicorn itself has to say takes the same form.
logger_class = "bookings_api.http.server.Log"
logconfig_dict = logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"])
# Below ERROR it would quote what it cannot parse, which may be a password or a token.
logconfig_dict["loggers"]["gunicorn.error"] = {"level": "ERROR", "handlers": [], "propagate": True}

# No header of a request decides where the application lives, nor whether it came by TLS: whom to believe is
# TRUSTED_PROXIES, see http/proxies.py. gunicorn believes every local peer, and through a Unix socket everybody.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def when_ready(server: Any) -> None:
    """Prepare for the forks.

    Spare the collector what was loaded before them: to look at it would unshare it, and takes long. And make the
    directory of what the processes count: an own one, so that nothing of an earlier start is in it; in memory, if there
    is such a place, for a full disk would end a process that writes into a mapped file.
    """
    gc.collect()
    gc.freeze()
    parent = os.environ.get(metrics.SHARED_DIRECTORY) or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)  # noqa: S108
    server.meters = Path(tempfile.mkdtemp(prefix="bookings-meters-", dir=parent))
    os.chown(server.meters, server.cfg.uid, server.cfg.gid)


def pre_fork(server: Any, worker: Any) -> None:
    """Number the processes; in the place of one that died comes one that goes on with its counts."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = min(set(range(len(taken) + 1)) - taken)
    worker.meters = server.meters


def post_fork(server: Any, worker: Any) -> None:
    """Forget connections of the parent."""
    with app.app_context():
        forget_connections()


def post_worker_init(worker: Any) -> None:
    """Begin to count, and to send traces if they are wanted; one process looks whether there are connections for all.

    Now that the process has its user, whose the files are, and a loop of gevent of its own, which the thread needs that
    sends.
    """
    metrics.share(worker.meters, worker.number)
    with app.app_context():
        metrics.watch_pool(db.engine)
    if send_traces := app.extensions.get("telemetry"):
        send_traces()
    if worker.age == 1:
        warn_of_connections(app, processes=workers)


def child_exit(server: Any, worker: Any) -> None:
    """Before another process takes its number."""
    metrics.forget(server.meters, worker.number)


def on_exit(server: Any) -> None:
    """Leave nothing behind."""
    shutil.rmtree(server.meters, ignore_errors=True)


# What gunicorn itself refuses is answered as everything else is.
util.write_error = write_problem
