"""Workers and beats that are killed in the middle, and too many of them at once."""

import os
import signal
from contextlib import ExitStack

import pytest

from bookings_api.mail.notifier import DRAIN
from bookings_api.models import EmailStatus
from tests.faults.harness import Site, kill, wait_until
from tests.faults.trial import Post, Trial

# How a server's slowness decides what a killed worker was waiting for: its answer to the sender, when it has nothing
# yet, or to the message, when it has all of it.
BEFORE, AFTER = {"silent_for": 0.3}, {"silent_after_data": 0.3}


def _await_the_middle_of_a_mail(trial: Trial) -> None:
    """A batch is under way, and a worker waits for the server."""
    sent = len(trial.mails()) - len(trial.unsent())
    wait_until(lambda: len(trial.mails()) - len(trial.unsent()) > sent)
    wait_until(lambda: any(mail.status is EmailStatus.SENDING for mail in trial.unsent()))
    assert len(trial.unsent()) > 2


@pytest.mark.parametrize("when", [BEFORE, AFTER], ids=["before", "after"])
def test_the_pool_replaces_a_child_that_is_killed_and_its_mail_is_sent_when_its_lease_has_ended(
    when: dict[str, float], site: Site, trial: Trial
) -> None:
    with trial.fault(f"child killed {'after' if when is AFTER else 'before'} DATA"):
        with site.post_office.behaving(**when):
            trial.book(20)
            _await_the_middle_of_a_mail(trial)
            os.kill(site.pool_children_at_work().pop(), signal.SIGKILL)
        wait_until(lambda: len(trial.unsent()) <= 1)
        site.await_idleness()
        (abandoned,) = trial.unsent()
        assert abandoned.status is EmailStatus.SENDING

    site.let_time_pass(abandoned=[abandoned])
    trial.book(1)
    trial.await_delivery()
    post = trial.post()
    assert post == Post(expected=31, duplicates=post.duplicates)
    assert post.duplicates <= 1  # it might have been between the server's answer and the record


@pytest.mark.parametrize("when", [BEFORE, AFTER], ids=["before", "after"])
def test_a_new_worker_takes_over_from_one_that_was_killed(when: dict[str, float], site: Site, trial: Trial) -> None:
    with trial.fault(f"worker killed {'after' if when is AFTER else 'before'} DATA"):
        with site.post_office.behaving(**when):
            trial.book(20)
            _await_the_middle_of_a_mail(trial)
            kill(site.worker)
        trial.book(10)
        abandoned = [mail for mail in trial.unsent() if mail.status is EmailStatus.SENDING]
        assert 1 <= len(abandoned) <= 2

        site.let_time_pass(abandoned=abandoned)
        site.restart_worker()

    trial.await_delivery()
    post = trial.post()
    assert post == Post(expected=40, duplicates=post.duplicates)
    assert post.duplicates <= 2  # as above, for each process of its pool


def test_without_beat_new_bookings_still_get_their_mails(site: Site, trial: Trial) -> None:
    kill(site.beat)
    with trial.fault("beat killed"):
        trial.book(20)

    trial.await_delivery()
    assert trial.post() == Post(expected=30, duplicates=0)


def test_two_workers_two_beats_and_more_messages_than_anybody_needs_send_each_mail_once(
    site: Site, trial: Trial
) -> None:
    with ExitStack() as cleanup, trial.fault("two workers, two beats"):
        for extra in (site.start_worker(), site.start_beat()):
            cleanup.callback(extra.stop)
        site.await_worker(count=2)
        with site.post_office.behaving(silent_for=0.3):
            trial.book(40)
            assert len(trial.unsent()) > 4
            site.publish(DRAIN, count=20)
        trial.await_delivery()

    assert trial.post() == Post(expected=50, duplicates=0)
