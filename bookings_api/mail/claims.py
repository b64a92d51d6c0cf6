"""Claims on due emails. A worker claims an email, sends it and records the outcome before the lease ends.

Claims prevent two workers from sending the same email. The claim locks the row with `FOR UPDATE SKIP LOCKED` and gives
the worker a lease. Only the holder of the current lease may record an outcome. All times come from the database,
because clocks may differ between machines.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from bookings_api.database.prepared import Prepared, read_row
from bookings_api.mail import smtp
from bookings_api.models import UNSENT, EmailKind, EmailStatus, OutboxEmail

# The part of the lease that is reserved for recording the outcome
RECORDING_TIME = timedelta(seconds=30)
MAX_ERROR = 1000
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=2)
# Spreads the next attempts of emails that failed at the same time.
JITTER = 0.25

# Literals instead of parameters, because PostgreSQL must see that a condition matches a partial index
_UNSENT: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{status}'") for status in UNSENT]
_KNOWN_KINDS: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{kind}'") for kind in EmailKind]


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt to send an email.

    `status` is `sent`, `failed`, `dropped` or `pending` (another attempt follows after a pause). If `status` is
    None, the row is deleted. `server_is_unavailable` means that further emails would fail as well.
    """

    status: EmailStatus | None
    error: str | None = None
    server_is_unavailable: bool = False


SENT = Outcome(EmailStatus.SENT)
DELETED = Outcome(None)


def lease() -> timedelta:
    """Return how long a claim is valid."""
    return smtp.time_limit() + RECORDING_TIME


_earlier = aliased(OutboxEmail)
# Compares `created_at` first, because IDs contain the time of the machine that wrote the email. Both conditions below
# use the same order. Otherwise two emails could wait for each other.
_is_earlier = sa.and_(
    sa.tuple_(_earlier.created_at, _earlier.id) < sa.tuple_(OutboxEmail.created_at, OutboxEmail.id),
    _earlier.status.in_(_UNSENT),
)
_waits_for_another = sa.exists().where(
    _earlier.booking_id == OutboxEmail.booking_id,
    sa.func.lower(_earlier.recipient) == sa.func.lower(OutboxEmail.recipient),
    _is_earlier,
)
_joins_another = sa.exists().where(
    _earlier.event_id == OutboxEmail.event_id,
    _earlier.kind == OutboxEmail.kind,
    sa.func.lower(_earlier.recipient) == sa.func.lower(OutboxEmail.recipient),
    _is_earlier,
)


def is_due() -> sa.ColumnElement[bool]:
    """Return the condition for emails that may be sent now.

    An email waits for earlier unsent emails about the same booking to the same recipient. A confirmation is therefore
    never sent after the cancellation. If several emails become one message, only the first of them is due (see
    `claim_joined_emails`). Emails whose `kind` this release does not know wait for newer workers.
    """
    return sa.and_(
        OutboxEmail.status.in_(_UNSENT),
        OutboxEmail.next_attempt_at <= sa.func.now(),
        OutboxEmail.kind.in_(_KNOWN_KINDS),
        ~_waits_for_another,
        ~_joins_another,
    )


_next_due = (
    sa.select(OutboxEmail.id)
    .where(is_due())
    .order_by(OutboxEmail.attempts > sa.literal_column("0"), OutboxEmail.next_attempt_at)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_claim = (
    sa.update(OutboxEmail)
    .values(
        status=EmailStatus.SENDING,
        attempts=OutboxEmail.attempts + 1,
        next_attempt_at=sa.func.now() + sa.bindparam("lease", type_=sa.Interval()),
        updated_at=sa.func.now(),
    )
    .returning(*sa.inspect(OutboxEmail).local_table.c)
)
_CLAIM_NEXT = Prepared(
    "claim_next_email",
    _claim.where(OutboxEmail.id == _next_due),
    # If the statistics are too old to include thousands of new emails, PostgreSQL would sort all of these emails for
    # each claim. Reading the first email from the index is ten times as fast.
    settings="SET LOCAL enable_sort = off; ",
)

_joined = (
    sa.select(OutboxEmail.id)
    .where(
        OutboxEmail.event_id == sa.bindparam("event_id", type_=sa.Uuid()),
        OutboxEmail.kind == sa.bindparam("kind", type_=sa.String()),
        sa.func.lower(OutboxEmail.recipient) == sa.func.lower(sa.bindparam("recipient", type_=sa.String())),
        OutboxEmail.id != sa.bindparam("email_id", type_=sa.Uuid()),
        OutboxEmail.status.in_(_UNSENT),
        sa.or_(
            OutboxEmail.status == sa.literal_column(f"'{EmailStatus.PENDING}'"),
            OutboxEmail.next_attempt_at <= sa.func.now(),
        ),
        ~_waits_for_another,
    )
    .with_for_update(skip_locked=True)
)
_CLAIM_JOINED = Prepared("claim_joined_emails", _claim.where(OutboxEmail.id.in_(_joined)))

_is_current_claim = sa.and_(
    OutboxEmail.id == sa.bindparam("email_id", type_=sa.Uuid()),
    OutboxEmail.status == EmailStatus.SENDING,
    OutboxEmail.next_attempt_at == sa.bindparam("lease_ends_at", type_=OutboxEmail.next_attempt_at.type),
)
_outcome = sa.bindparam("outcome", type_=sa.String())
_new_attempt_at = sa.func.now() + sa.bindparam("pause", type_=sa.Interval())
_RECORD = Prepared(
    "record_email_outcome",
    sa.update(OutboxEmail)
    .where(_is_current_claim)
    .values(
        status=_outcome,
        last_error=sa.bindparam("error", type_=sa.Text()),
        sent_at=sa.case((_outcome == EmailStatus.SENT, sa.func.now())),
        next_attempt_at=sa.func.coalesce(_new_attempt_at, OutboxEmail.next_attempt_at),
        updated_at=sa.func.now(),
    )
    .returning(OutboxEmail.id),
)
_DELETE = Prepared("delete_email", sa.delete(OutboxEmail).where(_is_current_claim).returning(OutboxEmail.id))


def claim_next() -> OutboxEmail | None:
    """Claim the next due email and return it. Returns None if no email is due.

    First attempts come before retries. Within each group, the email that has been due longest comes first. Skips emails
    that another worker is claiming.
    """
    return _CLAIM_NEXT.one_or_none(OutboxEmail, lease=lease())


def claim_joined_emails(email: OutboxEmail) -> list[OutboxEmail]:
    """Claim the emails to send in the same message as the claimed `email`. Returns the oldest emails first.

    These are notices or reminders about the guest's other bookings: emails of the same kind about the same event.
    """
    if email.event_id is None:
        return []
    rows = _CLAIM_JOINED(
        event_id=email.event_id, kind=email.kind, recipient=email.recipient, email_id=email.id, lease=lease()
    )
    return sorted((read_row(OutboxEmail, row) for row in rows), key=lambda joined: (joined.created_at, joined.id))


def record(email: OutboxEmail, outcome: Outcome) -> bool:
    """Record the outcome of a claimed email.

    Returns False if the lease has ended and another worker has claimed the email. That worker's outcome then counts.
    """
    claim = {"email_id": email.id, "lease_ends_at": email.next_attempt_at}
    if outcome.status is None:
        return bool(_DELETE(**claim))
    # a server's reply may be long or contain NUL, which PostgreSQL cannot store
    error = outcome.error and outcome.error.replace("\0", "")[:MAX_ERROR]
    pause = backoff(email.attempts) if outcome.status is EmailStatus.PENDING else None
    return bool(_RECORD(**claim, outcome=outcome.status, error=error, pause=pause))


def backoff(attempts: int) -> timedelta:
    """Return the pause before the next attempt.

    The pause is 30 seconds after the first attempt and doubles with each further attempt, up to 2 hours. It includes
    random jitter.
    """
    pause: timedelta = min(FIRST_BACKOFF * 2 ** min(attempts - 1, 10), LONGEST_BACKOFF / (1 + JITTER))
    return pause * random.uniform(1, 1 + JITTER)  # noqa: S311 - not used for security
