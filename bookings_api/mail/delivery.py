"""Delivery of due emails, one at a time over one SMTP connection: claim, render, compose, send, record."""

import logging
import time
from datetime import datetime

from flask import current_app
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bookings_api.database.clock import database_time
from bookings_api.database.transactions import transaction
from bookings_api.mail import account_links, claims, messages, mime, reminders, smtp
from bookings_api.mail.claims import Outcome
from bookings_api.mail.outdated import reason_to_drop
from bookings_api.models import EmailKind, EmailStatus, OutboxEmail
from bookings_api.observability.logging import bound_request_id

logger = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = 1


class Undeliverable(Exception):
    """The email must not be sent any more. The message says why."""


def send_due_emails(sender: smtp.MailSender, *, until: float) -> bool:
    """Send emails until none is due or `time.monotonic()` reaches `until`. Returns False if the server is unavailable.

    Each outcome is recorded before the next claim, so a worker that is killed has at most one unrecorded email.
    """
    while (email := claims.claim_next()) is not None:
        with bound_request_id(email.request_id):
            outcome = attempt(sender, email)
            _record(email, outcome)
        if outcome.server_is_unavailable:
            return False
        if time.monotonic() > until:
            break
    return True


def attempt(sender: smtp.MailSender, email: OutboxEmail) -> Outcome:
    """Send a claimed email. Never raises, whatever the email contains and however the server behaves."""
    log_fields = {"email_id": str(email.id), "kind": email.kind.value, "attempt": email.attempts}
    try:
        _require_deliverable(email)
        if account_links.needs_account(email) and not account_links.resolve_account(email):
            logger.info("email %s deleted: no account with this address can log in", email.id, extra=log_fields)
            return claims.DELETED
        if reason := reason_to_drop(email):
            logger.info("email %s dropped: %s", email.id, reason, extra=log_fields)
            return Outcome(EmailStatus.DROPPED, reason)
        payload = email.payload | account_links.links_for(email.kind, email.payload)
        sender.send(mime.compose(email, messages.render(email.kind, payload)))
    except (Undeliverable, mime.UnusableAddress, smtp.PermanentFailure) as error:
        logger.error("email %s failed: %s", email.id, error, extra=log_fields)  # noqa: TRY400 - no traceback needed
        return Outcome(EmailStatus.FAILED, str(error))
    except smtp.TransientFailure as error:
        is_unavailable = isinstance(error, smtp.ServerUnavailable)
        level = logging.ERROR if is_unavailable else logging.WARNING
        logger.log(level, "email %s deferred: %s (%r)", email.id, error, error.__cause__, extra=log_fields)
        return Outcome(EmailStatus.PENDING, str(error), server_is_unavailable=is_unavailable)
    except Exception:  # a bug: the email waits for a release that fixes it
        logger.exception("email %s could not be composed", email.id, extra=log_fields)
        return Outcome(EmailStatus.PENDING, "The email could not be composed. See the log for the error.")
    logger.info("email %s sent", email.id, extra=log_fields)
    return claims.SENT


def _require_deliverable(email: OutboxEmail) -> None:
    limit = current_app.config["MAIL_MAX_ATTEMPTS"]
    if email.attempts > limit:
        raise Undeliverable(f"Gave up after {limit} attempts. {email.last_error or ''}".rstrip())
    # all other emails are still useful when they arrive late
    if email.kind is EmailKind.EVENT_REMINDER and datetime.fromisoformat(email.payload["starts_at"]) <= database_time():
        raise Undeliverable("The event started before the reminder could be sent.")


def _record(email: OutboxEmail, outcome: Outcome) -> None:
    """Record the outcome, waiting for PostgreSQL if necessary: an unrecorded email would be sent again.

    Keeps trying after the lease ends, because no other worker can claim the email while PostgreSQL is down.
    """
    while True:
        try:
            if not (_drop(email, outcome) if outcome.status is EmailStatus.DROPPED else claims.record(email, outcome)):
                logger.warning("email %s: the attempt outlived its lease", email.id, extra={"email_id": str(email.id)})
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            logger.warning("recording the outcome of an email waits for PostgreSQL: %s", type(error).__name__)
            time.sleep(DATABASE_RETRY_SECONDS)
        else:
            return


def _drop(email: OutboxEmail, outcome: Outcome) -> bool:
    """Record that an email is outdated. A dropped reminder is written again when it is due."""
    with transaction():
        is_recorded = claims.record(email, outcome)
        if is_recorded and email.kind is EmailKind.EVENT_REMINDER:
            reminders.forget(email)
    return is_recorded
