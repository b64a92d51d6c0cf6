"""Telling Celery that there is mail, outside the request that wrote it."""

import time
from functools import partial

import pytest
import redis
from flask import Flask

from bookings_api.mail import notifier
from bookings_api.mail.notifier import WorkerNotifier
from tests.polling import wait_until


@pytest.fixture
def queue(app: Flask) -> redis.Redis:
    """The Redis database that Celery's queue is in, without the messages of other tests."""
    client = redis.Redis.from_url(app.config["REDIS_URL"])
    client.delete("celery")
    return client


def test_many_mails_at_once_are_few_messages(app: Flask, queue: redis.Redis) -> None:
    told = WorkerNotifier(app)

    for _ in range(100):
        told.wake()

    wait_until(lambda: queue.llen("celery") > 0, seconds=5)
    time.sleep(3 * notifier.PAUSE_SECONDS)
    assert queue.llen("celery") <= 3  # two of ours, and maybe a sweep of beat's


def test_each_mail_that_comes_later_is_told_too(app: Flask, queue: redis.Redis) -> None:
    told = WorkerNotifier(app)

    for count in (1, 2, 3):
        told.wake()
        wait_until(partial(_has_messages, queue, count), seconds=5)


def _has_messages(queue: redis.Redis, count: int) -> bool:
    return queue.llen("celery") >= count
