"""PostgreSQL accepts connections but makes no progress: waits are bounded, and the service recovers automatically."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bookings_api.database.timeouts import CONNECT_SECONDS, LOCK_SECONDS, POOL_SECONDS
from tests.faults.cluster import Cluster, hung
from tests.faults.scenario import Scenario

# Allowance for a busy machine.
SLACK_SECONDS = 3


def _timed_get(url: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return httpx.get(url, timeout=60), time.monotonic() - began


def test_a_postgresql_hang_of_five_seconds_loses_no_booking(cluster: Cluster, scenario: Scenario) -> None:
    with scenario.fault("PostgreSQL hung for 5 s"), scenario.clients():
        time.sleep(0.5)
        with hung(cluster.postgres):
            time.sleep(5)
        scenario.wait_for_recovery()

    scenario.wait_for_delivery()
    assert set(scenario.responses) <= {"201", "503"}


def test_requests_fail_within_a_time_limit_while_postgresql_hangs_and_succeed_afterwards(
    cluster: Cluster, scenario: Scenario
) -> None:
    longest = 2 * CONNECT_SECONDS  # a ping on an old connection, then an attempt to open a new one
    with scenario.fault("PostgreSQL hung, eight requests"):
        with ThreadPoolExecutor(8) as pool, hung(cluster.postgres):
            responses = list(pool.map(_timed_get, [f"{cluster.url}/api/v1/events/"] * 8))
            ready, seconds_to_ready = _timed_get(f"{cluster.url}/health/ready")
            live, _ = _timed_get(f"{cluster.url}/health/live")
        scenario.wait_for_recovery()

    for response, seconds in responses:
        assert (response.status_code, response.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(response.headers["Retry-After"]) > 0
        assert seconds < longest + SLACK_SECONDS
    assert (ready.status_code, live.status_code) == (503, 200)
    assert seconds_to_ready < SLACK_SECONDS
    scenario.wait_for_delivery()


@pytest.mark.long
def test_requests_queued_while_postgresql_hangs_wait_concurrently(cluster: Cluster, scenario: Scenario) -> None:
    longest = 2 * CONNECT_SECONDS + CONNECT_SECONDS  # the first requests, as above, then one probe
    with scenario.fault("PostgreSQL hung, forty requests"), cluster.second_server() as (url, _):
        events = [f"{url}/api/v1/events/"] * 40
        with ThreadPoolExecutor(40) as pool:
            before = list(pool.map(_timed_get, events))
            with hung(cluster.postgres):
                responses = list(pool.map(_timed_get, events))
                live, seconds_to_live = _timed_get(f"{url}/health/live")
        scenario.wait_for_recovery(url=url)

    assert {response.status_code for response, _ in before} == {200}
    assert {response.status_code for response, _ in responses} == {503}
    assert all(int(response.headers["Retry-After"]) > 0 for response, _ in responses)
    assert max(seconds for _, seconds in responses) < longest + SLACK_SECONDS
    assert live.status_code == 200
    assert seconds_to_live < 2
    scenario.wait_for_delivery()


def test_a_booking_waits_no_longer_than_the_lock_timeout_and_delays_no_other_request(
    cluster: Cluster, scenario: Scenario
) -> None:
    with scenario.fault("event locked by another session"):
        with ThreadPoolExecutor(1) as pool, cluster.locked(scenario.event_id):
            began = time.monotonic()
            booking = pool.submit(scenario.request_booking)
            cluster.wait_for_lock_waiters(1)
            others, seconds = _timed_get(f"{cluster.url}/api/v1/events/")
            response = booking.result()
            waited = time.monotonic() - began
        scenario.book(1)

    assert others.status_code == 200
    assert seconds < SLACK_SECONDS
    assert response is not None
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert LOCK_SECONDS <= waited < LOCK_SECONDS + SLACK_SECONDS
    scenario.wait_for_delivery()


def test_bookings_refused_because_of_a_lock_are_not_made_after_its_release(
    cluster: Cluster, scenario: Scenario
) -> None:
    event = f"{cluster.url}/api/v1/events/{scenario.event_id}"
    before = httpx.get(event).json()["tickets_booked"]
    with scenario.fault("event locked, five buyers"):
        # each waits for its turn in the process, then for the lock
        with ThreadPoolExecutor(5) as pool, cluster.locked(scenario.event_id):
            responses = [booking.result() for booking in [pool.submit(scenario.request_booking) for _ in range(5)]]
        booked = httpx.get(event).json()["tickets_booked"]
        scenario.book(1)

    assert [response and response.status_code for response in responses] == [503] * 5
    assert booked == before
    scenario.wait_for_delivery()


@pytest.mark.long
def test_requests_are_refused_while_the_connection_pool_is_exhausted(cluster: Cluster, scenario: Scenario) -> None:
    with scenario.fault("pool exhausted"), cluster.second_server(DATABASE_POOL_SIZE="1") as (url, _):
        with ThreadPoolExecutor(1) as pool:
            with cluster.locked(scenario.event_id):
                booking = pool.submit(scenario.request_booking, url=url)
                cluster.wait_for_lock_waiters(1)
                refused, seconds = _timed_get(f"{url}/api/v1/events/")
            first = booking.result()
        after, _ = _timed_get(f"{url}/api/v1/events/")
        scenario.book(1)

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert POOL_SECONDS <= seconds < POOL_SECONDS + SLACK_SECONDS
    assert first is not None
    assert (first.status_code, after.status_code) == (201, 200)
    scenario.wait_for_delivery()
