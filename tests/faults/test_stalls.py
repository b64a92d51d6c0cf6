"""A PostgreSQL that is there and gets nowhere: nobody waits for ever, and the service comes back by itself."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from bookings_api.database.engine import CONNECT_SECONDS, LOCK_SECONDS, POOL_SECONDS
from tests.faults.harness import Site, hung
from tests.faults.trial import Trial

# What a busy machine may take for what takes no time.
SLACK_SECONDS = 3


def _timed_get(url: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return httpx.get(url, timeout=60), time.monotonic() - began


def test_five_seconds_in_which_postgresql_is_stopped_cost_no_booking(site: Site, trial: Trial) -> None:
    with trial.fault("PostgreSQL hung for 5 s"), trial.clients():
        time.sleep(0.5)
        with hung(site.postgres):
            time.sleep(5)
        trial.await_recovery()

    trial.await_delivery()
    assert set(trial.answers) <= {"201", "503", "409"}  # 409: the attempt before is still being ended


def test_while_postgresql_is_stopped_requests_are_refused_in_a_bounded_time_and_answered_afterwards(
    site: Site, trial: Trial
) -> None:
    longest = 2 * CONNECT_SECONDS  # a ping on an old connection, and an attempt to get a new one
    with trial.fault("PostgreSQL hung, requests refused"):
        with ThreadPoolExecutor(8) as pool, hung(site.postgres):
            answers = list(pool.map(_timed_get, [f"{site.url}/api/v1/events/"] * 8))
            ready, seconds_to_ready = _timed_get(f"{site.url}/health/ready")
            live, _ = _timed_get(f"{site.url}/health/live")
        trial.await_recovery()

    for answer, seconds in answers:
        assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(answer.headers["Retry-After"]) > 0
        assert seconds < longest + SLACK_SECONDS
    assert (ready.status_code, live.status_code) == (503, 200)
    assert seconds_to_ready < SLACK_SECONDS
    trial.await_delivery()


def test_requests_that_queue_up_while_postgresql_is_stopped_wait_together_and_not_one_after_the_other(
    site: Site, trial: Trial
) -> None:
    longest = 2 * CONNECT_SECONDS + CONNECT_SECONDS  # the first ones, as above, and one that looks whether it is back
    with trial.fault("PostgreSQL hung, forty requests at once"), site.another_server() as (url, _):
        events = [f"{url}/api/v1/events/"] * 40
        with ThreadPoolExecutor(40) as pool:
            before = list(pool.map(_timed_get, events))
            with hung(site.postgres):
                answers = list(pool.map(_timed_get, events))
                live, seconds_to_live = _timed_get(f"{url}/health/live")
        trial.await_recovery(url=url)

    assert {answer.status_code for answer, _ in before} == {200}
    assert {answer.status_code for answer, _ in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer, _ in answers)
    assert max(seconds for _, seconds in answers) < longest + SLACK_SECONDS
    assert live.status_code == 200
    assert seconds_to_live < 2
    trial.await_delivery()


def test_a_lock_that_a_stranger_holds_costs_a_booking_its_time_limit_and_others_nothing(
    site: Site, trial: Trial
) -> None:
    with trial.fault("lock held by a stranger"):
        with ThreadPoolExecutor(1) as pool, site.locked(trial.event_id):
            began = time.monotonic()
            order = pool.submit(trial.order)
            site.await_lock_waiters(1)
            others, seconds = _timed_get(f"{site.url}/api/v1/events/")
            answer = order.result()
            waited = time.monotonic() - began
        trial.book(1)

    assert others.status_code == 200
    assert seconds < SLACK_SECONDS
    assert answer is not None
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert LOCK_SECONDS <= waited < LOCK_SECONDS + SLACK_SECONDS
    trial.await_delivery()


def test_what_was_refused_because_of_a_lock_is_not_done_when_the_lock_is_gone(site: Site, trial: Trial) -> None:
    event = f"{site.url}/api/v1/events/{trial.event_id}"
    before = httpx.get(event).json()["tickets_booked"]
    with trial.fault("lock held, five buyers"):
        # each waits for its turn to wait, and then for the lock
        with ThreadPoolExecutor(5) as pool, site.locked(trial.event_id):
            answers = [order.result() for order in [pool.submit(trial.order) for _ in range(5)]]
        booked = httpx.get(event).json()["tickets_booked"]
        trial.book(1)

    assert [answer and answer.status_code for answer in answers] == [503] * 5
    assert booked == before
    trial.await_delivery()


def test_when_all_connections_of_a_process_are_taken_requests_are_refused_until_one_is_free(
    site: Site, trial: Trial
) -> None:
    with trial.fault("pool exhausted"), site.another_server(DATABASE_POOL_SIZE="1") as (url, _):
        with ThreadPoolExecutor(1) as pool:
            with site.locked(trial.event_id):
                order = pool.submit(trial.order, url=url)
                site.await_lock_waiters(1)
                refused, seconds = _timed_get(f"{url}/api/v1/events/")
            first = order.result()
        after, _ = _timed_get(f"{url}/api/v1/events/")
        trial.book(1)

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert POOL_SECONDS <= seconds < POOL_SECONDS + SLACK_SECONDS
    assert first is not None
    assert (first.status_code, after.status_code) == (201, 200)
    trial.await_delivery()
