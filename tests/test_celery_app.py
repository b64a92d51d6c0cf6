"""How Celery handles an unavailable Redis."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import kombu
import pytest
from celery import Celery
from flask import Flask

from bookings_api import create_app
from bookings_api.celery_app import RECONNECT_SECONDS
from bookings_api.local_stack.processes import free_port
from bookings_api.local_stack.servers import LocalStack
from config import Config
from tests.conftest import NO_ENV_FILE


class _StopRetrying(Exception):
    pass


def test_the_delay_between_reconnection_attempts_is_constant(application: Flask) -> None:
    pauses: list[float] = []

    def on_error(error: Exception, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 2:
            raise _StopRetrying

    connection = application.extensions["celery"].connection_for_write(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(_StopRetrying):
        connection.ensure_connection(on_error, max_retries=None)

    assert pauses == [RECONNECT_SECONDS, RECONNECT_SECONDS]


def test_a_worker_that_loses_redis_with_unacknowledged_messages_can_close_its_channels(
    application: Flask, tmp_path: Path
) -> None:
    celery: Celery = application.extensions["celery"]
    with LocalStack(tmp_path) as stack:
        valkey = stack.start_valkey()
        connection = celery.connection_for_read(stack.settings["REDIS_URL"])
        valkey.wait_until_ready(connection.connect)
        channels: list[Any] = [connection.channel(), connection.channel()]
        for channel in channels:
            kombu.Queue("errands", channel=channel).declare()
            kombu.Producer(channel).publish("an errand", routing_key="errands")
            message = channel.basic_get("errands")
            assert message
        valkey.stop()

        connection.collect()  # like Celery after losing a connection
        for channel in channels:
            channel.close()

        with pytest.raises(connection.connection_errors):  # Celery expects this error for finished tasks
            message.ack()


def test_publishing_gives_up_after_one_attempt_to_reach_the_sentinels(application: Flask) -> None:
    sentinels = ",".join(f"127.0.0.1:{free_port()}" for _ in range(3))
    config = Config.from_environment(NO_ENV_FILE)
    celery = create_app(dataclasses.replace(config, REDIS_URL=f"redis+sentinel://{sentinels}/bookings/0")).extensions[
        "celery"
    ]

    began = time.monotonic()
    with pytest.raises(kombu.exceptions.OperationalError, match="No master found"):
        celery.send_task("unknown")

    assert time.monotonic() - began < 4  # each additional retry of the client would take as long
