"""Each command of compose.yaml and the Dockerfile does what it is there for, on real servers."""

from pathlib import Path

import httpx
import pytest
import redis

from tests.deployment.site import Site
from tests.factories import EVENT, PASSWORD, new_email
from tests.http.nginx import needs_nginx
from tests.polling import wait_until

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", ["api", "worker", "postgres"])
def test_the_health_check_of_a_service_that_is_well_says_so(site: Site, name: str) -> None:
    if name == "worker":
        wait_until(lambda: site.is_at_work(name), seconds=60)

    done = site.check(name)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_nginx
def test_a_booking_through_nginx_is_confirmed_by_mail(site: Site, tmp_path: Path) -> None:
    with site.front(tmp_path) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=30) as http:
        account = {"email": new_email(), "password": PASSWORD}
        http.post("/auth/signup", json={**account, "is_organizer": True}).raise_for_status()
        token = http.post("/auth/login", json=account).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        event = http.post("/events/", json=dict(EVENT)).json()
        booking = http.post("/bookings/", json={"event_id": event["id"]})

        assert booking.status_code == 201, booking.text
        wait_until(lambda: len(site.mailbox.to(account["email"])) == 1, seconds=60)


def test_beat_hands_out_work(site: Site) -> None:
    site.children["worker"].stop()
    with redis.Redis(port=site.redis_port) as connection:
        connection.flushall()
        # nobody writes mail now, so nobody else says that there is some
        wait_until(lambda: connection.llen("celery") > 0, seconds=60)
    site.start("worker")
    wait_until(lambda: site.is_at_work("worker"), seconds=60)


def test_the_check_of_a_service_that_is_not_there_says_so(site: Site) -> None:
    site.children["api"].stop()
    try:
        assert site.check("api").returncode != 0
    finally:
        site.start("api").wait_until_ready(lambda: httpx.get(f"{site.api}/health/ready").raise_for_status())


@pytest.mark.parametrize("name", ["beat", "worker", "api"])
def test_a_service_that_is_told_to_stop_ends_well_before_it_would_be_killed(site: Site, name: str) -> None:
    child = site.children[name]
    wait_until(lambda: site.is_at_work(name), seconds=60)

    child.stop(seconds=30)

    assert child.exit_status == 0
