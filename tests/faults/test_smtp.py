"""Mail servers that are away, silent, busy, or in doubt; bookings never notice."""

import pytest

from bookings_api.models import EmailStatus
from tests.faults.harness import Site, wait_until
from tests.faults.trial import Post, Trial

RETRY_FAILED = """
from bookings_api.mail import outbox
from bookings_api.database.transactions import transaction
from wsgi import app

with app.app_context(), transaction():
    outbox.retry_failed()
"""


@pytest.mark.parametrize("fault", ["away", "silent"])
def test_mails_wait_for_a_server_that_is_not_there(fault: str, site: Site, trial: Trial) -> None:
    away = {"away": site.post_office.away, "silent": site.post_office.silent}[fault]
    with trial.fault(f"SMTP {fault}"), away():
        trial.book(20)
        wait_until(lambda: any(mail.attempts for mail in trial.unsent()))
        site.await_idleness()
        assert trial.post().lost == 20

    site.let_time_pass()
    trial.book(1)
    trial.await_delivery()
    assert trial.post() == Post(expected=31, duplicates=0)


def test_mails_that_a_server_is_too_busy_for_are_sent_later(site: Site, trial: Trial) -> None:
    with trial.fault("SMTP 450"), site.post_office.behaving(rcpt="450 busy"):
        trial.book(20)
        wait_until(lambda: all(mail.attempts for mail in trial.unsent()))
        site.await_idleness()
        assert trial.post().lost == 20

    site.let_time_pass()
    trial.book(1)
    trial.await_delivery()
    assert trial.post() == Post(expected=31, duplicates=0)


def test_mails_that_a_server_refuses_for_good_say_why_and_are_sent_when_an_operator_says_so(
    site: Site, trial: Trial
) -> None:
    with trial.fault("SMTP 550"), site.post_office.behaving(rcpt="550 no such user"):
        trial.book(20)
        wait_until(lambda: not trial.unsent())
    failed = [mail for mail in trial.mails() if mail.status is EmailStatus.FAILED]
    assert len(failed) == trial.post().lost == 20
    assert {mail.last_error for mail in failed} == {"The mail server refused it for good: 550 no such user"}

    site.run_python(RETRY_FAILED)
    trial.book(1)
    trial.await_delivery()
    assert trial.post() == Post(expected=31, duplicates=0)


def test_a_mail_that_a_server_took_without_saying_so_comes_again_and_can_be_told_by_its_message_id(
    site: Site, trial: Trial
) -> None:
    with trial.fault("SMTP drops after DATA"), site.post_office.behaving(drops_after_data=True):
        trial.book(20)
        wait_until(lambda: trial.post().lost < 20)
        site.await_idleness()
    in_doubt = len([mail for mail in trial.unsent() if mail.attempts and mail.status is EmailStatus.PENDING])

    site.let_time_pass()
    trial.book(1)
    trial.await_delivery()
    assert trial.post() == Post(expected=31, duplicates=in_doubt)
