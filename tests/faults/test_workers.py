"""Celery workers and beat: killed while sending, missing, or running twice."""

import os
import signal
from contextlib import ExitStack

import pytest

from bookings_api.mail.notifier import DRAIN
from bookings_api.models import EmailStatus
from tests.faults.cluster import Cluster, kill
from tests.faults.scenario import Delivery, Scenario
from tests.polling import wait_until

# A slow SMTP server decides when the worker is killed: before the server has the email, or once it has all of it.
KILLED_WHILE = {"before DATA": {"silent_for": 0.3}, "after DATA": {"silent_after_data": 0.3}}

killed_before_and_after_data = pytest.mark.parametrize("when", KILLED_WHILE)


def _wait_until_sending(scenario: Scenario) -> None:
    """Wait until a worker has sent part of a batch and is waiting for the server's response."""
    sent = len(scenario.confirmations()) - len(scenario.unsent())
    wait_until(lambda: len(scenario.confirmations()) - len(scenario.unsent()) > sent)
    wait_until(lambda: any(email.status is EmailStatus.SENDING for email in scenario.unsent()))
    assert len(scenario.unsent()) > 2


@killed_before_and_after_data
def test_a_killed_pool_child_is_replaced_and_its_email_is_sent_after_the_lease(
    when: str, cluster: Cluster, scenario: Scenario
) -> None:
    with scenario.fault(f"pool child killed {when}"):
        with cluster.smtp.responding(**KILLED_WHILE[when]):
            scenario.book(20)
            _wait_until_sending(scenario)
            os.kill(cluster.busy_pool_children().pop(), signal.SIGKILL)
        wait_until(lambda: len(scenario.unsent()) <= 1)
        cluster.wait_until_idle()
        (abandoned,) = scenario.unsent()
        assert abandoned.status is EmailStatus.SENDING

    cluster.make_emails_due(abandoned=[abandoned])
    scenario.book(1)
    scenario.wait_for_delivery()
    delivery = scenario.delivery()
    assert delivery == Delivery(expected=31, duplicates=delivery.duplicates)
    assert delivery.duplicates <= 1  # it may have died between the server's response and recording it


@killed_before_and_after_data
def test_a_new_worker_sends_what_a_killed_worker_left_unsent(when: str, cluster: Cluster, scenario: Scenario) -> None:
    with scenario.fault(f"worker killed {when}"):
        with cluster.smtp.responding(**KILLED_WHILE[when]):
            scenario.book(20)
            _wait_until_sending(scenario)
            kill(cluster.worker)
        scenario.book(10)
        abandoned = [email for email in scenario.unsent() if email.status is EmailStatus.SENDING]
        assert 1 <= len(abandoned) <= 2

        cluster.make_emails_due(abandoned=abandoned)
        cluster.restart_worker()

    scenario.wait_for_delivery()
    delivery = scenario.delivery()
    assert delivery == Delivery(expected=40, duplicates=delivery.duplicates)
    assert delivery.duplicates <= 2  # at most one for each pool process


def test_emails_of_new_bookings_are_sent_without_beat(cluster: Cluster, scenario: Scenario) -> None:
    kill(cluster.beat)
    with scenario.fault("beat killed"):
        scenario.book(20)

    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=30, duplicates=0)


def test_two_workers_two_beats_and_surplus_messages_send_each_email_once(cluster: Cluster, scenario: Scenario) -> None:
    with ExitStack() as cleanup, scenario.fault("two workers, two beats"):
        for extra in (cluster.start_worker(), cluster.start_beat()):
            cleanup.callback(extra.stop)
        cluster.wait_for_workers(count=2)
        with cluster.smtp.responding(silent_for=0.3):
            scenario.book(40)
            assert len(scenario.unsent()) > 4
            cluster.publish(DRAIN, count=20)
        scenario.wait_for_delivery()

    assert scenario.delivery() == Delivery(expected=50, duplicates=0)
