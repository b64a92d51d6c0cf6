"""Celery's part: one task sends one mail, another hands over again what was left behind."""

import logging
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from bookings_api.mail import messages, outbox, smtp
from bookings_api.models import OutboxMail
from bookings_api.observability import working_for
from bookings_api.transactions import transaction

logger = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(seconds=10)
SWEEP_LIMIT = 500

BEAT_SCHEDULE = {"sweep-outbox": {"task": "mail.sweep", "schedule": SWEEP_EVERY}}


def enqueue(mail: OutboxMail) -> None:
    """Hand a committed mail to Celery. Never fails: what Redis does not take now, the sweep hands over later."""
    _publish(mail.id)


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
        smtp.send(mail, messages.render(mail.kind, mail.facts))
    except smtp.TryAgain as error:
        with transaction():
            again_at = outbox.mark_deferred(mail, str(error))
        logger.warning("mail %s deferred until %s: %s", mail_id, again_at.isoformat(), error, extra=facts)
    except smtp.RefusedForGood as error:
        with transaction():
            outbox.mark_failed(mail, str(error))
        logger.error("mail %s failed: %s", mail_id, error, extra=facts)  # noqa: TRY400 - the server's answer says it all
    else:
        with transaction():
            outbox.mark_sent(mail)
        logger.info("mail %s sent", mail_id, extra=facts)


@shared_task(name="mail.sweep")
def sweep() -> None:
    """Hand over what is due and unsent; safe to run twice at once, because sending needs a claim."""
    for mail_id, request_id in outbox.due_mails(limit=SWEEP_LIMIT):
        with working_for(request_id):
            if not _publish(mail_id):
                return  # no use to ask a silent Redis for each mail


def _publish(mail_id: UUID) -> bool:
    try:
        deliver.delay(str(mail_id))
    except OperationalError as error:
        logger.warning(
            "mail %s stays in the outbox, Redis is away: %s", mail_id, error, extra={"mail_id": str(mail_id)}
        )
        return False
    return True
