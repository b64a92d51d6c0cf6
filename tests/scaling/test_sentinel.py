"""Redis behind Sentinels, whose master dies."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient

from bookings_api.http.rate_limiting.counters import KEY_PREFIX
from tests.factories import make_event, make_user
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.scaling.sentinels import Sentinels
from tests.service import Service, running_service

pytestmark = pytest.mark.long

PATIENCE_SECONDS = 60


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    with Sentinels(tmp_path) as sentinels:
        yield sentinels


@pytest.fixture
def watched(sentinels: Sentinels, settings: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    """The service with nothing but the Sentinels' addresses."""
    directory = tmp_path / "service"
    directory.mkdir()
    with running_service(settings | {"REDIS_URL": sentinels.url}, directory) as service:
        yield service


def test_when_the_master_dies_bookings_go_on_mail_goes_out_and_limits_count_again(
    client: FlaskClient, sentinels: Sentinels, watched: Service, mailbox: Mailbox
) -> None:
    event, user = make_event(client, capacity=10_000), make_user(client)
    booked = 0

    def book_one() -> None:
        nonlocal booked
        answer = httpx.post(
            f"{watched.api}/bookings/", json={"event_id": event["id"]}, headers=dict(user.headers), timeout=10
        )
        assert answer.status_code == 201, answer.text
        booked += 1

    def is_well() -> bool:
        book_one()
        return bool(httpx.get(f"{watched.url}/health/ready").json()["redis"] == "ok")

    def is_counted() -> bool:
        book_one()
        return bool(sentinels.keys(f"{KEY_PREFIX}:*"))

    wait_until(is_well, seconds=PATIENCE_SECONDS)
    assert is_counted()
    wait_until(lambda: len(mailbox.to(user.email)) == booked, seconds=PATIENCE_SECONDS)
    dead = sentinels.master
    sentinels.kill_master()
    book_one()

    wait_until(lambda: is_well() and sentinels.master != dead, seconds=PATIENCE_SECONDS)
    for key in sentinels.keys(f"{KEY_PREFIX}:*"):  # those that the new master has of the old one
        sentinels.forget(key)
    wait_until(is_counted, seconds=PATIENCE_SECONDS)
    wait_until(lambda: len(mailbox.to(user.email)) == booked, seconds=PATIENCE_SECONDS)
    for _ in range(3):  # not by the sweep of every ten seconds alone: the worker takes messages from the new master
        book_one()
        wait_until(lambda: len(mailbox.to(user.email)) == booked, seconds=9)
