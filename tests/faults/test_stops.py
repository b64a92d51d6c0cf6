"""Processes that are asked to end while they are at work."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from bookings_api.models import EmailStatus
from tests.faults.harness import Site, wait_until
from tests.faults.trial import Post, Trial


def test_a_server_that_is_told_to_stop_finishes_the_booking_in_its_hands_and_takes_no_more(
    site: Site, trial: Trial
) -> None:
    with (
        trial.fault("API stopped in the middle of a booking"),
        site.another_server() as (url, server),
        ThreadPoolExecutor(2) as pool,
    ):
        with site.locked(trial.event_id):
            order = pool.submit(trial.order, url=url)
            site.await_lock_waiters(1)
            stopping = pool.submit(server.stop)
            wait_until(lambda: not _takes_connections(url))
        answer = order.result()
        stopping.result()
        trial.book(1)  # at the other server

    assert answer is not None
    assert answer.status_code == 201
    assert server.exit_status == 0
    trial.await_delivery()
    assert trial.post() == Post(expected=12, duplicates=0)


def test_a_worker_that_is_told_to_stop_leaves_no_mail_half_sent(site: Site, trial: Trial) -> None:
    with trial.fault("worker stopped in the middle of a mail"):
        with site.post_office.behaving(silent_after_data=0.3):
            trial.book(20)
            wait_until(lambda: any(mail.status is EmailStatus.SENDING for mail in trial.unsent()))
            site.worker.stop()
        assert site.worker.exit_status == 0
        assert [mail for mail in trial.unsent() if mail.status is EmailStatus.SENDING] == []
        site.restart_worker()

    trial.await_delivery()
    assert trial.post() == Post(expected=30, duplicates=0)


def _takes_connections(url: str) -> bool:
    try:
        httpx.get(f"{url}/health/live", timeout=1)
    except httpx.TransportError:
        return False
    return True
