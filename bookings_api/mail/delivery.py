"""One attempt to send one mail, and what is to be recorded of it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import current_app

from bookings_api.mail import links, messages, mime, outbox, password_resets, smtp
from bookings_api.models import EmailKind, OutboxEmail, utcnow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: `record` writes it into the open transaction, and is False if the claim was lost."""

    record: Callable[[], bool]
    server_is_away: bool = False


class Undeliverable(Exception):
    """There is no point in sending the mail; `str` says why, in plain words."""


def attempt(sender: smtp.MailSender, mail: OutboxEmail) -> Outcome:
    """Send a claimed mail; never raises, whatever the mail or the server is like."""
    mail_id = str(mail.id)
    log_fields = {"mail_id": mail_id, "kind": mail.kind.value, "attempt": mail.attempts}
    try:
        _require_hope(mail)
        if password_resets.is_to_be_addressed(mail) and not password_resets.address_reset(mail):
            logger.info("mail %s dropped: nobody with that address can log in", mail_id, extra=log_fields)
            return Outcome(partial(outbox.drop, mail))
        rendered = messages.render(mail.kind, mail.payload | links.links_for(mail.kind, mail.payload))
        sender.send(mime.compose(mail, rendered))
    except (Undeliverable, smtp.PermanentFailure) as error:
        logger.error("mail %s failed: %s", mail_id, error, extra=log_fields)  # noqa: TRY400 - the sentence says it all
        return Outcome(partial(outbox.mark_failed, mail, str(error)))
    except smtp.TransientFailure as error:
        is_away = isinstance(error, smtp.ServerUnavailable)
        level = logging.ERROR if is_away else logging.WARNING
        logger.log(level, "mail %s deferred: %s (%r)", mail_id, error, error.__cause__, extra=log_fields)
        return Outcome(partial(outbox.mark_deferred, mail, str(error)), server_is_away=is_away)
    except Exception:  # a mistake of ours, which the next release may mend: the mail waits for it
        logger.exception("mail %s could not be made", mail_id, extra=log_fields)
        return Outcome(partial(outbox.mark_deferred, mail, "The mail could not be made; the error is in our log."))
    logger.info("mail %s sent", mail_id, extra=log_fields)
    return Outcome(partial(outbox.mark_sent, mail))


def _require_hope(mail: OutboxEmail) -> None:
    limit = current_app.config["MAIL_MAX_ATTEMPTS"]
    if mail.attempts > limit:
        raise Undeliverable(f"Given up after {limit} attempts. {mail.last_error or ''}".rstrip())
    # any other mail is news whenever it comes
    if mail.kind is EmailKind.EVENT_REMINDER and datetime.fromisoformat(mail.payload["starts_at"]) <= utcnow():
        raise Undeliverable("The event began before the reminder could be sent.")
