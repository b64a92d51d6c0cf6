"""Outbox rows: written with their cause, claimed by one worker, and completed with an outcome."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.mail import claims, outbox
from bookings_api.mail.claims import DELETED, SENT, Outcome
from bookings_api.models import EmailKind, EmailStatus, OutboxEmail
from tests.factories import book, make_event, make_user, new_email
from tests.mail.composing import PAYLOAD
from tests.times import utcnow

pytestmark = pytest.mark.usefixtures("context")


def _put(**values: Any) -> OutboxEmail:
    with transaction():
        email = outbox.add_email(kind=EmailKind.BOOKING_CONFIRMED, recipient=new_email(), payload=PAYLOAD)
        for name, value in values.items():
            setattr(email, name, value)
    return email


def _claim() -> OutboxEmail | None:
    return claims.claim_next()


def _row(database: sa.Engine, email: OutboxEmail) -> Any:
    with database.connect() as connection:
        return connection.execute(sa.select(OutboxEmail).where(OutboxEmail.id == email.id)).one()


def _ago(**duration: int) -> Any:
    return utcnow() - timedelta(**duration)


def test_an_email_is_written_with_its_cause_or_not_at_all() -> None:
    with pytest.raises(LookupError), transaction():
        outbox.add_email(kind=EmailKind.BOOKING_CONFIRMED, recipient=new_email(), payload=PAYLOAD)
        db.session.flush()
        raise LookupError

    assert db.session.scalars(sa.select(OutboxEmail)).all() == []


def test_an_email_cannot_be_written_outside_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="inside transaction"):
        outbox.add_email(kind=EmailKind.BOOKING_CONFIRMED, recipient=new_email(), payload=PAYLOAD)


def test_a_message_id_is_in_the_senders_domain_and_never_changes() -> None:
    email = _put()
    first = email.message_id

    assert first == f"<{email.id}@example.com>"
    claimed = _claim()
    assert claimed is not None
    assert claimed.message_id == first


def test_a_new_email_is_claimed_immediately_and_once() -> None:
    email = _put()

    claimed = _claim()

    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.attempts) == (email.id, EmailStatus.SENDING, 1)
    assert _claim() is None


def test_a_claim_ends_with_its_lease(database: sa.Engine) -> None:
    email = _put()
    _claim()
    left = _row(database, email).next_attempt_at - utcnow()
    assert timedelta(0) < claims.lease() - left < timedelta(seconds=5)
    with transaction():
        db.session.execute(sa.update(OutboxEmail).values(next_attempt_at=_ago(seconds=1)))

    again = _claim()

    assert again is not None
    assert again.attempts == 2


def test_an_email_that_another_transaction_has_locked_is_skipped(database: sa.Engine) -> None:
    held, free = _put(next_attempt_at=_ago(minutes=1)), _put()
    with database.begin() as elsewhere:
        elsewhere.execute(sa.select(OutboxEmail.id).where(OutboxEmail.id == held.id).with_for_update())

        claimed = _claim()

        assert claimed is not None
        assert claimed.id == free.id
        assert _claim() is None


def test_new_emails_come_first_and_then_those_due_longest() -> None:
    fourth = _put(next_attempt_at=_ago(minutes=3), attempts=1)
    third = _put(next_attempt_at=_ago(minutes=4), status=EmailStatus.SENDING, attempts=1)
    second, first = _put(next_attempt_at=_ago(minutes=1)), _put(next_attempt_at=_ago(minutes=2))
    _put(next_attempt_at=utcnow() + timedelta(minutes=1))

    claimed = [_claim() for _ in range(5)]

    expected = [first.id, second.id, third.id, fourth.id, None]
    assert [email.id if email else None for email in claimed] == expected


def test_an_email_of_an_unknown_kind_waits_for_a_worker_of_a_newer_release(database: sa.Engine) -> None:
    newer, known = _put(next_attempt_at=_ago(minutes=1)), _put()
    check = "CHECK (kind IN ('booking_confirmed', 'ticket_transferred')) NOT VALID"
    with database.begin() as connection:
        connection.execute(sa.text("ALTER TABLE outbox_emails DROP CONSTRAINT ck_outbox_emails_kind"))
        connection.execute(sa.text(f"ALTER TABLE outbox_emails ADD CONSTRAINT newer_kinds {check}"))
        newer_kind = sa.text("UPDATE outbox_emails SET kind = 'ticket_transferred' WHERE id = :id")
        connection.execute(newer_kind, {"id": newer.id})

    try:
        claimed = _claim()

        assert claimed is not None
        assert claimed.id == known.id
        assert _claim() is None
    finally:
        db.session.rollback()
        kinds = ", ".join(f"'{kind}'" for kind in EmailKind)
        with database.begin() as connection:
            connection.execute(sa.text("DELETE FROM outbox_emails"))
            connection.execute(sa.text("ALTER TABLE outbox_emails DROP CONSTRAINT newer_kinds"))
            known_kinds = f"ALTER TABLE outbox_emails ADD CONSTRAINT ck_outbox_emails_kind CHECK (kind IN ({kinds}))"
            connection.execute(sa.text(known_kinds))


@pytest.mark.parametrize("status", [EmailStatus.SENT, EmailStatus.FAILED])
def test_a_sent_or_failed_email_is_not_claimed_again(status: EmailStatus) -> None:
    _put(
        status=status, attempts=1, sent_at=utcnow() if status is EmailStatus.SENT else None, next_attempt_at=utcnow()
    )  # fmt: skip

    assert _claim() is None


def test_a_deferred_email_is_not_claimed_before_its_pause_ends(database: sa.Engine) -> None:
    email = _put()
    claimed = _claim()
    assert claimed is not None
    assert claims.record(claimed, Outcome(EmailStatus.PENDING, "450 busy"))

    row = _row(database, email)
    assert (row.status, row.last_error) == (EmailStatus.PENDING, "450 busy")
    assert timedelta(seconds=25) < row.next_attempt_at - utcnow() < timedelta(seconds=40)
    assert _claim() is None


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 30), (2, 60), (3, 120), (8, 3840), (9, 5760), (500, 5760)])
def test_the_backoff_doubles_from_30_seconds_to_2_hours_with_jitter(attempts: int, seconds: int) -> None:
    waits = {claims.backoff(attempts).total_seconds() for _ in range(100)}

    assert len(waits) > 90
    assert all(seconds <= wait <= min(1.25 * seconds, 7200) for wait in waits)


@pytest.mark.parametrize(
    "outcome", [SENT, DELETED, Outcome(EmailStatus.FAILED, "x"), Outcome(EmailStatus.PENDING, "x")], ids=str
)
def test_an_attempt_that_outlasts_its_lease_does_not_overwrite_the_next_one(outcome: Outcome) -> None:
    _put()
    late = _claim()
    assert late is not None
    with transaction():
        db.session.execute(sa.update(OutboxEmail).values(next_attempt_at=utcnow()))
    current = _claim()
    assert current is not None

    assert not claims.record(late, outcome)
    assert claims.record(current, SENT)
    assert not claims.record(late, outcome)


def test_retrying_failed_emails_restores_all_their_attempts(database: sa.Engine) -> None:
    failed = _put(status=EmailStatus.FAILED, attempts=60)
    sent = _put(status=EmailStatus.SENT, sent_at=utcnow(), attempts=1)

    with transaction():
        assert outbox.retry_failed() == 1

    row = _row(database, failed)
    assert (row.status, row.attempts) == (EmailStatus.PENDING, 0)
    assert _row(database, sent).status is EmailStatus.SENT
    assert _claim() is not None


def test_retrying_deferred_emails_makes_them_due_immediately() -> None:
    email = _put(attempts=3, next_attempt_at=utcnow() + timedelta(hours=1))
    _put(attempts=1, status=EmailStatus.SENDING, next_attempt_at=utcnow() + timedelta(minutes=1))  # claimed

    with transaction():
        assert outbox.retry_deferred() == 1

    claimed = _claim()
    assert claimed is not None
    assert (claimed.id, claimed.attempts) == (email.id, 4)
    assert _claim() is None


def _key_of(moment: datetime) -> UUID:
    """Return the smallest UUIDv7 of that time."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62)


def test_only_emails_sent_long_ago_are_deleted_oldest_first(database: sa.Engine) -> None:
    oldest = _put(id=_key_of(_ago(days=9)), status=EmailStatus.SENT, sent_at=_ago(days=9))
    old = _put(id=_key_of(_ago(days=8)), status=EmailStatus.SENT, sent_at=_ago(days=8))
    kept = [_put(status=EmailStatus.SENT, sent_at=_ago(days=6)), _put(status=EmailStatus.FAILED), _put()]

    def left() -> set[Any]:
        with database.connect() as connection:
            return set(connection.scalars(sa.select(OutboxEmail.id)))

    assert oldest.id in left()
    with transaction():
        assert outbox.delete_old(kept_for=timedelta(days=7), limit=1) == 1
    assert left() == {old.id, *(email.id for email in kept)}
    with transaction():
        assert outbox.delete_old(kept_for=timedelta(days=7), limit=10) == 1
    assert left() == {email.id for email in kept}


def test_the_time_of_sending_is_recorded(database: sa.Engine) -> None:
    email = _put()
    claimed = _claim()
    assert claimed is not None

    assert claims.record(claimed, SENT)

    row = _row(database, email)
    assert (row.status, row.sent_at is not None, row.last_error) == (EmailStatus.SENT, True, None)


@pytest.mark.parametrize(
    ("outcome", "is_next"),
    [
        (SENT, True),
        (DELETED, True),
        (Outcome(EmailStatus.FAILED, "x"), True),
        (Outcome(EmailStatus.PENDING, "x"), False),
    ],
    ids=["sent", "deleted", "failed", "deferred"],
)
def test_an_email_about_a_booking_waits_only_while_an_earlier_one_is_unsent(
    client: FlaskClient, outcome: Outcome, *, is_next: bool
) -> None:
    booking = UUID(book(client, make_user(client), make_event(client)).json["id"])
    with transaction():
        db.session.execute(sa.delete(OutboxEmail))
    recipient = new_email()
    with transaction():
        for kind in (EmailKind.BOOKING_CONFIRMED, EmailKind.BOOKING_CHANGED):
            outbox.add_email(kind=kind, recipient=recipient, payload=PAYLOAD, booking_id=booking)
            db.session.flush()
    earlier = _claim()
    assert earlier is not None
    assert _claim() is None

    assert claims.record(earlier, outcome)

    assert (_claim() is not None) is is_next
