"""Celery's part: workers that empty the outbox, each over one SMTP connection, one claim at a time."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from celery import shared_task
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bookings_api.database.transactions import transaction
from bookings_api.mail import broadcasts, outbox, reminders, status
from bookings_api.mail.delivery import Outcome, attempt
from bookings_api.mail.notifier import DRAIN
from bookings_api.mail.smtp import MailSender
from bookings_api.models import OutboxEmail
from bookings_api.observability.logging import working_for

logger = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(seconds=10)
REMIND_EVERY = timedelta(minutes=1)
WATCH_EVERY = timedelta(minutes=1)
# A worker that is told to stop finishes its task; so a long queue is worked off in turns.
TURN_SECONDS = 10
INSIST_SECONDS = 1

T = TypeVar("T")


def _every(period: timedelta, task: str) -> dict[str, Any]:
    """An entry for beat. What no worker took for an hour is forgotten; sooner, a worker whose clock is ahead of beat's
    might take nothing.
    """
    return {"task": task, "schedule": period, "options": {"expires": 3600}}


BEAT_SCHEDULE = {
    "sweep-outbox": _every(SWEEP_EVERY, DRAIN),
    "remind-guests": _every(REMIND_EVERY, "mail.remind"),
    "watch-outbox": _every(WATCH_EVERY, "mail.watch"),
}


@shared_task(name=DRAIN)
def drain() -> None:
    """Send what is due, over one connection, and write out news for all guests of an event, until nothing is left.

    May run as often, as late, and as many at once as it comes: each mail is claimed by one of them. Direct mail goes
    first: thousands of guests are written to batch by batch, so that they do not stand before somebody who waits.
    """
    turn_ends = time.monotonic() + TURN_SECONDS
    with MailSender() as sender:
        while True:
            server_is_away = _send_what_is_due(sender, turn_ends)
            has_written = _write_notices()
            if time.monotonic() > turn_ends and not server_is_away:
                outbox.wake_worker()
                return
            if server_is_away or not has_written:
                return


@shared_task(name="mail.remind")
def remind() -> None:
    """Write the reminders that are due, batch by batch."""
    while True:
        with transaction() as tx:
            written = reminders.write_next_batch()
            if written:
                tx.after_commit(outbox.wake_worker)
        if written < reminders.BATCH:
            return


@shared_task(name="mail.watch")
def watch() -> None:
    """Log an error when mail is late."""
    status.complain_of_delay()


def _send_what_is_due(sender: MailSender, turn_ends: float) -> bool:
    """Send one mail after the other until none is due or the turn is over; True if the server is away.

    What came of a mail and the claim on the next are one transaction; so a worker that is killed has sent one mail at
    most that it did not record, and leaves one to the end of its lease.
    """
    with transaction():
        mail = outbox.claim_next()
    server_is_away = False
    while mail is not None:
        with working_for(mail.request_id):
            outcome = attempt(sender, mail)
            record = partial(_record, mail, outcome)
            server_is_away = outcome.server_is_away
            goes_on = not server_is_away and time.monotonic() <= turn_ends
            try:
                mail = _insist(partial(record, claims_next=goes_on))
            except Exception:  # whatever the claim on the next one met, this one was sent
                _insist(partial(record, claims_next=False))
                raise
    return server_is_away


def _record(mail: OutboxEmail, outcome: Outcome, *, claims_next: bool) -> OutboxEmail | None:
    """Write what came of a claimed mail, and claim the next one in the same transaction."""
    with transaction():
        if not outcome.record():
            logger.warning("mail %s: this attempt took longer than its lease", mail.id, extra={"mail_id": str(mail.id)})
        return outbox.claim_next() if claims_next else None


def _write_notices() -> bool:
    """Write the next mails of news for all guests of an event; False if there is none."""
    with transaction() as tx:
        has_written = broadcasts.write_next_batch()
        if has_written:
            tx.after_commit(outbox.wake_worker)  # the other workers can help with these
    return has_written


def _insist(work: Callable[[], T]) -> T:
    """Do `work` as soon as PostgreSQL is there: what is sent but not recorded would be sent again.

    Also when that is long after the lease: nobody else could claim the mail meanwhile, and a worker without
    PostgreSQL has nothing better to do.
    """
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            logger.warning("the outcome of a mail waits for PostgreSQL: %s", type(error).__name__)
            time.sleep(INSIST_SECONDS)
