"""Celery, bound to the Flask application: tasks run in its context, with its logging and its request ids."""

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
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from bookings_api.database.engine import forget_connections
from bookings_api.http.rate_limiting.redis_client import SentinelUrl
from bookings_api.observability.logging import current_request_id, logging_config, working_for

# A publish is never worth a second try within Celery: the mail is in the outbox, and the sweep finds it.
REDIS_TIMEOUT_SECONDS = 0.5
# What a worker took and did not finish because it was killed comes back after this time.
VISIBILITY_SECONDS = 60
# How often a worker or beat looks whether Redis is back; kombu's own pauses grow to half a minute.
RECONNECT_SECONDS = 2

REQUEST_ID = "bookings_request_id"

# What kombu calls that way.
SENTINEL = "sentinel"


class Channel(redis.Channel):
    """Knows when its connection to a Redis that went away is gone; kombu would stumble, and end the worker."""

    @property
    def do_restore(self) -> bool:  # type: ignore[override]
        """Whether what was taken and not finished can be given back when the channel is closed."""
        return self.connection is not None and self.connection.client is not None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """The way to Redis, to say that a task is done for example. Raises what Celery takes for a lost connection."""
        if not self.do_restore:
            raise RedisConnectionError("the connection of this channel is gone")
        with super().conn_or_acquire(client) as acquired:
            yield acquired


class Transport(redis.Transport):
    """Opens those channels."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same to whatever Redis the Sentinels name."""


class SentinelTransport(redis.SentinelTransport):
    """Opens those."""

    Channel = SentinelChannel


class Connection(kombu.Connection):
    """Looks for its broker again and again, never after a long pause."""

    def get_transport_cls(self) -> type[redis.Transport]:
        return SentinelTransport if self.transport_cls == SENTINEL else Transport

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **{"interval_max": RECONNECT_SECONDS, **options})


class Amqp(AMQP):
    """Makes the connections of workers and beat."""

    Connection = Connection


_BRIEFLY = {"socket_timeout": REDIS_TIMEOUT_SECONDS, "socket_connect_timeout": REDIS_TIMEOUT_SECONDS}
# Of a Sentinel that is away: its client's default is three more tries, seconds apart.
_ONCE = {"retry": Retry(NoBackoff(), 0)}


def broker_of(redis_url: str) -> tuple[str, dict[str, Any]]:
    """The URL as kombu reads it, and options; of Sentinels it wants one URL each, and the service's name apart."""
    url = SentinelUrl.parse(redis_url)
    if url is None:
        return redis_url, {}
    each = [f"{SENTINEL}://{url.login}{host}:{port}/{url.database}" for host, port in url.sentinels]
    return ";".join(each), {"master_name": url.service, "sentinel_kwargs": _BRIEFLY | _ONCE}


def init_celery(app: flask.Flask, beat_schedule: dict[str, Any]) -> None:
    """Make the Celery application of `app` and keep it as `app.extensions["celery"]`."""

    class ApplicationTask(Task):  # type: ignore[type-arg]
        """Runs in the context of the Flask application, on behalf of the request that published it."""

        abstract = True

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context(), working_for((self.request.headers or {}).get(REQUEST_ID)):
                return self.run(*args, **kwargs)

    redis_url: str = app.config["REDIS_URL"]
    broker_url, sentinel_options = broker_of(redis_url)
    celery = Celery(app.name, task_cls=ApplicationTask, amqp=Amqp)
    celery.conf.update(
        broker_url=broker_url,
        # without this a rediss:// URL encrypts, but believes any certificate
        broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if redis_url.startswith("rediss:") else None,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,  # a Redis that turns read-only in a failover would end the worker
        broker_connection_max_retries=None,  # however long Redis is away: the default gives up in the end
        broker_transport_options={
            **_BRIEFLY,
            **sentinel_options,
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
        },
        task_publish_retry_policy={"max_retries": 0},
        # the outbox row is the result
        task_ignore_result=True,
        # a task whose worker dies is given to another; the claim in the database decides who sends
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # a mail in a worker's hands is finished, whatever becomes of Redis
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        beat_schedule=beat_schedule,
        # no file: every entry may run at any time, so beat need not remember when one ran last
        beat_scheduler="celery.beat:Scheduler",
        timezone="UTC",
    )
    celery.set_default()
    app.extensions["celery"] = celery

    @signals.before_task_publish.connect(weak=False)
    def _send_request_id(headers: dict[str, Any], **_: Any) -> None:
        headers[REQUEST_ID] = current_request_id()

    @signals.setup_logging.connect(weak=False)
    def _log_as_the_application_does(**_: Any) -> None:
        logging.config.dictConfig(logging_config(app.config["LOG_FORMAT"], app.config["LOG_LEVEL"]))

    @signals.worker_process_init.connect(weak=False)
    def _drop_inherited_connections(**_: Any) -> None:
        with app.app_context():
            forget_connections()
