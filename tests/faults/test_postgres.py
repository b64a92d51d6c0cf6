"""PostgreSQL restarts while clients book and workers send."""

import time
from collections.abc import Callable

import pytest

from bookings_api.local_stack.processes import Child
from tests.faults.cluster import Cluster, kill
from tests.faults.scenario import Delivery, Scenario


@pytest.mark.parametrize("end", [Child.stop, kill], ids=["stopped", "killed"])
def test_a_postgresql_restart_loses_no_booking_and_sends_no_email_twice(
    end: Callable[[Child], None], cluster: Cluster, scenario: Scenario
) -> None:
    name = f"PostgreSQL {'killed' if end is kill else 'restarted'}"
    with scenario.fault(name), cluster.smtp.responding(silent_after_data=0.05), scenario.clients():
        for _ in range(2):
            time.sleep(0.7)
            end(cluster.postgres)
            cluster.restart_postgres()
        scenario.wait_for_recovery()

    cluster.wait_until_idle()
    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=len(scenario.references), duplicates=0)
    assert set(scenario.responses) <= {"201", "503"}
