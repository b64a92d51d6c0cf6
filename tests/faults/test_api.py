"""API processes killed after they committed bookings."""

import os
import random
import signal
import time

from tests.faults.cluster import Cluster
from tests.faults.scenario import Delivery, Scenario
from tests.polling import wait_until


def test_the_sweep_sends_emails_whose_api_process_was_killed_before_notifying_a_worker(
    cluster: Cluster, scenario: Scenario
) -> None:
    cluster.wait_until_queue_empty()
    with scenario.fault("API killed after its commit"):
        # Stopped, not hung: a hung Valkey would later read what a dead process wrote to its socket.
        cluster.stop_valkey()
        scenario.book(20)
        for process in cluster.api_processes():
            os.kill(process, signal.SIGKILL)
        cluster.start_valkey()

    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=30, duplicates=0)


def test_bookings_committed_by_killed_api_processes_are_confirmed_by_email(
    cluster: Cluster, scenario: Scenario
) -> None:
    rng = random.Random()  # noqa: S311 - not used for security
    with scenario.fault("API processes killed at random"), scenario.clients():
        for _ in range(8):
            wait_until(lambda: len(cluster.api_processes()) > 1)
            time.sleep(rng.uniform(0.1, 0.4))
            os.kill(rng.choice(cluster.api_processes()), signal.SIGKILL)

    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=len(scenario.references), duplicates=0)
