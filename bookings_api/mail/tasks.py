"""Celery tasks that send emails. Tasks may run late, twice or in parallel: only the outbox determines what is sent."""

import time
from datetime import timedelta
from typing import Any

from celery import shared_task

from bookings_api.database.transactions import transaction
from bookings_api.mail import broadcasts, outbox, reminders, status
from bookings_api.mail.delivery import send_due_emails
from bookings_api.mail.notifier import DRAIN
from bookings_api.mail.smtp import MailSender

SWEEP_EVERY = timedelta(seconds=10)
REMIND_EVERY = timedelta(minutes=1)
WATCH_EVERY = timedelta(minutes=1)
# A task that takes longer queues another task and ends, because a stopping worker waits for its current task.
DRAIN_SECONDS = 10


def _every(period: timedelta, task: str) -> dict[str, Any]:
    """Return an entry for Celery beat's schedule.

    Messages expire only after an hour, because a worker's clock may be ahead of beat's.
    """
    return {"task": task, "schedule": period, "options": {"expires": 3600}}


BEAT_SCHEDULE = {
    "sweep-outbox": _every(SWEEP_EVERY, DRAIN),
    "remind-guests": _every(REMIND_EVERY, "mail.remind"),
    "watch-outbox": _every(WATCH_EVERY, "mail.watch"),
}


@shared_task(name=DRAIN)
def drain() -> None:
    """Send due emails and expand due broadcasts until none are left or `DRAIN_SECONDS` have passed.

    Stops early if the mail server is unavailable. Expands broadcasts batch by batch, so that a confirmation never waits
    behind all emails of a large broadcast.
    """
    ends_at = time.monotonic() + DRAIN_SECONDS
    with MailSender() as sender:
        while True:
            server_is_available = send_due_emails(sender, until=ends_at)
            has_expanded = _expand_broadcast()
            if time.monotonic() > ends_at and server_is_available:
                outbox.wake_worker()
                return
            if not server_is_available or not has_expanded:
                return


@shared_task(name="mail.remind")
def remind() -> None:
    """Write all due reminders, in batches."""
    while True:
        with transaction() as tx:
            written = reminders.write_next_batch()
            if written:
                tx.after_commit(outbox.wake_worker)
        if written < reminders.BATCH:
            return


@shared_task(name="mail.watch")
def watch() -> None:
    """Log an error if emails are overdue."""
    status.log_overdue_emails()


def _expand_broadcast() -> bool:
    with transaction() as tx:
        has_expanded = broadcasts.write_next_batch()
        if has_expanded:
            tx.after_commit(outbox.wake_worker)  # other workers can help to send these emails
    return has_expanded
