"""Rows of the outbox: written with their cause, claimed once, closed with an outcome."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import MailKind, MailStatus, OutboxMail, utcnow
from bookings_api.transactions import transaction
from tests.factories import new_email
from tests.mail.test_messages import FACTS

pytestmark = pytest.mark.usefixtures("context")


def _put(**values: Any) -> OutboxMail:
    with transaction():
        mail = outbox.put(kind=MailKind.BOOKING_CONFIRMED, recipient=new_email(), facts=FACTS)
        for name, value in values.items():
            setattr(mail, name, value)
    return mail


def _claim(mail_id: UUID) -> OutboxMail | None:
    with transaction():
        return outbox.claim(mail_id)


def test_a_mail_is_written_with_what_caused_it_or_not_at_all() -> None:
    with pytest.raises(LookupError), transaction():
        outbox.put(kind=MailKind.BOOKING_CONFIRMED, recipient=new_email(), facts=FACTS)
        db.session.flush()
        raise LookupError

    assert db.session.scalars(sa.select(OutboxMail)).all() == []


def test_a_mail_cannot_be_written_outside_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="inside transaction"):
        outbox.put(kind=MailKind.BOOKING_CONFIRMED, recipient=new_email(), facts=FACTS)


def test_a_message_id_is_in_our_domain_and_never_changes() -> None:
    mail = _put()
    first = mail.message_id

    assert first == f"<{mail.id}@example.com>"
    claimed = _claim(mail.id)
    assert claimed is not None
    assert claimed.message_id == first


def test_a_new_mail_is_claimed_once() -> None:
    mail = _put()

    claimed = _claim(mail.id)

    assert claimed is not None
    assert (claimed.status, claimed.attempts) == (MailStatus.SENDING, 1)
    assert _claim(mail.id) is None


def test_a_claim_ends_with_its_lease() -> None:
    mail = _put()
    _claim(mail.id)
    with transaction():
        mail.next_attempt_at = utcnow() - timedelta(seconds=1)

    again = _claim(mail.id)

    assert again is not None
    assert again.attempts == 2


def test_a_mail_that_another_transaction_holds_is_passed_over(database: sa.Engine) -> None:
    mail = _put()
    with database.begin() as elsewhere:
        elsewhere.execute(sa.select(OutboxMail.id).where(OutboxMail.id == mail.id).with_for_update())

        assert _claim(mail.id) is None


@pytest.mark.parametrize("status", [MailStatus.SENT, MailStatus.FAILED])
def test_a_mail_with_an_outcome_is_not_claimed_again(status: MailStatus) -> None:
    mail = _put(
        status=status, attempts=1, sent_at=utcnow() if status is MailStatus.SENT else None, next_attempt_at=utcnow()
    )

    assert _claim(mail.id) is None


def test_a_deferred_mail_is_not_claimed_before_its_time() -> None:
    mail = _put()
    _claim(mail.id)
    with transaction():
        outbox.mark_deferred(mail, "450 busy")

    assert (mail.status, mail.last_error) == (MailStatus.PENDING, "450 busy")
    assert _claim(mail.id) is None


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 30), (2, 60), (3, 120), (8, 3840), (9, 7200), (500, 7200)])
def test_the_wait_doubles_from_30_seconds_to_2_hours(attempts: int, seconds: int) -> None:
    mail = _put(attempts=attempts, status=MailStatus.SENDING)
    before = utcnow()

    with transaction():
        outbox.mark_deferred(mail, "450 busy")

    assert timedelta(0) <= mail.next_attempt_at - before - timedelta(seconds=seconds) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "outcome", [outbox.mark_sent, partial(outbox.mark_failed, error="x"), partial(outbox.mark_deferred, error="x")]
)
def test_an_attempt_that_outlived_its_lease_does_not_overwrite_the_next_one(
    outcome: Callable[[OutboxMail], bool],
) -> None:
    mail = _put()
    late = _claim(mail.id)
    assert late is not None
    db.session.expunge(late)
    with transaction():
        db.session.execute(sa.update(OutboxMail).values(next_attempt_at=utcnow()))
    current = _claim(mail.id)
    assert current is not None

    with transaction():
        assert outcome(late) is False
        assert outbox.mark_sent(current) is True
    with transaction():
        assert outcome(late) is False


def _take(limit: int = 10) -> list[UUID]:
    with transaction():
        return [mail_id for mail_id, _ in outbox.take_due(limit=limit)]


def test_due_mails_are_the_unsent_ones_whose_time_has_come_the_longest_due_first() -> None:
    now = utcnow()
    second = _put(next_attempt_at=now - timedelta(minutes=1))
    first = _put(next_attempt_at=now - timedelta(minutes=2), status=MailStatus.SENDING, attempts=1)
    _put(next_attempt_at=now + timedelta(minutes=1))
    _put(next_attempt_at=now - timedelta(minutes=3), status=MailStatus.FAILED)

    assert _take(limit=1) == [first.id]
    assert _take() == [second.id]


def test_a_mail_is_taken_by_one_sweep_and_again_when_nothing_came_of_it() -> None:
    mail = _put(next_attempt_at=utcnow() - timedelta(minutes=1))
    assert _take() == [mail.id]
    assert _take() == []

    with transaction():
        mail.handed_over_at = utcnow() - outbox.HAND_OVER_AGAIN

    assert _take() == [mail.id]


def test_a_mail_that_is_given_back_is_due_at_once() -> None:
    mail = _put(next_attempt_at=utcnow() - timedelta(minutes=1))
    with transaction():
        outbox.give_back(_take_within())

    assert _take() == [mail.id]


def _take_within() -> list[UUID]:
    return [mail_id for mail_id, _ in outbox.take_due(limit=10)]
