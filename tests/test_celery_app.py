"""How workers and beat look for their Redis."""

import pytest
from flask import Flask

from bookings_api.celery_app import RECONNECT_SECONDS
from bookings_api.local_stack.processes import free_port


class _EnoughSeenError(Exception):
    pass


def test_the_pauses_between_attempts_to_reach_redis_do_not_grow(application: Flask) -> None:
    pauses: list[float] = []

    def note(error: Exception, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 2:
            raise _EnoughSeenError

    connection = application.extensions["celery"].connection_for_write(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(_EnoughSeenError):
        connection.ensure_connection(note, max_retries=None)

    assert pauses == [RECONNECT_SECONDS, RECONNECT_SECONDS]
