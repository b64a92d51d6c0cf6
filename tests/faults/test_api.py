"""API processes that are killed; what they committed is known to the database alone."""

import os
import random
import signal
import time

from tests.faults.harness import Site, wait_until
from tests.faults.trial import Post, Trial


def test_mails_that_an_api_process_told_nobody_of_before_it_was_killed_go_out_with_the_next_sweep(
    site: Site, trial: Trial
) -> None:
    site.await_empty_queue()
    with trial.fault("API killed after its commit"):
        site.stop_valkey()  # not only hung: that would still find in its socket what a dead process wrote there
        trial.book(20)
        for process in site.api_processes():
            os.kill(process, signal.SIGKILL)
        site.start_valkey()

    trial.await_delivery()
    assert trial.post() == Post(expected=30, duplicates=0)


def test_whatever_killed_api_processes_had_committed_is_confirmed_by_mail(site: Site, trial: Trial) -> None:
    chance = random.Random()  # noqa: S311 - guards nothing
    with trial.fault("API processes killed at random"), trial.clients():
        for _ in range(8):
            wait_until(lambda: len(site.api_processes()) > 1)
            time.sleep(chance.uniform(0.1, 0.4))
            os.kill(chance.choice(site.api_processes()), signal.SIGKILL)

    trial.await_delivery()
    confirmed = len(trial.references)
    assert trial.post() == Post(expected=confirmed, duplicates=0)
