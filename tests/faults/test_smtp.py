"""SMTP servers that are stopped, unresponsive, busy or fail after accepting an email."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from bookings_api.models import EmailStatus
from tests.faults.cluster import Cluster
from tests.faults.scenario import Delivery, Scenario
from tests.faults.smtp_server import FaultySmtpServer
from tests.polling import wait_until

RETRY_FAILED = """
from bookings_api.mail import outbox
from bookings_api.database.transactions import transaction
from wsgi import app

with app.app_context(), transaction():
    outbox.retry_failed()
"""

TEMPORARY_FAULTS: dict[str, Callable[[FaultySmtpServer], AbstractContextManager[None]]] = {
    "stopped": FaultySmtpServer.stopped,
    "unresponsive": FaultySmtpServer.unresponsive,
    "450": lambda smtp: smtp.responding(rcpt="450 busy"),
}


@pytest.mark.parametrize("fault", TEMPORARY_FAULTS)
def test_emails_wait_until_the_server_accepts_them(fault: str, cluster: Cluster, scenario: Scenario) -> None:
    with scenario.fault(f"SMTP {fault}"), TEMPORARY_FAULTS[fault](cluster.smtp):
        scenario.book(20)
        attempted = all if fault == "450" else any  # a worker that cannot connect gives up after the first email
        wait_until(lambda: attempted(email.attempts for email in scenario.unsent()))
        cluster.wait_until_idle()
        assert scenario.delivery().lost == 20

    cluster.make_emails_due()
    scenario.book(1)
    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=31, duplicates=0)


def test_permanently_refused_emails_record_the_reason_and_are_sent_when_an_operator_retries(
    cluster: Cluster, scenario: Scenario
) -> None:
    with scenario.fault("SMTP 550"), cluster.smtp.responding(rcpt="550 no such user"):
        scenario.book(20)
        wait_until(lambda: not scenario.unsent())
    failed = [email for email in scenario.confirmations() if email.status is EmailStatus.FAILED]
    assert len(failed) == scenario.delivery().lost == 20
    assert {email.last_error for email in failed} == {"The mail server refused the email permanently: 550 no such user"}

    cluster.run_python(RETRY_FAILED)
    scenario.book(1)
    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=31, duplicates=0)


def test_an_email_accepted_without_a_response_is_sent_again_with_the_same_message_id(
    cluster: Cluster, scenario: Scenario
) -> None:
    with scenario.fault("SMTP drops after DATA"), cluster.smtp.responding(drops_after_data=True):
        scenario.book(20)
        wait_until(lambda: scenario.delivery().lost < 20)
        cluster.wait_until_idle()
    pending = [email for email in scenario.unsent() if email.attempts and email.status is EmailStatus.PENDING]

    cluster.make_emails_due()
    scenario.book(1)
    scenario.wait_for_delivery()
    assert scenario.delivery() == Delivery(expected=31, duplicates=len(pending))
