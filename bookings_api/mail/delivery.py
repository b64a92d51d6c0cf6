"""Delivers due emails one at a time over one SMTP connection: claim, render, compose, send, record."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bookings_api.database.clock import database_time
from bookings_api.database.transactions import transaction
from bookings_api.mail import account_links, claims, messages, mime, reminders, smtp
from bookings_api.mail.claims import Outcome
from bookings_api.mail.erasure import ERASED_DOMAIN
from bookings_api.mail.outdated import bring_up_to_date
from bookings_api.models import EmailKind, EmailStatus, OutboxEmail
from bookings_api.observability.logging import bound_request_id

logger = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = 1
NOT_COMPOSED = Outcome(EmailStatus.PENDING, "The email could not be composed. See the log for the error.")


def send_due_emails(sender: smtp.MailSender, *, until: float) -> bool:
    """Send emails until none is due or `time.monotonic()` reaches `until`. Returns False if the server is unavailable.

    Records each outcome before the next claim. A killed worker therefore leaves at most one message unrecorded.
    """
    while (email := claims.claim_next()) is not None:
        with bound_request_id(email.request_id):
            emails = [each for each in (email, *claims.claim_joined_emails(email)) if _is_deliverable(each)]
            if emails and not _send(sender, emails):
                return False
        if time.monotonic() > until:
            break
    return True


def _send(sender: smtp.MailSender, emails: Sequence[OutboxEmail]) -> bool:
    """Send claimed emails as one message and record the outcome. Returns False if the server is unavailable."""
    outcome = attempt(sender, emails)
    for email in emails:
        _record(email, outcome)
    return not outcome.server_is_unavailable


def attempt(sender: smtp.MailSender, emails: Sequence[OutboxEmail]) -> Outcome:
    """Send claimed emails as one message and return the outcome.

    Never raises, even if an email or the server's reply is invalid.
    """
    email, *joined = emails
    log_fields = _log_fields(email)
    try:
        if account_links.needs_account(email) and not account_links.resolve_account(email):
            logger.info("email %s deleted: no account with this address can log in", email.id, extra=log_fields)
            return claims.DELETED
        payload = email.payload | account_links.links_for(email.kind, email.payload)
        rendered = messages.render(email.kind, payload, joined=[each.payload for each in joined])
        sender.send(mime.compose(email, rendered, joined=joined))
    except (mime.UnusableAddress, smtp.PermanentFailure) as error:
        return _failure(email, str(error))
    except smtp.TransientFailure as error:
        is_unavailable = isinstance(error, smtp.ServerUnavailable)
        level = logging.ERROR if is_unavailable else logging.WARNING
        logger.log(level, "email %s deferred: %s (%r)", email.id, error, error.__cause__, extra=log_fields)
        return Outcome(EmailStatus.PENDING, str(error), server_is_unavailable=is_unavailable)
    except Exception:  # a bug; later attempts may succeed, for example with a newer release
        logger.exception("email %s could not be composed", email.id, extra=log_fields)
        return NOT_COMPOSED
    for each in emails:
        logger.info("email %s sent", each.id, extra=log_fields | {"email_id": str(each.id)})
    return claims.SENT


def _is_deliverable(email: OutboxEmail) -> bool:
    """Whether a claimed email should be sent. If not, records the outcome."""
    outcome = _check(email)
    if outcome:
        _record(email, outcome)
    return outcome is None


def _check(email: OutboxEmail) -> Outcome | None:
    """Return the outcome of a claimed email that should not be sent, or None. Never raises, even for invalid emails."""
    limit = current_app.config["MAIL_MAX_ATTEMPTS"]
    if email.attempts > limit:
        return _failure(email, f"Gave up after {limit} attempts. {email.last_error or ''}".rstrip())
    try:
        is_erased = email.recipient.endswith(f"@{ERASED_DOMAIN}")
        if reason := "The recipient has deleted their account." if is_erased else bring_up_to_date(email):
            logger.info("email %s dropped: %s", email.id, reason, extra=_log_fields(email))
            return Outcome(EmailStatus.DROPPED, reason)
        # all other kinds of email are useful even if they arrive late
        if email.kind is EmailKind.EVENT_REMINDER and _has_started(email):
            return _failure(email, "The event started before the reminder could be sent.")
    except Exception:  # a bug, as above
        logger.exception("email %s could not be checked", email.id, extra=_log_fields(email))
        return NOT_COMPOSED
    return None


def _has_started(email: OutboxEmail) -> bool:
    return datetime.fromisoformat(email.payload["starts_at"]) <= database_time()


def _failure(email: OutboxEmail, reason: str) -> Outcome:
    logger.error("email %s failed: %s", email.id, reason, extra=_log_fields(email))
    return Outcome(EmailStatus.FAILED, reason)


def _log_fields(email: OutboxEmail) -> dict[str, Any]:
    return {"email_id": str(email.id), "kind": email.kind.value, "attempt": email.attempts}


def _record(email: OutboxEmail, outcome: Outcome) -> None:
    """Record the outcome of a claimed email. Retries while PostgreSQL is unavailable.

    Without a record, the email would be sent again. Retries continue even after the lease ends, because no other worker
    can claim the email while PostgreSQL is down.
    """
    while True:
        try:
            if not (_drop(email, outcome) if outcome.status is EmailStatus.DROPPED else claims.record(email, outcome)):
                logger.warning("email %s: the attempt exceeded its lease", email.id, extra={"email_id": str(email.id)})
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            logger.warning("waiting for PostgreSQL to record the outcome of an email: %s", type(error).__name__)
            time.sleep(DATABASE_RETRY_SECONDS)
        else:
            return


def _drop(email: OutboxEmail, outcome: Outcome) -> bool:
    """Record that an email was dropped. A dropped reminder is written again with current details if it is still due."""
    with transaction():
        is_recorded = claims.record(email, outcome)
        if is_recorded and email.kind is EmailKind.EVENT_REMINDER:
            reminders.forget(email)
    return is_recorded
