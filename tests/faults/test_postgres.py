"""PostgreSQL restarts while clients book and workers send."""

import time
from collections.abc import Callable

import pytest

from bookings_api.local_stack.processes import Child
from bookings_api.models import EmailStatus
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

    # PostgreSQL may have committed a claim without a response; no worker knows of it, and its lease lasts 30 s or more
    claimed = [email for email in scenario.unsent() if email.status is EmailStatus.SENDING]
    cluster.wait_until_idle()
    cluster.make_emails_due(abandoned=claimed)
    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=len(scenario.references), duplicates=0)
    assert set(scenario.responses) <= {"201", "503"}
