"""Celery, bound to the Flask application: tasks run in its context, with its logging and its request IDs."""

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

# Publishing is never retried, because the sweep finds every email in the outbox.
REDIS_TIMEOUT_SECONDS = 0.5
# When a worker is killed, its unfinished tasks are redelivered after this time.
VISIBILITY_SECONDS = 60
# How often workers and beat try to reconnect to Redis; by default, kombu's pauses grow to 30 s.
RECONNECT_SECONDS = 2

REQUEST_ID = "bookings_request_id"

# kombu's URL scheme and name of the transport
SENTINEL = "sentinel"


class Channel(redis.Channel):
    """Handles a lost Redis connection, which would otherwise raise an error in kombu that ends the worker."""

    @property
    def do_restore(self) -> bool:  # type: ignore[override]
        """Whether unfinished messages can be returned when the channel is closed."""
        return self.connection is not None and self.connection.client is not None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Give a client, for example to acknowledge a task. Raises what Celery treats as a lost connection."""
        if not self.do_restore:
            raise RedisConnectionError("the channel has lost its connection")
        with super().conn_or_acquire(client) as acquired:
            yield acquired


class Transport(redis.Transport):
    """The Redis transport with that channel."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same for the Redis primary that the Sentinels name."""


class SentinelTransport(redis.SentinelTransport):
    """The Sentinel transport with that channel."""

    Channel = SentinelChannel


class Connection(kombu.Connection):
    """Keeps trying to reconnect, at short intervals."""

    def get_transport_cls(self) -> type[redis.Transport]:
        return SentinelTransport if self.transport_cls == SENTINEL else Transport

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **{"interval_max": RECONNECT_SECONDS, **options})


class Amqp(AMQP):
    """Makes workers and beat use that connection class."""

    Connection = Connection


_SHORT_TIMEOUTS = {"socket_timeout": REDIS_TIMEOUT_SECONDS, "socket_connect_timeout": REDIS_TIMEOUT_SECONDS}


def broker_settings(redis_url: str) -> tuple[str, dict[str, Any]]:
    """Return kombu's URL and options for `redis_url`. For Sentinels, kombu expects one URL each."""
    service, urls = split_sentinel_url(redis_url)
    if service is None:
        return redis_url, {}
    sentinels = ";".join(url.replace("redis", SENTINEL, 1) for url in urls)
    return sentinels, {"master_name": service, "sentinel_kwargs": _SHORT_TIMEOUTS | NO_RETRY}


def init_celery(app: flask.Flask, beat_schedule: dict[str, Any]) -> None:
    """Create the Celery application, `app.extensions["celery"]`."""

    class ApplicationTask(Task):  # type: ignore[type-arg]
        """Runs in the context of the Flask application, under the ID of the request that published it."""

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
        broker_channel_error_retry=True,  # survives a Redis that becomes read-only in a failover
        broker_connection_max_retries=None,  # never gives up on Redis
        broker_transport_options={
            **_SHORT_TIMEOUTS,
            **sentinel_options,
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
        },
        task_publish_retry_policy={"max_retries": 0},
        # results are stored in the outbox
        task_ignore_result=True,
        # Tasks of a dead worker are redelivered. A claim in the database decides which worker sends an email.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # a worker finishes its email even if it loses Redis
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        beat_schedule=beat_schedule,
        # keeps no file of last runs, because every entry may run at any time
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
