"""Redis only wakes workers. Without it, bookings are just as fast and their emails are sent later."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults.cluster import Cluster, hung, kill
from tests.faults.scenario import Delivery, Scenario

# Twenty bookings that each wait for Redis take 10 s; twenty that do not take a fraction of a second.
BOOKING_SECONDS = 5
# Once Redis is back, a worker reconnects within 2 s and beat triggers a sweep every 10 s.
EMAIL_SECONDS = 15


@contextmanager
def _stopped(cluster: Cluster) -> Iterator[None]:
    cluster.stop_valkey()
    yield
    cluster.start_valkey()


FAULTS: dict[str, Callable[[Cluster], AbstractContextManager[None]]] = {
    "stopped": _stopped,
    "hung": lambda cluster: hung(cluster.valkey),
    "full": lambda cluster: cluster.redis_refusing_writes(reason="full"),
    "a replica": lambda cluster: cluster.redis_refusing_writes(reason="replica"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bookings_do_not_wait_for_an_unavailable_redis_and_their_emails_are_sent_afterwards(
    fault: str, cluster: Cluster, scenario: Scenario
) -> None:
    with scenario.fault(f"Redis {fault}"), FAULTS[fault](cluster):
        scenario.book(20)

    assert sum(scenario.during_fault) < BOOKING_SECONDS
    scenario.wait_for_delivery(seconds=EMAIL_SECONDS)
    scenario.book(10)
    scenario.wait_for_delivery(seconds=EMAIL_SECONDS)
    assert scenario.delivery() == Delivery(expected=40, duplicates=0)
    assert (cluster.worker.exit_status, cluster.beat.exit_status) == (None, None)


def test_the_sweep_sends_emails_whose_messages_redis_lost(cluster: Cluster, scenario: Scenario) -> None:
    with scenario.fault("Redis flushed"):
        kill(cluster.worker)  # a running worker might already have taken a message
        scenario.book(20)
        cluster.flush_redis()
        cluster.restart_worker()

    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=30, duplicates=0)
