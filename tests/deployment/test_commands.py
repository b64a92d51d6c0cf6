"""The commands of compose.yaml and the Dockerfile, run against real servers."""

from pathlib import Path

import httpx
import pytest
import redis

from tests.deployment.project import ComposeProject
from tests.factories import EVENT, PASSWORD, new_email
from tests.http.nginx import needs_nginx
from tests.http_client import http_client
from tests.polling import wait_until

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", ["api", "worker", "postgres"])
def test_the_health_check_of_a_healthy_service_succeeds(project: ComposeProject, name: str) -> None:
    if name == "worker":
        wait_until(lambda: project.is_running(name))

    check = project.check(name)

    assert check.returncode == 0, check.stdout + check.stderr


@needs_nginx
def test_a_booking_through_nginx_is_confirmed_by_email(project: ComposeProject, tmp_path: Path) -> None:
    with project.nginx(tmp_path) as url, http_client(f"{url}/api/v1") as http:
        account = {"email": new_email(), "password": PASSWORD}
        # by default, organizers cannot sign up: the operator creates the first one
        created = project.execute(
            "api", ["flask", "users", "create", account["email"], "--organizer", f"--password={PASSWORD}"]
        )
        assert created.returncode == 0, created.stdout + created.stderr
        token = http.post("/auth/login", json=account).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        event = http.post("/events/", json=dict(EVENT)).json()
        booking = http.post("/bookings/", json={"event_id": event["id"]})

        assert booking.status_code == 201, booking.text

        def confirmations() -> list[str]:
            subjects = [str(message["Subject"]) for message in project.mailbox.to(account["email"])]
            return [subject for subject in subjects if booking.json()["reference"] in subject]

        wait_until(lambda: len(confirmations()) == 1)


def test_beat_queues_tasks(project: ComposeProject) -> None:
    project.children["worker"].stop()
    with redis.Redis(port=project.redis_port) as connection:
        connection.flushall()
        # No request is running, so only beat can queue a task.
        wait_until(lambda: connection.llen("celery") > 0)
    project.start("worker")
    wait_until(lambda: project.is_running("worker"))


def test_the_health_check_of_a_stopped_service_fails(project: ComposeProject) -> None:
    project.children["api"].stop()
    try:
        assert project.check("api").returncode != 0
    finally:
        project.start("api").wait_until_ready(lambda: httpx.get(f"{project.api}/health/ready").raise_for_status())


@pytest.mark.parametrize("name", ["beat", "worker", "api"])
def test_a_service_stops_cleanly_before_it_would_be_killed(project: ComposeProject, name: str) -> None:
    child = project.children[name]
    wait_until(lambda: project.is_running(name))

    child.stop(seconds=30)

    assert child.exit_status == 0
