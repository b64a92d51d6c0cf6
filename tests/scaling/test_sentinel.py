"""A Redis failover through Sentinel."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient

from bookings_api.http.rate_limiting.storage import KEY_PREFIX
from tests.factories import make_event, make_user
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.scaling.sentinels import Sentinels
from tests.service import Service, running_service

pytestmark = pytest.mark.long


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    with Sentinels(tmp_path) as sentinels:
        yield sentinels


@pytest.fixture
def service_with_sentinels(sentinels: Sentinels, settings: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    """A service that knows only the addresses of the Sentinels."""
    directory = tmp_path / "service"
    directory.mkdir()
    with running_service(settings | {"REDIS_URL": sentinels.url}, directory) as service:
        yield service


def test_bookings_emails_and_rate_limits_survive_the_death_of_the_redis_master(
    client: FlaskClient, sentinels: Sentinels, service_with_sentinels: Service, mailbox: Mailbox
) -> None:
    event, user = make_event(client, capacity=10_000), make_user(client)
    booked = 0

    def book_one() -> None:
        nonlocal booked
        response = httpx.post(
            f"{service_with_sentinels.api}/bookings/",
            json={"event_id": event["id"]},
            headers=dict(user.headers),
            timeout=10,
        )
        assert response.status_code == 201, response.text
        booked += 1

    def is_healthy() -> bool:
        book_one()
        return bool(httpx.get(f"{service_with_sentinels.url}/health/ready").json()["redis"] == "ok")

    def limits_are_counted() -> bool:
        book_one()
        return bool(sentinels.keys(f"{KEY_PREFIX}:*"))

    wait_until(is_healthy)
    assert limits_are_counted()
    wait_until(lambda: len(mailbox.to(user.email)) == booked)
    old_master = sentinels.master
    sentinels.kill_master()
    book_one()

    wait_until(lambda: is_healthy() and sentinels.master != old_master)
    for key in sentinels.keys(f"{KEY_PREFIX}:*"):  # those replicated from the old master
        sentinels.delete(key)
    wait_until(limits_are_counted)
    wait_until(lambda: len(mailbox.to(user.email)) == booked)
    for _ in range(3):  # faster than the ten-second sweep: the worker receives messages from the new master
        book_one()
        wait_until(lambda: len(mailbox.to(user.email)) == booked, seconds=9)
