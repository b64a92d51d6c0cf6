"""Celery's part: one task sends one mail, another hands over again what was left behind."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from kombu.exceptions import OperationalError

from bookings_api.mail import links, messages, notices, outbox, smtp
from bookings_api.models import Event, MailKind, OutboxMail
from bookings_api.observability import working_for
from bookings_api.transactions import Transaction, transaction

logger = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(seconds=10)
SWEEP_LIMIT = 500

# A sweep that nobody got round to is of no use once the next one is there.
BEAT_SCHEDULE = {
    "sweep-outbox": {
        "task": "mail.sweep",
        "schedule": SWEEP_EVERY,
        "options": {"expires": SWEEP_EVERY.total_seconds()},
    }
}


def post(
    tx: Transaction,
    *,
    kind: MailKind,
    recipient: str,
    facts: dict[str, Any],
    user_id: UUID,
    booking_id: UUID | None = None,
) -> None:
    """Write a mail into the open transaction, and hand it to Celery once that is committed.

    Handing over never fails: what Redis does not take now, the sweep hands over later.
    """
    mail = outbox.put(kind=kind, recipient=recipient, facts=facts, user_id=user_id, booking_id=booking_id)
    tx.after_commit(partial(_publish, deliver, mail.id))


def announce(tx: Transaction, event: Event, kind: MailKind) -> None:
    """Tell all guests of `event`, in the same two steps."""
    notice = notices.put(event, kind)
    tx.after_commit(partial(_publish, expand, notice.id))


@shared_task(name="mail.deliver")
def deliver(mail_id: str) -> None:
    """Claim one mail, send it, and record the outcome."""
    with transaction():
        mail = outbox.claim(UUID(mail_id))
    if mail is None:
        logger.info("mail %s needs no sending now", mail_id, extra={"mail_id": mail_id})
        return
    facts = {"mail_id": mail_id, "kind": mail.kind.value, "attempt": mail.attempts}
    try:
        smtp.send(mail, messages.render(mail.kind, mail.facts | links.links_for(mail.kind, mail.facts)))
    except smtp.TryAgain as error:
        logger.warning("mail %s deferred: %s", mail_id, error, extra=facts)
        _record(outbox.mark_deferred, mail, str(error))
    except smtp.RefusedForGood as error:
        logger.error("mail %s failed: %s", mail_id, error, extra=facts)  # noqa: TRY400 - the server's answer says it all
        _record(outbox.mark_failed, mail, str(error))
    except Exception as error:  # a mistake of ours, which the next release may mend: the mail waits for it
        logger.exception("mail %s could not be made", mail_id, extra=facts)
        _record(outbox.mark_deferred, mail, f"{type(error).__name__}: {error}")
    else:
        logger.info("mail %s sent", mail_id, extra=facts)
        _record(outbox.mark_sent, mail)


@shared_task(name="mail.expand")
def expand(notice_id: str) -> None:
    """Write a notice out as one mail for each guest, batch by batch, and hand them over."""
    written = 0
    while True:
        with transaction():
            batch = notices.write_next_batch(UUID(notice_id))
        if batch is None:
            break
        written += len(batch)
        for mail in batch:
            if not _publish(deliver, mail.id):
                break  # the sweep hands over the rest
    logger.info("notice %s: %d mails written", notice_id, written, extra={"notice_id": notice_id, "mails": written})


@shared_task(name="mail.sweep")
def sweep() -> None:
    """Hand over what is due and unsent; safe to run twice at once, because a mail is taken by one of them."""
    with transaction():
        due = outbox.take_due(limit=SWEEP_LIMIT)
        unfinished = notices.unfinished_notices(limit=SWEEP_LIMIT)
    work = [(expand, *notice) for notice in unfinished] + [(deliver, *mail) for mail in due]
    for number, (task, row_id, request_id) in enumerate(work):
        with working_for(request_id):
            if not _publish(task, row_id):  # no use to ask a silent Redis for each of them
                with transaction():
                    outbox.give_back([row_id for task, row_id, _ in work[number:] if task is deliver])
                return


def _record(outcome: Callable[..., bool], mail: OutboxMail, *error: str) -> None:
    with transaction():
        in_time = outcome(mail, *error)
    if not in_time:
        logger.warning("mail %s: this attempt took longer than its lease", mail.id, extra={"mail_id": str(mail.id)})


def _publish(task: Task[[str], None], row_id: UUID) -> bool:
    """Hand the id of a row to Celery; whether it took it."""
    try:
        task.delay(str(row_id))
    except OperationalError as error:
        facts = {"task": task.name, "row_id": str(row_id)}
        logger.warning("%s of %s waits for the sweep, Redis is away: %s", task.name, row_id, error, extra=facts)
        return False
    return True
