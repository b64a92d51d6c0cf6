"""Processes that are stopped while they are working."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from bookings_api.models import EmailStatus
from tests.faults.cluster import Cluster
from tests.faults.scenario import Delivery, Scenario
from tests.polling import wait_until


def test_a_stopping_server_finishes_its_booking_and_accepts_no_new_requests(
    cluster: Cluster, scenario: Scenario
) -> None:
    with (
        scenario.fault("API stopped during a booking"),
        cluster.second_server() as (url, server),
        ThreadPoolExecutor(2) as pool,
    ):
        with cluster.locked(scenario.event_id):
            booking = pool.submit(scenario.request_booking, url=url)
            cluster.wait_for_lock_waiters(1)
            stopping = pool.submit(server.stop)
            wait_until(lambda: not _accepts_connections(url))
        response = booking.result()
        stopping.result()
        scenario.book(1)  # at the other server

    assert response is not None
    assert response.status_code == 201
    assert server.exit_status == 0
    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=12, duplicates=0)


def test_a_stopping_worker_finishes_the_email_it_is_sending(cluster: Cluster, scenario: Scenario) -> None:
    with scenario.fault("worker stopped while sending"):
        with cluster.smtp.responding(silent_after_data=0.3):
            scenario.book(20)
            wait_until(lambda: any(email.status is EmailStatus.SENDING for email in scenario.unsent()))
            cluster.worker.stop()
        assert cluster.worker.exit_status == 0
        assert [email for email in scenario.unsent() if email.status is EmailStatus.SENDING] == []
        cluster.restart_worker()

    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=30, duplicates=0)


def _accepts_connections(url: str) -> bool:
    try:
        httpx.get(f"{url}/health/live", timeout=1)
    except httpx.TransportError:
        return False
    return True
