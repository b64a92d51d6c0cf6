"""Messages to Celery workers, published outside the request that wrote an email."""

import time
from functools import partial

import pytest
import redis
from flask import Flask

from bookings_api.mail.notifier import PAUSE_SECONDS, WorkerNotifier
from tests.polling import wait_until


@pytest.fixture
def queue(app: Flask) -> redis.Redis:
    """The Redis database with Celery's queue, emptied of messages from other tests."""
    client = redis.Redis.from_url(app.config["REDIS_URL"])
    client.delete("celery")
    return client


def test_many_emails_at_once_need_few_messages(app: Flask, queue: redis.Redis) -> None:
    notifier = WorkerNotifier(app)

    for _ in range(100):
        notifier.wake()

    wait_until(lambda: queue.llen("celery") > 0, seconds=5)
    time.sleep(3 * PAUSE_SECONDS)
    assert queue.llen("celery") <= 3  # at most two from the notifier and one from beat


def test_each_later_email_publishes_another_message(app: Flask, queue: redis.Redis) -> None:
    notifier = WorkerNotifier(app)

    for count in (1, 2, 3):
        notifier.wake()
        wait_until(partial(_has_messages, queue, count), seconds=5)


def _has_messages(queue: redis.Redis, count: int) -> bool:
    return queue.llen("celery") >= count
