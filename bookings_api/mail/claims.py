"""Claims on due emails: a worker claims one, sends it and records the outcome before its lease ends.

No two workers send the same email: claimed rows are locked (`FOR UPDATE SKIP LOCKED`) and then leased, and only the
worker that holds the current lease may record an outcome. All times are the database's, because the clocks of two
machines may differ.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from bookings_api.database.prepared import Prepared, read_row
from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.mail import smtp
from bookings_api.models import UNSENT, EmailKind, EmailStatus, OutboxEmail

# Added to the longest time an SMTP exchange may take, for recording the outcome.
RECORDING = timedelta(seconds=30)
MAX_ERROR = 1000
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=2)
# Spreads the next attempts of emails that failed together.
JITTER = 0.25

# Literals rather than parameters: PostgreSQL must see that a condition matches a partial index.
_UNSENT: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{status}'") for status in UNSENT]
_KNOWN_KINDS: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{kind}'") for kind in EmailKind]


@dataclass(frozen=True)
class Outcome:
    """What an attempt to send an email led to.

    `status` is `sent`, `failed`, `pending` for another attempt after a pause, or None to delete the row.
    """

    status: EmailStatus | None
    error: str | None = None
    server_is_unavailable: bool = False


SENT = Outcome(EmailStatus.SENT)
DROPPED = Outcome(None)


def lease() -> timedelta:
    """How long a claim is valid."""
    return smtp.time_limit() + RECORDING


def is_due(just_finished: sa.CTE | None = None) -> sa.ColumnElement[bool]:
    """Condition for emails that may be sent now.

    An email waits for earlier unsent emails about the same booking to the same recipient, so a confirmation never
    arrives after the cancellation. `just_finished` holds the IDs of emails that no longer count as unsent. Kinds added
    by a newer release are left to its workers.
    """
    earlier = aliased(OutboxEmail)
    waits_for = sa.select(earlier.id).where(
        earlier.booking_id == OutboxEmail.booking_id,
        earlier.recipient == OutboxEmail.recipient,
        earlier.id < OutboxEmail.id,
        earlier.status.in_(_UNSENT),
    )
    if just_finished is not None:
        waits_for = waits_for.where(earlier.id.not_in(sa.select(just_finished.c.id)))
    return sa.and_(
        OutboxEmail.status.in_(_UNSENT),
        OutboxEmail.next_attempt_at <= sa.func.now(),
        OutboxEmail.kind.in_(_KNOWN_KINDS),
        ~waits_for.exists(),
    )


def claim_next() -> OutboxEmail | None:
    """Claim the email that has been due longest; None if nothing is due.

    New emails come before those that have failed before. Emails being claimed by other workers are skipped.
    """
    return _record_and_claim({}, claims_next=True)[1]


def record(email: OutboxEmail, outcome: Outcome, *, claims_next: bool = False) -> tuple[bool, OutboxEmail | None]:
    """Record the outcome of a claimed email and, if asked, claim the next one in the same statement.

    So a worker that is killed has sent at most one email without recording it. The first value is False if the lease
    ended and another worker claimed the email: then its outcome counts.
    """
    if outcome.status is None:
        return _delete(email), claim_next() if claims_next else None
    values = {
        "email_id": email.id,
        "lease_ends_at": email.next_attempt_at,
        "outcome": outcome.status,
        # a server may reply with anything, of any length, and PostgreSQL stores no NUL
        "error": outcome.error and outcome.error.replace("\0", "")[:MAX_ERROR],
        "pause": backoff(email.attempts) if outcome.status is EmailStatus.PENDING else None,
    }
    return _record_and_claim(values, claims_next=claims_next)


def backoff(attempts: int) -> timedelta:
    """Pause after that many attempts: 30 seconds, doubled each time, at most 2 hours, plus jitter."""
    steady: timedelta = min(FIRST_BACKOFF * 2 ** min(attempts - 1, 10), LONGEST_BACKOFF / (1 + JITTER))
    return steady * random.uniform(1, 1 + JITTER)  # noqa: S311 - spreads load, protects nothing


def _delete(email: OutboxEmail) -> bool:
    claimed = sa.delete(OutboxEmail).where(
        OutboxEmail.id == email.id,
        OutboxEmail.status == EmailStatus.SENDING,
        OutboxEmail.next_attempt_at == email.next_attempt_at,
    )
    with transaction():
        deleted = db.session.scalars(
            claimed.returning(OutboxEmail.id), execution_options={"synchronize_session": False}
        )
        return deleted.one_or_none() is not None


def _record_and_claim(recorded: dict[str, Any], *, claims_next: bool) -> tuple[bool, OutboxEmail | None]:
    nothing = dict.fromkeys(("email_id", "lease_ends_at", "outcome", "error", "pause"))
    [(is_recorded, *row)] = _RECORD_AND_CLAIM(lease=lease(), claims_next=claims_next, **nothing | recorded)
    return is_recorded, read_row(OutboxEmail, row) if row[0] else None


def _statement() -> sa.Select[Any]:
    emails = sa.inspect(OutboxEmail).local_table
    email_id = sa.bindparam("email_id", type_=sa.Uuid())
    outcome = sa.bindparam("outcome", type_=sa.String())
    now = sa.func.now()
    closed = (
        sa.update(OutboxEmail)
        .where(
            OutboxEmail.id == email_id,
            OutboxEmail.status == EmailStatus.SENDING,
            OutboxEmail.next_attempt_at == sa.bindparam("lease_ends_at", type_=emails.c.next_attempt_at.type),
        )
        .values(
            status=outcome,
            last_error=sa.bindparam("error", type_=sa.Text()),
            sent_at=sa.case((outcome == sa.literal_column(f"'{EmailStatus.SENT}'"), now)),
            next_attempt_at=sa.func.coalesce(
                now + sa.bindparam("pause", type_=sa.Interval()), OutboxEmail.next_attempt_at
            ),
            updated_at=now,
        )
        .returning(OutboxEmail.id, OutboxEmail.status)
        .cte("closed")
    )
    # the rest of the statement sees the table as it was before `closed`
    finished = sa.select(closed.c.id).where(closed.c.status != EmailStatus.PENDING).cte("finished")
    next_due = (
        sa.select(OutboxEmail.id)
        .where(
            sa.bindparam("claims_next", type_=sa.Boolean()),
            is_due(finished),
            OutboxEmail.id.is_distinct_from(email_id),
        )
        .order_by(OutboxEmail.attempts > sa.literal_column("0"), OutboxEmail.next_attempt_at)
        .limit(sa.literal_column("1"))
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claimed = (
        sa.update(OutboxEmail)
        .where(OutboxEmail.id == next_due)
        .values(
            status=EmailStatus.SENDING,
            attempts=OutboxEmail.attempts + 1,
            next_attempt_at=now + sa.bindparam("lease", type_=sa.Interval()),
            updated_at=now,
        )
        .returning(*emails.c)
        .cte("claimed")
    )
    always = sa.select(sa.exists().select_from(closed).label("is_recorded")).subquery()
    return sa.select(always.c.is_recorded, *claimed.c).select_from(always.outerjoin(claimed, sa.true()))


# One round trip. Statistics that are a minute old miss ten thousand new emails; with sorting enabled, PostgreSQL would
# sort all of them for each claim instead of reading the first one from the index.
_RECORD_AND_CLAIM = Prepared("record_and_claim_email", _statement(), settings="SET LOCAL enable_sort = off; ")
