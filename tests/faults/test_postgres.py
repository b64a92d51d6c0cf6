"""PostgreSQL restarted while clients book and workers send."""

import time
from collections.abc import Callable

import pytest

from bookings_api.local_stack.processes import Child
from tests.faults.harness import Site, kill
from tests.faults.trial import Post, Trial


@pytest.mark.parametrize("end", [Child.stop, kill], ids=["stopped", "killed"])
def test_a_restart_of_postgresql_loses_no_booking_and_sends_no_mail_twice(
    end: Callable[[Child], None], site: Site, trial: Trial
) -> None:
    name = f"PostgreSQL {'killed' if end is kill else 'restarted'}"
    with trial.fault(name), site.post_office.behaving(silent_after_data=0.05), trial.clients():
        for _ in range(2):
            time.sleep(0.7)
            end(site.postgres)
            site.restart_postgres()
        trial.await_recovery()

    site.await_idleness()
    trial.await_delivery()
    assert trial.post() == Post(expected=len(trial.references), duplicates=0)
    assert set(trial.answers) <= {"201", "503"}
