"""Configures Celery. Tasks run in the context of the Flask application, with its logging and request IDs."""

import logging.config
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import kombu
from celery import Celery, Task, signals
from celery.app.amqp import AMQP
from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bookings_api.database.engine import forget_connections
from bookings_api.observability.logging import bound_request_id, current_request_id, logging_config
from bookings_api.redis_client import NO_RETRY, split_sentinel_url

# The timeout for connecting to Redis and for each reply.
REDIS_TIMEOUT_SECONDS = 0.5
# When a worker is killed, its unfinished tasks are redelivered after this time.
VISIBILITY_SECONDS = 60
# The longest pause before workers and beat try to reconnect to Redis. By default, kombu's pauses grow to 30 s.
RECONNECT_SECONDS = 2

REQUEST_ID = "bookings_request_id"

# the URL scheme and transport name that kombu uses for Sentinel
SENTINEL = "sentinel"


class Channel(redis.Channel):
    """A channel that lets the worker reconnect to Redis. With kombu's class, a lost connection crashes the worker."""

    @property
    def do_restore(self) -> bool:  # type: ignore[override] # a plain attribute in kombu
        """Whether the channel can return unfinished messages to the queue when it closes."""
        return self.connection is not None and self.connection.client is not None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield a Redis client, for example to acknowledge a task.

        Raises redis-py's `ConnectionError` if the connection is lost, which makes Celery reconnect.
        """
        if not self.do_restore:
            raise RedisConnectionError("the channel has lost its connection")
        with super().conn_or_acquire(client) as acquired:
            yield acquired


class Transport(redis.Transport):
    """kombu's Redis transport with our `Channel`."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):
    """The channel for a Redis primary monitored by Sentinels."""


class SentinelTransport(redis.SentinelTransport):
    """kombu's Sentinel transport with our `SentinelChannel`."""

    Channel = SentinelChannel


class Connection(kombu.Connection):
    """A broker connection with our transports. Pauses at most `RECONNECT_SECONDS` between attempts to reconnect."""

    def get_transport_cls(self) -> type[redis.Transport]:
        return SentinelTransport if self.transport_cls == SENTINEL else Transport

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **{"interval_max": RECONNECT_SECONDS, **options})


class Amqp(AMQP):
    """Makes workers and beat use `Connection`."""

    Connection = Connection


_SHORT_TIMEOUTS = {"socket_timeout": REDIS_TIMEOUT_SECONDS, "socket_connect_timeout": REDIS_TIMEOUT_SECONDS}


def broker_settings(redis_url: str) -> tuple[str, dict[str, Any]]:
    """Return the broker URL and the transport options for `redis_url`.

    With Sentinels, the broker URL contains one URL for each Sentinel, separated by semicolons.
    """
    service, urls = split_sentinel_url(redis_url)
    if service is None:
        return redis_url, {}
    sentinels = ";".join(url.replace("redis", SENTINEL, 1) for url in urls)
    return sentinels, {"master_name": service, "sentinel_kwargs": _SHORT_TIMEOUTS | NO_RETRY}


def init_celery(app: flask.Flask, beat_schedule: dict[str, Any]) -> None:
    """Create the Celery application and store it in `app.extensions["celery"]`."""

    class ApplicationTask(Task):  # type: ignore[type-arg] # only the stubs are generic
        """A task that runs in an application context, with the ID of the request that published the task."""

        abstract = True

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context(), bound_request_id((self.request.headers or {}).get(REQUEST_ID)):
                return self.run(*args, **kwargs)

    redis_url: str = app.config["REDIS_URL"]
    broker_url, sentinel_options = broker_settings(redis_url)
    celery = Celery(app.name, task_cls=ApplicationTask, amqp=Amqp)
    celery.conf.update(
        broker_url=broker_url,
        # without this, rediss:// would accept any certificate
        broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if redis_url.startswith("rediss:") else None,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,  # survives a primary that becomes read-only in a failover
        broker_connection_max_retries=None,  # never gives up on Redis
        broker_transport_options={
            **_SHORT_TIMEOUTS,
            **sentinel_options,
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
        },
        task_publish_retry_policy={"max_retries": 0},  # because a periodic task also sends all due emails
        # the outbox table stores the outcome of each email
        task_ignore_result=True,
        # Redelivers the tasks of a dead worker. Running a task twice does no harm, because workers claim emails in the
        # database before they send them.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # a worker that loses its connection to Redis finishes its current task
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        beat_schedule=beat_schedule,
        # unlike the default scheduler, stores no past runs in a file; running a task early does no harm
        beat_scheduler="celery.beat:Scheduler",
        timezone="UTC",
    )
    celery.set_default()
    app.extensions["celery"] = celery

    @signals.before_task_publish.connect(weak=False)
    def _send_request_id(headers: dict[str, Any], **_: Any) -> None:
        headers[REQUEST_ID] = current_request_id()

    @signals.setup_logging.connect(weak=False)
    def _configure_logging(**_: Any) -> None:
        logging.config.dictConfig(logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"]))

    @signals.worker_process_init.connect(weak=False)
    def _drop_inherited_connections(**_: Any) -> None:
        with app.app_context():
            forget_connections()
